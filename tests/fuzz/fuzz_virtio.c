/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core of virtio under a driver that does wrong, with a device that answers on one queue and
 * keeps its chains on another, so that resets find requests under way.
 */
#include "fuzz/virtio.h"

#include "device/echo.c"

static struct echo echo;

static int add(struct board *b)
{
    return echo_add(&b->virtio, &echo, 0);
}

/* What was kept is completed, or its configuration changes. */
static void event(struct feed *f, struct board *b)
{
    uint32_t value = feed_byte(f);

    (void)b;
    if (feed_below(f, 2))
        echo_release(&echo);
    else
        virtio_set_config(echo.device, 4, &value, sizeof(value));
}

static const struct virtio_fuzz fuzz = {.add = add,
                                        .queues = ECHO_QUEUES,
                                        .config = ECHO_CONFIG,
                                        .event = event};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return virtio_fuzz(&fuzz, data, size);
}
