/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs of networks share. */
#ifndef PULT_CMD_NETWORK_H
#define PULT_CMD_NETWORK_H

#include <jansson.h>

#include "base/conf.h"
#include "base/error.h"
#include "net/network.h"
#include "net/plan.h"

/*
 * All that is known of a network (docs/json.md), also of one whose definition is broken; NULL: there
 * is none, and err says so. counts: ask the firewall for what it counted, too.
 */
json_t *network_facts_of(const char *name, bool counts, struct error *err);

/* A copy of a definition that may be changed and freed. */
struct conf *network_conf_copy(const struct network *n);

/*
 * Change a network's definition: edit changes conf, and the result is checked against itself and
 * the other networks before it is kept. A network that is up takes over what can be taken over (its
 * rules, for forwards, and taps); *later is true where something takes effect when it is brought up again.
 */
typedef int network_edit_fn(void *arg, struct conf *conf, struct error *err);
int network_edit(const char *name, network_edit_fn *edit, void *arg, bool *later,
                 struct error *err);

/* Replace a definition, which may be a broken one, by this text, if it is valid. */
int network_replace(const char *name, const char *text, size_t len, struct error *err);

/*
 * Carry out a network's plan, each step and proof being printed; with a risk, ask whoever is at the
 * terminal to confirm. Returns what the verb shall end with.
 */
struct cmd_args;
int network_bring_up(const struct cmd_args *a, const char *name, unsigned seconds);

/* Print a plan for people. */
void network_print_plan(const struct plan *p);

#endif
