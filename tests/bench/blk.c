/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blk FILE FORMAT CACHE read|write DEPTH SIZE STEP COUNT: the time that the block device takes for so
 * many requests of a driver on another thread, which keeps DEPTH of them under way, each STEP bytes
 * behind the one before; as `qemu-img bench -d DEPTH -s SIZE -S STEP -c COUNT` does it without a
 * device. Prints seconds. The driver waits for an interrupt, as a guest would.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/util.h"
#include "device/blkrig.h"
#include "disk/definition.h"

#define DEPTH_MOST 64u
#define WAIT_MS    20000

static struct slot {
    struct seg segs[3]; /* header, data, status */
    uint16_t head;
} slots[DEPTH_MOST];

struct job {
    uint32_t type;
    unsigned depth;
    uint32_t size;
    uint64_t step, count, offset, end;
};

static void die(const char *why)
{
    fprintf(stderr, "blk: %s\n", why);
    exit(1);
}

/* The descriptor of the queue's interrupts. */
static int interrupt_fd(const struct board *b)
{
    for (unsigned i = 1; i <= b->message_count; i++) /* 0 is none */
        if (b->messages[i].fd >= 0 && b->messages[i].data == 0x41)
            return b->messages[i].fd;
    return -1;
}

static void make_slots(struct driver *d, const struct job *j)
{
    const struct virtio_blk_outhdr h = {.type = j->type};

    for (unsigned i = 0; i < j->depth; i++) {
        struct slot *s = &slots[i];
        s->segs[0] = driver_bytes(d, &h, sizeof(h));
        s->segs[1] = driver_buffer(d, j->size, j->type == VIRTIO_BLK_T_IN);
        s->segs[2] = driver_buffer(d, 1, true);
        if (!s->segs[0].host || !s->segs[1].host || !s->segs[2].host)
            die("no memory");
        memset(s->segs[1].host, 'x', j->size);
    }
}

static void send(struct driver *d, struct job *j, struct slot *s)
{
    ((struct virtio_blk_outhdr *)s->segs[0].host)->sector = j->offset / 512;
    s->head = driver_send(d, 0, s->segs, 3);
    j->offset += j->step;
    if (j->offset + j->size > j->end)
        j->offset %= j->step;
}

/* The slot of the next answer; waits for it. */
static struct slot *answer(struct driver *d, int fd, unsigned depth)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    eventfd_t n;
    uint32_t id;

    while (!driver_used(d, 0, &id, NULL)) {
        if (poll(&p, 1, WAIT_MS) <= 0)
            die("no answer");
        eventfd_read(fd, &n);
    }
    for (unsigned i = 0; i < depth; i++)
        if (slots[i].head == id) {
            if (*(uint8_t *)slots[i].segs[2].host != VIRTIO_BLK_S_OK)
                die("a request failed");
            return &slots[i];
        }
    die("an answer to nothing");
    return NULL;
}

static double run(struct driver *d, struct job *j)
{
    const int fd = interrupt_fd(d->board);
    const uint64_t from = now_mono_ns();
    uint64_t sent = 0;

    for (; sent < j->depth && sent < j->count; sent++)
        send(d, j, &slots[sent]);
    for (uint64_t done = 0; done < j->count; done++) {
        struct slot *s = answer(d, fd, j->depth);
        s->head = UINT16_MAX;
        if (sent < j->count) {
            send(d, j, s);
            sent++;
        }
    }
    return (double)(now_mono_ns() - from) / 1e9;
}

int main(int argc, char **argv)
{
    struct blkrig r = {0};
    struct disk *disk;
    struct error err;

    if (argc != 9)
        die("FILE FORMAT CACHE read|write DEPTH SIZE STEP COUNT");
    struct job j = {.type = strcmp(argv[4], "read") == 0 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
                    .depth = (unsigned)min(strtoul(argv[5], NULL, 10), (unsigned long)DEPTH_MOST),
                    .size = (uint32_t)strtoul(argv[6], NULL, 10),
                    .step = strtoull(argv[7], NULL, 10),
                    .count = strtoull(argv[8], NULL, 10)};
    char *value = xasprintf("%s,format=%s,cache=%s", argv[1], argv[2], argv[3]);
    cleanup_definition struct disk_definition def;
    if (disk_definition_parse(value, NULL, &def, &err) < 0 || disk_open(&def.spec, &disk, &err) < 0)
        die(err.text);
    j.end = disk_size(disk);
    struct blk_config config = rig_config(&r);
    rig_create_as(&r, disk, WAY_RING, true, &config, DRIVER_ALL);
    make_slots(&r.d, &j);
    printf("%.3f\n", run(&r.d, &j));
    rig_destroy(&r);
    free(value);
    return 0;
}
