/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Users and groups, out of /etc/passwd and /etc/group alone: the binary is linked statically for the sake of its
 * start, and the name service would load shared libraries into it.
 */
#ifndef PULT_BASE_USER_H
#define PULT_BASE_USER_H

#include <stdbool.h>
#include <sys/types.h>

/* A user's name, and his home directory; NULL: /etc/passwd does not know him. Caller frees. */
char *user_name(uid_t uid);
char *user_home(uid_t uid);

/* By name, or as a number, which nobody needs to have. False: there is none such. */
bool user_find(const char *name, uid_t *out);
bool group_find(const char *name, gid_t *out);

#endif
