/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What settings say of a container's processes, see process.c. */
#ifndef PULT_LXC_PROCESS_H
#define PULT_LXC_PROCESS_H

#include <sys/types.h>

#include "base/error.h"
#include "lxc/keys.h"

/* By the keeper, for a process that waits, or for itself (0) before it becomes one. */
int process_limits(const struct settings *s, pid_t pid, struct error *err);
int process_files(const struct settings *s, pid_t pid, struct error *err);
/* In the container; proc: its own /proc. */
int process_sysctls(const struct settings *s, int proc, struct error *err);

/*
 * What the next exec of this process is labelled with, by AppArmor or SELinux. proc: a /proc in
 * which the container can have mounted nothing; -1: its own, while nothing of it has run.
 */
int process_label(const struct settings *s, int proc, struct error *err);

/* Leave the session keyring of who started it, unless it is to be kept. */
int process_keyring(const struct settings *s, struct error *err);
/* What nothing of it can undo. */
int process_surround(const struct settings *s, struct error *err);
/* Its directory and ids. tty: -1, or the terminal that becomes the user's. */
int process_become(const struct settings *s, int tty, struct error *err);

#endif
