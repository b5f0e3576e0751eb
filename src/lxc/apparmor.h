/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Profiles of AppArmor that pult makes, where the host has AppArmor: see apparmor.c. They stand
 * behind the other defences, and none hangs on them.
 */
#ifndef PULT_LXC_APPARMOR_H
#define PULT_LXC_APPARMOR_H

#include <stdbool.h>

#include "base/error.h"

struct container;
struct doctor;

/* Is AppArmor at work on this host? */
bool apparmor_here(void);
/*
 * A profile of this name, with further lines (NULL-terminated, or NULL). app: for one command; nesting:
 * a system may have containers in it.
 */
char *apparmor_text(const char *name, bool app, bool nesting, char *const *lines);
/*
 * For the keeper: see that the profile is loaded which the definition asks for, if one of pult's,
 * and say its name in the settings. -1 only where lxc.apparmor.profile = generated asked for it.
 */
int apparmor_prepare(struct container *c, struct error *err);
/* Unload what was this container's alone. */
void apparmor_done(struct container *c);
void apparmor_doctor(struct doctor *d);

#endif
