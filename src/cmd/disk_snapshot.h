/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots of an image, as `disk info` and `disk snapshot list` show them. */
#ifndef PULT_CMD_DISK_SNAPSHOT_H
#define PULT_CMD_DISK_SNAPSHOT_H

#include <jansson.h>

#include "disk/disk.h"

json_t *disk_snapshots_json(struct disk_info *info);
void disk_snapshots_print(struct disk_info *info);

#endif
