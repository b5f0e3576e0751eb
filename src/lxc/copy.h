/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of root file systems: owners, modes, times, ACLs, extended attributes, hard links and holes
 * are kept, blocks are shared where the file system can do that.
 */
#ifndef PULT_LXC_COPY_H
#define PULT_LXC_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/engine.h"
#include "lxc/rootpath.h"

/* How many files there are, for progress. Follows no link, crosses no mount. */
uint64_t tree_count(const char *path);
/* The directory `from` as dir/name, which is not there yet. *size: what that takes; may be NULL. */
int tree_copy(const char *from, const char *dir, const char *name, uint64_t *size,
              engine_progress_fn *progress, void *arg, struct error *err);
/* The same of a root of any form; share: by shared blocks, or not at all. */
int root_copy(const struct root_path *from, const char *dir, const char *name, bool share,
              engine_progress_fn *progress, void *arg, struct error *err);

#endif
