/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks of new VMs, as options name them. */
#ifndef PULT_CMD_NEWDISK_H
#define PULT_CMD_NEWDISK_H

#include "base/conf.h"
#include "base/error.h"

/* clang-format off */
#define OPTION_DISK \
    {"disk", 'D', "FILE[,OPTION...]", true, "a disk: ,format=raw|qcow2 where its name does not say; " \
     ",ro ,snapshot ,serial=S ,cache=MODE ,bps=N ,iops=N ,bootindex=N"}
#define OPTION_SNAPSHOT \
    {"snapshot", 0, NULL, false, "what it writes to its disks is forgotten when it ends"}
/* clang-format on */

/*
 * One more vm.disk.N: names become whole paths, and the format is put down if it is not said: by the
 * file's name, or raw for a block device; never by what is in it.
 */
int new_disk(struct conf *conf, const char *text, struct error *err);
/* The same for one that forgets what is written to it, and that is booted from first. */
int new_disk_image(struct conf *conf, const char *text, struct error *err);
/* Every disk that it has forgets what is written to it. */
int new_disks_forget(struct conf *conf, struct error *err);
bool new_disks_any(const struct conf *conf);

#endif
