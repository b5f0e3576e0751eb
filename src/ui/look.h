/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How figures and states look, wherever they are shown. */
#ifndef PULT_UI_LOOK_H
#define PULT_UI_LOOK_H

#include <stdint.h>

#include "guest/status.h"
#include "ui/theme.h"

enum element state_look(enum guest_state s);
/* "12s", "3h12m", "41d" in at most 6 columns. */
void uptime_human(uint64_t seconds, char out[16]);

#endif
