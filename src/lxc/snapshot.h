/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies of containers: clones, snapshots, archives to take along; snapshot.c. */
#ifndef PULT_LXC_SNAPSHOT_H
#define PULT_LXC_SNAPSHOT_H

#include "guest/engine.h"

extern const struct engine_snapshots lxc_snapshots;

int lxc_clone(const struct engine_clone *c, struct conf *conf, const char *dir, struct error *err);
int lxc_pack(const struct guest_def *def, int fd, const char *file, engine_progress_fn *progress,
             void *arg, struct error *err);
int lxc_unpack(const char *dir, int fd, struct conf *conf, engine_progress_fn *progress, void *arg,
               struct error *err);

#endif
