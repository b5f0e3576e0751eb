/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Engine 1 of 2: containers. Everything else of src/lxc/ is private to it; container.h tells how
 * the parts fit together.
 */
#ifndef PULT_LXC_LXC_H
#define PULT_LXC_LXC_H

#include "guest/engine.h"

extern const struct engine lxc_engine;

#endif
