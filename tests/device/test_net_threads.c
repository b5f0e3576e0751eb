/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network device on real workers: a driver that sends, receives, resets and steers, while
 * frames come on all pairs, the cable goes in and out, and the kernel is said to serve what it may.
 * What is looked for is what a sanitizer or a hang shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "device/driver.h"
#include "kvm/virtio/net.h"

#define PAIRS  3
#define ROUNDS 60
#define LEN    600u

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 7};

struct pair {
    struct port *port;
    unsigned index;
    struct worker_source source; /* the device's end */
    int end;                     /* the test's */
    bool served;                 /* by the kernel */
};

struct port {
    struct net_port port;
    struct pair pairs[PAIRS];
    _Atomic bool over;
    _Atomic unsigned came, broken;
};

/* ---- the port ---- */

static void on_frame(void *arg, uint32_t events)
{
    struct pair *p = arg;

    (void)events;
    net_readable(p->port->port.net, p->index);
}

static int port_attach(struct net_port *n, struct error *err)
{
    struct port *port = (struct port *)n;

    for (unsigned i = 0; i < PAIRS; i++)
        if (worker_add(net_worker(n->net, i), &port->pairs[i].source, EPOLLIN | EPOLLET, err) < 0)
            return -1;
    return 0;
}

static void port_begin(struct net_port *n)
{
    (void)n;
}

static void port_offloads(struct net_port *n, uint64_t features)
{
    (void)n, (void)features;
}

static void port_pairs(struct net_port *n, unsigned pairs)
{
    (void)n;
    if (pairs < 1 || pairs > PAIRS)
        abort();
}

static ssize_t port_receive(struct net_port *n, unsigned pair, const struct iovec *iov,
                            unsigned count)
{
    struct pair *p = &((struct port *)n)->pairs[pair];
    uint8_t frame[LEN];

    if (p->served)
        abort();
    ssize_t len = recv(p->source.fd, frame, sizeof(frame), MSG_DONTWAIT);
    return len < 0 ? -errno : (ssize_t)net_poke(iov, count, 0, frame, (size_t)len);
}

static int port_send(struct net_port *n, unsigned pair, struct chain *c)
{
    struct pair *p = &((struct port *)n)->pairs[pair];
    uint8_t frame[LEN];

    if (p->served)
        abort();
    size_t len = net_peek(c->in, c->in_count, 0, frame, sizeof(frame));
    return send(p->source.fd, frame, len, MSG_DONTWAIT) < 0 ? -ENOBUFS : 0;
}

static void port_close(struct net_port *n)
{
    (void)n;
}

static int kernel_start(struct net_port *n, unsigned pair, struct virtqueue *const queues[2],
                        const int call[2], struct error *err)
{
    struct pair *p = &((struct port *)n)->pairs[pair];

    (void)err;
    if (p->served || call[0] < 0 || call[1] < 0 || queues[0]->outstanding)
        abort();
    p->served = true;
    return 0;
}

static void kernel_stop(struct net_port *n, unsigned pair, struct virtqueue *const queues[2])
{
    struct pair *p = &((struct port *)n)->pairs[pair];

    if (!p->served)
        abort();
    p->served = false;
    for (unsigned i = 0; i < 2; i++)
        virtqueue_take_back(queues[i], queues[i]->next_avail);
}

static const struct net_port_ops ops = {
    .attach = port_attach,
    .begin = port_begin,
    .set_offloads = port_offloads,
    .set_pairs = port_pairs,
    .receive = port_receive,
    .send = port_send,
    .close = port_close,
    .kernel_start = kernel_start,
    .kernel_stop = kernel_stop,
};

/* ---- the world outside ---- */

static void *outside(void *arg)
{
    struct port *port = arg;
    uint8_t frame[LEN] = {0}, got[LEN];
    const struct timespec pause = {.tv_nsec = 50000};

    memcpy(frame + NET_HEADER, our_mac, 6);
    memset(frame + NET_HEADER + 14, 0x5a, sizeof(frame) - NET_HEADER - 14);
    for (unsigned n = 0; !port->over; n++) {
        struct pair *p = &port->pairs[n % PAIRS];
        if (send(p->end, frame, 60 + n % (LEN - 60), MSG_DONTWAIT) < 0)
            nanosleep(&pause, NULL);
        while (recv(p->end, got, sizeof(got), MSG_DONTWAIT) >= 0)
            ;
        if (n % 64 == 0)
            net_set_link(port->port.net, n / 64 % 4 != 0);
        if (n % 100 == 0)
            net_announce(port->port.net);
    }
    return NULL;
}

/* ---- the driver ---- */

static void collect(struct driver *d, struct port *port)
{
    uint32_t len;

    for (unsigned q = 0; q < 2 * PAIRS; q++)
        while (driver_used(d, q, NULL, &len))
            if (q % 2 == 0) {
                port->came++;
                port->broken += !len || len > LEN; /* a part of one */
            }
}

/* The answer to a command is not waited for: it may come, or the reset. */
static void command(struct driver *d, uint8_t class, uint8_t what, const void *data, uint32_t len)
{
    struct seg s[] = {driver_bytes(d, (uint8_t[]){class, what}, 2), driver_bytes(d, data, len),
                      driver_buffer(d, 1, true)};

    driver_send(d, 2 * PAIRS, s, 3);
}

static void one_life(struct board *b, struct driver *d, struct port *port, unsigned round)
{
    const uint8_t on = round & 1, frame[100] = {0};
    const uint16_t pairs = (uint16_t)(1 + round % PAIRS);

    board_free_all(b);
    d->no_msix = round % 5 == 4;
    assert_true(driver_start(d, DRIVER_ALL, 2 * PAIRS + 1, 32));
    command(d, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs, 2);
    for (unsigned i = 0; i < 30; i++) {
        for (unsigned q = 0; q < 2 * PAIRS; q++) {
            struct seg s = q % 2 ? driver_bytes(d, frame, sizeof(frame))
                                 : driver_buffer(d, 300 + 400 * (i & 1), true);
            driver_send(d, q, &s, 1);
        }
        command(d, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &on, 1);
        if (i % 8 == 7)
            command(d, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, our_mac, 6);
        if (round % 3 == 2 && i == 20)
            driver_mask(d, 1 + round % 6, i & 1);
        collect(d, port);
    }
    assert_true(driver_reset(d));
}

static void all_at_once(bool kernel)
{
    static struct port port;
    static struct board b;
    static struct driver d;
    struct net_config config = {.port = &port.port, .name = "network 0"};
    struct error err;
    pthread_t thread;

    memset(&port, 0, sizeof(port));
    port.port = (struct net_port){
        .ops = &ops, .features = NET_OFFLOADS, .pairs = PAIRS, .mtu = 1500, .kernel = kernel};
    for (unsigned i = 0; i < PAIRS; i++) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        port.pairs[i] = (struct pair){.port = &port, .index = i, .end = ends[1]};
        port.pairs[i].source =
            (struct worker_source){.fd = ends[0], .ready = on_frame, .arg = &port.pairs[i]};
    }
    memcpy(config.mac, our_mac, 6);
    assert_int_equal(board_init(&b, true), 0);
    assert_non_null(net_add(&b.virtio, &config, &err));
    assert_int_equal(board_start(&b), 0);
    assert_true(driver_probe(&d, &b, 1));
    assert_int_equal(pthread_create(&thread, NULL, outside, &port), 0);
    for (unsigned i = 0; i < ROUNDS; i++)
        one_life(&b, &d, &port, i);
    /* With pult serving it and the cable in, frames come in the end. */
    assert_true(kernel || port.came > 0);
    port.over = true;
    pthread_join(thread, NULL);
    assert_int_equal(port.broken, 0);
    board_destroy(&b);
    for (unsigned i = 0; i < PAIRS; i++) {
        close(port.pairs[i].end);
        close(port.pairs[i].source.fd);
    }
}

static void served_here(void **state)
{
    (void)state;
    all_at_once(false);
}

static void served_by_the_kernel(void **state)
{
    (void)state;
    all_at_once(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(served_here),
        cmocka_unit_test(served_by_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
