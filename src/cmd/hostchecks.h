/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be amiss with a host that concerns no engine alone: the doctor's first chapter. */
#ifndef PULT_CMD_HOSTCHECKS_H
#define PULT_CMD_HOSTCHECKS_H

struct doctor;

void host_checks(struct doctor *d);

#endif
