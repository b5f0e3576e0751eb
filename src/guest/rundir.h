/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's place among those that run.
 *
 *     RUN/NAME             locked (flock) by its keeper; has a status page from its first moment,
 *                          by which it is known to be a keeper's
 *     HOME/guests/NAME/running   locked (OFD) by the keeper of a lasting guest, and says in which
 *                          RUN: so that it runs once, however many RUNs look at one HOME
 */
#ifndef PULT_GUEST_RUNDIR_H
#define PULT_GUEST_RUNDIR_H

#include <stdbool.h>

#include "base/error.h"
#include "guest/def.h"
#include "guest/status.h"
#include "guest/store.h"

#define RUNNING_FILE "running" /* in HOME/guests/NAME */

struct run_dir {
    int fd;      /* of RUN/NAME, with its lock; both go to children */
    int running; /* of HOME/guests/NAME/running, -1: a throwaway guest */
};

/*
 * Is a keeper at it, and what does its page say? What a keeper that died left has been cleaned up
 * by then, if it was of this RUN.
 */
bool run_dir_look(const char *name, struct status_page *page);

/*
 * Take both. -1 with EBUSY where the guest runs already. A throwaway definition is written into
 * the directory, and fill is called as store_create() does.
 */
int run_dir_create(const struct guest_def *def, store_fill_fn *fill, void *arg, struct run_dir *out,
                   struct error *err);
/* The guest runs no more: give both up. The directory still exists, under another name. */
void run_dir_retire(const char *name, struct run_dir *run);
/* The same, and remove what was in it. */
void run_dir_remove(const char *name, struct run_dir *run);

#endif
