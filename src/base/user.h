/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Users by number, out of /etc/passwd alone: the binary is linked statically for the sake of its
 * start, and the name service would load shared libraries into it.
 */
#ifndef PULT_BASE_USER_H
#define PULT_BASE_USER_H

#include <sys/types.h>

/* A user's name, and his home directory; NULL: /etc/passwd does not know him. Caller frees. */
char *user_name(uid_t uid);
char *user_home(uid_t uid);

#endif
