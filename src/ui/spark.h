/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small graphs made of characters: the past as a row of blocks, a part of a whole as a bar. In
 * ASCII the blocks become . : - = + * # and the like.
 */
#ifndef PULT_UI_SPARK_H
#define PULT_UI_SPARK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The newest `width` of a ring's `filled` values (the newest at (head - 1) % size), scaled so that
 * `top` is a full block, oldest first, padded on the left with blanks. A value above 0 never looks
 * like 0. Writes UTF-8: out needs 3 * width + 1 bytes.
 */
void spark_line(const float *ring, unsigned size, unsigned head, unsigned filled, double top,
                unsigned width, bool utf8, char *out);
/* The largest of the newest `width` values. */
double spark_top(const float *ring, unsigned size, unsigned head, unsigned filled, unsigned width);

/* A bar of `width` cells, part (0 to 1) of it filled, in steps of an eighth. */
void spark_bar(double part, unsigned width, bool utf8, char *out);

#endif
