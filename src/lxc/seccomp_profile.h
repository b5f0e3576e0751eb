/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of system calls in LXC's format, see seccomp_profile.c. */
#ifndef PULT_LXC_SECCOMP_PROFILE_H
#define PULT_LXC_SECCOMP_PROFILE_H

#include <stdio.h>

#include "base/error.h"
#include "lxc/seccomp.h"

/* Make a filter of a profile. name stands for the file in messages: "FILE:LINE: …". */
int profile_parse(FILE *f, const char *name, struct filter *out, struct error *err);
int profile_load(const char *path, struct filter *out, struct error *err);

#endif
