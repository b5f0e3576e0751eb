/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where pult keeps its things. Each is an absolute path in static storage, and is made by whoever
 * puts the first thing there.
 *
 *     home    PULT_HOME  | /var/lib/pult (root)   | $XDG_DATA_HOME/pult (~/.local/share/pult)
 *     run     PULT_RUN   | /run/pult (root)       | $XDG_RUNTIME_DIR/pult (/tmp/pult-UID)
 *     cache   PULT_CACHE | /var/cache/pult (root) | $XDG_CACHE_HOME/pult (~/.cache/pult)
 */
#ifndef PULT_BASE_PLACES_H
#define PULT_BASE_PLACES_H

const char *place_home(void);
const char *place_run(void);
/* For what can be made again. */
const char *place_cache(void);

#endif
