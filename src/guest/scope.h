/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Outliving the login session. logind may kill what is left of a session's control group when it
 * ends (KillUserProcesses=yes), and setsid does not help against that: a keeper has to leave the
 * session's group for one of its own.
 */
#ifndef PULT_GUEST_SCOPE_H
#define PULT_GUEST_SCOPE_H

#include "base/error.h"

/*
 * Move this process out of the login session, where systemd runs and it is in one. Root goes into
 * the group "pult/keepers"; a user asks his systemd for a scope of its own, with delegation.
 */
int scope_leave_session(const char *guest, struct error *err);

#endif
