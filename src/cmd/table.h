/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs; each is defined in the file of its name. A new one is added here and in table.c. */
#ifndef PULT_CMD_TABLE_H
#define PULT_CMD_TABLE_H

#include "cmd/command.h"

extern const struct command cmd_list, cmd_info, cmd_create_container, cmd_create_vm, cmd_start,
    cmd_stop, cmd_reboot, cmd_monitor, cmd_kill, cmd_freeze, cmd_unfreeze, cmd_balloon, cmd_wait,
    cmd_adopt, cmd_console, cmd_log, cmd_exec, cmd_run, cmd_destroy, cmd_config_get, cmd_config_set,
    cmd_config_unset, cmd_config_edit, cmd_config_modernize, cmd_stat, cmd_doctor, cmd_help,
    cmd_version, cmd_disk_create, cmd_disk_info, cmd_disk_convert, cmd_disk_resize, cmd_disk_check,
    cmd_disk_snapshot, cmd_disk_commit;
extern const struct command cmd_snapshot_create, cmd_snapshot_list, cmd_snapshot_restore,
    cmd_snapshot_delete, cmd_clone, cmd_rename, cmd_export, cmd_import;
extern const struct command cmd_limit, cmd_device_add, cmd_device_remove;
extern const struct command cmd_network_list, cmd_network_info, cmd_network_create,
    cmd_network_plan, cmd_network_apply, cmd_network_confirm, cmd_network_rollback,
    cmd_network_down, cmd_network_set, cmd_network_edit, cmd_network_forward_add,
    cmd_network_forward_remove, cmd_network_tap_add, cmd_network_tap_remove, cmd_network_doctor,
    cmd_network_destroy;

#endif
