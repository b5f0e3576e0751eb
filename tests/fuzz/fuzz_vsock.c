/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket device under a driver that does wrong, with programs of the host at the other end
 * that connect, talk, listen or not, and close when they like.
 */
#include "fuzz/virtio.h"

#include <linux/virtio_vsock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kvm/virtio/vsock.h"

#define CID  3u
#define ENDS 24
#define PORT 1073741824u /* the first of the host's own */

static int ends[ENDS]; /* the host's; -1: closed */
static struct feed *now;
static struct sockaddr_un where;
static socklen_t where_len;

/* Buffers that the guest gave for packets: what came in them tells it of connections. */
#define GIVEN 8
static const struct virtio_vsock_hdr *given[GIVEN];
static unsigned next_given;
static uint32_t asked[2]; /* ports of the connection that it asked for last: its own, the host's */

static int *some_end(struct feed *f)
{
    return &ends[feed_below(f, ENDS)];
}

static void put_end(int *end, int fd)
{
    if (*end >= 0)
        close(*end);
    *end = fd;
}

static int on_connect(void *arg, uint32_t port)
{
    int pair[2];

    (void)arg;
    if (port == 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -1;
    if (port % 2 == 0) /* one that does not take much at once */
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int));
    put_end(some_end(now), pair[1]);
    return pair[0];
}

static const struct vsock_owner owner = {on_connect};

static int add(struct board *b)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    where = (struct sockaddr_un){.sun_family = AF_UNIX};
    where_len = sizeof(where);
    must(bind(fd, (struct sockaddr *)&where, sizeof(sa_family_t)) == 0 && listen(fd, 16) == 0);
    must(getsockname(fd, (struct sockaddr *)&where, &where_len) == 0);
    return virtio_vsock_add(&b->virtio, CID, fd, &owner, NULL, NULL);
}

/* A client connects, and says this, or something like it. */
static void new_client(struct feed *f)
{
    static const char *const words[] = {"CONNECT 1\n", "CONNECT 2\nand more",
                                        "CONNECT",     "CONNECT 4294967296\n",
                                        "\n",          ""};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const char *text = feed_rarely(f, 3) ? feed_pick(f, words) : words[0];

    if (fd >= 0 && connect(fd, (struct sockaddr *)&where, where_len) == 0)
        send(fd, text, strlen(text), MSG_NOSIGNAL);
    put_end(some_end(f), fd);
}

static void event(struct feed *f, struct board *b)
{
    static char bytes[70000];
    const int *end = some_end(f);

    (void)b;
    now = f;
    switch (feed_below(f, 8)) {
    case 0:
    case 1:
        new_client(f);
        break;
    case 2:
    case 3:
        send(*end, bytes, feed_rarely(f, 4) ? sizeof(bytes) : feed_byte(f), MSG_NOSIGNAL);
        break;
    case 4:
    case 5:
        recv(*end, bytes, feed_rarely(f, 2) ? sizeof(bytes) : feed_byte(f), 0);
        break;
    case 6:
        shutdown(*end, (int)feed_below(f, 3));
        break;
    case 7:
        put_end(some_end(f), -1);
        break;
    }
}

/* A packet that may be right, between few ports, so that connections meet. */
static unsigned packet(struct feed *f, struct driver *d, struct seg *segs)
{
    static const uint16_t ops[] = {1, 1, 2, 2, 3, 4, 5, 5, 5, 6, 7};
    static const uint32_t rooms[] = {1 << 20, 0, 1, 10, 4096, UINT32_MAX};
    uint32_t len = feed_rarely(f, 3) ? feed_below(f, 40000) : feed_below(f, 20);
    struct virtio_vsock_hdr h = {
        .src_cid = feed_rarely(f, 64) ? feed_u64(f) : CID,
        .dst_cid = feed_rarely(f, 64) ? feed_u64(f) : 2,
        .src_port = feed_below(f, 4),
        .dst_port = feed_rarely(f, 2) ? PORT + feed_below(f, 6) : feed_below(f, 4),
        .type = feed_rarely(f, 64) ? (uint16_t)feed_below(f, 4) : 1,
        .op = feed_rarely(f, 64) ? (uint16_t)feed_u64(f) : feed_pick(f, ops),
        .flags = feed_below(f, 4),
        .buf_alloc = feed_pick(f, rooms),
        .fwd_cnt = feed_rarely(f, 4) ? (uint32_t)feed_u64(f) : feed_below(f, 300),
    };

    now = f;
    const struct virtio_vsock_hdr *seen = feed_pick(f, given);
    if (!asked[0]) { /* the first is right */
        h.src_port = 1;
        h.dst_port = 2;
        h.op = VIRTIO_VSOCK_OP_REQUEST;
        h.buf_alloc = 1 << 20;
    } else if (seen && seen->op && feed_below(f, 4)) { /* it goes on with that connection */
        h.src_port = seen->dst_port;
        h.dst_port = seen->src_port;
        if (seen->op == VIRTIO_VSOCK_OP_REQUEST && feed_below(f, 4))
            h.op = VIRTIO_VSOCK_OP_RESPONSE;
        else if (h.op <= VIRTIO_VSOCK_OP_RESPONSE && feed_below(f, 8))
            h.op = VIRTIO_VSOCK_OP_RW;
    } else if (h.op != VIRTIO_VSOCK_OP_REQUEST && feed_below(f, 4)) {
        h.src_port = asked[0];
        h.dst_port = asked[1];
    }
    if (h.op == VIRTIO_VSOCK_OP_REQUEST) {
        asked[0] = h.src_port;
        asked[1] = h.dst_port;
    }
    if (h.op != VIRTIO_VSOCK_OP_RW && !feed_rarely(f, 8))
        len = 0;
    h.len = feed_rarely(f, 32) ? (uint32_t)feed_u64(f) : len;
    segs[0] = driver_bytes(d, &h, sizeof(h) - (feed_rarely(f, 64) ? feed_below(f, 44) : 0));
    segs[1] = driver_buffer(d, len, false);
    return len ? 2 : 1;
}

static unsigned request(struct feed *f, struct driver *d, unsigned queue, struct seg *segs)
{
    unsigned n = 1;

    if (queue == 1)
        return packet(f, d, segs);
    if (feed_rarely(f, 8))
        for (n = 0; n < 4; n++)
            segs[n] = driver_buffer(d, 1 + feed_below(f, 100), true);
    else
        segs[0] = driver_buffer(d, queue ? 8 : 45 + feed_below(f, 4096), true);
    if (queue == 0 && segs[0].len >= sizeof(*given[0]))
        given[next_given++ % GIVEN] = segs[0].host;
    return n;
}

static bool begin(struct feed *f, struct driver *d)
{
    (void)f, (void)d;
    memset(given, 0, sizeof(given));
    memset(asked, 0, sizeof(asked));
    return true;
}

static const struct virtio_fuzz fuzz = {.add = add,
                                        .queues = 3,
                                        .config = 8,
                                        .request = request,
                                        .event = event,
                                        .begin = begin,
                                        .prompt = true};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct feed none;

    for (unsigned i = 0; i < ENDS; i++)
        ends[i] = -1;
    now = &none;
    virtio_fuzz(&fuzz, data, size);
    for (unsigned i = 0; i < ENDS; i++)
        put_end(&ends[i], -1);
    return 0;
}
