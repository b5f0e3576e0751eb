/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Being at a guest's console until the user leaves or the guest ends. */
#ifndef PULT_CMD_CONSOLE_H
#define PULT_CMD_CONSOLE_H

#include "cmd/command.h"

/* Returns the verb's exit status. console stays open. */
int console_session(const struct cmd_args *a, const char *name, int console);
/* On a terminal: say how to leave. */
void console_hint(const char *name);

#endif
