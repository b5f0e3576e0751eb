/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PULT_CMD_CONFIGFILE_H
#define PULT_CMD_CONFIGFILE_H

#include "base/error.h"

/* Where a guest's definition is, broken or not. Caller frees. NULL: there is no such guest. */
char *config_path(const char *name, struct error *err);

#endif
