/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of a guest, as JSON: the objects of `list`, `info` and `stat`. */
#ifndef PULT_CMD_FACTS_H
#define PULT_CMD_FACTS_H

#include <jansson.h>

#include "base/error.h"
#include "guest/watch.h"

/*
 * A watch whose rates are known: it has looked twice, a moment apart if any guest runs, or if the
 * host is wanted too. NULL on failure.
 */
struct watch *facts_watch(bool host, struct error *err);

/*
 * name, type, state, pid, cpu_percent, memory_bytes, memory_limit_bytes, uptime_seconds,
 * addresses, exit_status and more; docs/json.md says what each means. What is not known
 * is null.
 */
json_t *facts_guest(const struct watched *w);
json_t *facts_host(const struct host_figures *h);

/* What a reader of a list should know besides the figures: addresses, a reason, what is broken. */
const char *facts_note(const struct watched *w);

#endif
