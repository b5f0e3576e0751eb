/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See spark.h. */
#include "ui/spark.h"

#include <math.h>
#include <string.h>

#include "base/util.h"

/* Level 0 is a value of 0. */
static const char *const levels_utf8[] = {"▁", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const levels_ascii[] = {"_", ".", ":", "-", "=", "+", "*", "%", "#"};
static const char *const parts_utf8[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
static const char *const parts_ascii[] = {" ", " ", " ", " ", "-", "-", "-", "-", "#"};

static char *put(char *out, const char *s)
{
    size_t n = strlen(s);
    memcpy(out, s, n);
    return out + n;
}

static double value(const float *ring, unsigned size, unsigned head, unsigned age)
{
    double v = ring[(head + size - 1 - age) % size];
    return isfinite(v) && v > 0 ? v : 0;
}

void spark_line(const float *ring, unsigned size, unsigned head, unsigned filled, double top,
                unsigned width, bool utf8, char *out)
{
    const char *const *levels = utf8 ? levels_utf8 : levels_ascii;
    for (unsigned i = width; i-- > 0;) {
        if (i >= min(filled, size)) {
            *out++ = ' ';
            continue;
        }
        double v = value(ring, size, head, i);
        int level = top > 0 ? (int)ceil(v / top * 8) : 0;
        out = put(out, levels[min(max(level, 0), 8)]);
    }
    *out = '\0';
}

double spark_top(const float *ring, unsigned size, unsigned head, unsigned filled, unsigned width)
{
    double top = 0;
    for (unsigned i = 0; i < min(width, min(filled, size)); i++)
        top = max(top, value(ring, size, head, i));
    return top;
}

void spark_bar(double part, unsigned width, bool utf8, char *out)
{
    const char *const *parts = utf8 ? parts_utf8 : parts_ascii;
    if (!isfinite(part))
        part = 0;
    unsigned eighths = (unsigned)lround(min(max(part, 0.0), 1.0) * width * 8);
    for (unsigned i = 0; i < width; i++)
        out = put(out, parts[min(eighths - min(eighths, i * 8), 8u)]);
    *out = '\0';
}
