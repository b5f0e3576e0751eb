/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which modes of a terminal a stream of output has switched on: the alternate screen, mouse
 * reports, bracketed paste and the like. Whoever begins to read the stream in its middle is told
 * them first, and his terminal behaves as if it had seen all of it.
 */
#ifndef PULT_GUEST_TTYMODES_H
#define PULT_GUEST_TTYMODES_H

#include <stddef.h>
#include <stdint.h>

struct ttymodes {
    uint32_t on;     /* bit i: the mode in row i of the table differs from a fresh terminal */
    uint8_t state;   /* of the scanner */
    uint16_t number; /* of the parameter being read */
    uint16_t params[8];
    uint8_t count;
};

#define TTYMODES_MAX 192 /* bytes that ttymodes_restate() needs at most */

void ttymodes_feed(struct ttymodes *m, const void *data, size_t len);
/* Escape sequences that bring a terminal of any state into these modes. Returns their length. */
size_t ttymodes_restate(const struct ttymodes *m, char out[TTYMODES_MAX]);

#endif
