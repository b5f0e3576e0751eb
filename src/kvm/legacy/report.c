/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The port of a throwaway VM's first process, see report.h. */
#include "kvm/legacy/report.h"

static uint64_t report_read(void *dev, uint64_t offset, unsigned size)
{
    (void)dev, (void)offset, (void)size;
    return 0;
}

static void report_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct report *r = dev;

    (void)size;
    if (offset == REPORT_EXIT)
        r->exit(r->arg, (uint8_t)value);
    else
        r->ready(r->arg);
}

const struct bus_ops report_ops = {
    .name = "report",
    .width = 1,
    .read = report_read,
    .write = report_write,
};
