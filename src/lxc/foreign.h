/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Containers of the program lxc, see foreign.c. */
#ifndef PULT_LXC_FOREIGN_H
#define PULT_LXC_FOREIGN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "guest/engine.h"
#include "guest/status.h"

extern const struct engine_foreign lxc_foreign;

char **foreign_places(void);
bool foreign_look(const char *place, const char *name, struct status_page *page);
#define FOREIGN_ANSWER_MS 3000 /* for an answer, where one is asked */
/* The init of one that LXC runs. -1: it does not (ESRCH), or its monitor does not say. */
pid_t foreign_init(const char *place, const char *name, struct error *err);
/* LXC does not run it. */
int foreign_check(const struct guest_def *def, struct error *err);
/* Be at the address of its monitor: a listening socket, or -1 where somebody else is. */
int foreign_hold(const struct guest_def *def);

/* foreign_exec.c */
pid_t foreign_exec(const char *place, const struct guest_def *def, const struct exec_request *req,
                   int *control, int *master, struct error *err);

#endif
