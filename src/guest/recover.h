/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done about a guest whose keeper was killed: its engine removes what it left in the
 * kernel, its console and its end are written down, and its runtime directory goes.
 */
#ifndef PULT_GUEST_RECOVER_H
#define PULT_GUEST_RECOVER_H

#include "base/error.h"

/* fd is RUN/NAME, locked by the caller. */
void recover_guest(const char *name, int fd);

/* Keep the console ring of a run: run_dir's becomes dir_fd's console.log. */
int recover_console(int run_dir, int dir_fd, struct error *err);

#endif
