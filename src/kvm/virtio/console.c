/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Terminals and named ports, see console.h. Section numbers are those of virtio 1.2.
 *
 * What is to be told to the driver of named ports is not queued but remembered, as one bit for
 * each kind of message and port: however a driver asks, there is room for the answers.
 *
 * The loop's system calls: write (eventfds).
 */
#include "kvm/virtio/console.h"

#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define QUEUE_SIZE  32           /* a driver fills the receiving one with pages */
#define TURN        (256u << 10) /* bytes passed on before others are served */
#define INPUT_TURNS 64           /* buffers filled at once, should the driver be as quick */
#define LAST_MOST   (4u << 20)   /* bytes of a machine that has ended */

/* 5.3.2: queues 0 and 1 are port 0's, 2 and 3 for control, then two for each port more. */
enum { CONTROL_RX = 2, CONTROL_TX = 3, PORT_1 = 4 };

/* What the driver has not been told yet (5.3.6.2), in the order of telling. */
enum { TELL_ADD = 1, TELL_NAME = 2, TELL_OPEN = 4 };

struct virtio_port {
    struct ports *device;
    unsigned id;
    char name[VIRTIO_PORT_NAME + 1];
    const struct virtio_port_line *line;
    void *arg;
    struct virtqueue *rx, *tx;
    size_t taken;  /* bytes of the next buffer in tx that were passed on */
    bool refused;  /* the line waits for room in rx */
    bool open;     /* in the guest */
    bool ready;    /* a named port: the driver knows it */
    bool attended; /* a named port: somebody is at our end */
    unsigned tell;
};

/* A device and its ports. */
struct ports {
    struct virtio_device *virtio;
    struct virtio_console_config config; /* as it shall be; under the device's lock */
    bool resized;
    struct worker_call call; /* catches up with what was asked for from outside of a handler */
    unsigned count;
    struct virtio_port port[];
};

/* ---- bytes ---- */

/* Pass on what the guest sends, as much as the line takes. */
static void transmit(struct virtio_port *p)
{
    struct chain c;
    size_t left = TURN;

    while (left && virtqueue_pop(p->tx, &c)) {
        chain_read(&c, NULL, p->taken);
        while (left && c.in_count) {
            size_t n = min(c.in->iov_len, left);
            size_t took = p->line->put(p->arg, c.in->iov_base, n);
            chain_read(&c, NULL, took);
            p->taken += took;
            left -= took;
            if (took < n) {
                virtqueue_unpop(p->tx, &c);
                return;
            }
        }
        if (c.in_count) {
            virtqueue_unpop(p->tx, &c);
            break;
        }
        p->taken = 0;
        virtqueue_push(p->tx, &c, 0);
    }
    if (!left)
        virtqueue_kick(p->tx);
}

/* The line, which was refused, may try again. */
static void receive_again(struct virtio_port *p)
{
    if (!p->refused)
        return;
    p->refused = false;
    p->line->input_ready(p->arg);
}

static void set_open(struct virtio_port *p, bool open)
{
    if (p->open == open)
        return;
    p->open = open;
    if (p->line->opened)
        p->line->opened(p->arg, open);
}

size_t virtio_port_input(struct virtio_port *p, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    unsigned turns = 0;
    struct chain c;
    size_t done = 0;

    p->refused = true;
    if (p->device->virtio->bus->workers->pause) {
        worker_post(p->device->virtio->workers[0], &p->device->call);
        return 0;
    }
    if (!p->open)
        return 0;
    while (done < len && turns < INPUT_TURNS && virtqueue_pop(p->rx, &c)) {
        done += chain_write(&c, bytes + done, len - done);
        virtqueue_push(p->rx, &c, c.written);
        turns++;
    }
    virtqueue_flush(p->rx);
    if (turns == INPUT_TURNS)
        virtqueue_kick(p->rx);
    p->refused = done < len;
    return done;
}

void virtio_port_output_ready(struct virtio_port *p)
{
    virtqueue_kick(p->tx);
}

void virtio_port_last(struct virtio_port *p)
{
    for (unsigned done = 0; done < LAST_MOST; done += TURN)
        transmit(p);
}

/* ---- messages ---- */

/* The next thing that the driver has to be told of a port, or 0. */
static unsigned next_tell(const struct virtio_port *p)
{
    return p->tell & -p->tell;
}

static void write_message(const struct virtio_port *p, unsigned what, struct chain *c)
{
    struct virtio_console_control m = {.id = p->id};

    switch (what) {
    case TELL_ADD:
        m.event = VIRTIO_CONSOLE_PORT_ADD;
        break;
    case TELL_NAME:
        m.event = VIRTIO_CONSOLE_PORT_NAME;
        m.value = 1;
        break;
    case TELL_OPEN:
        m.event = VIRTIO_CONSOLE_PORT_OPEN;
        m.value = p->attended;
        break;
    }
    chain_write(c, &m, sizeof(m));
    if (what == TELL_NAME)
        chain_write(c, p->name, strlen(p->name));
}

/* Tell what there is to be told, as far as the driver has given buffers for it. */
static void send_messages(struct ports *d)
{
    struct virtqueue *q = &d->virtio->queues[CONTROL_RX];
    struct chain c;

    for (unsigned i = 0; i < d->count; i++) {
        struct virtio_port *p = &d->port[i];
        for (unsigned what; (what = next_tell(p)); p->tell &= ~what) {
            if (!virtqueue_pop(q, &c))
                return;
            write_message(p, what, &c);
            virtqueue_push(q, &c, c.written);
        }
    }
}

static struct virtio_port *port_of(struct ports *d, uint32_t id)
{
    return id >= 1 && id <= d->count ? &d->port[id - 1] : NULL;
}

/* What the driver says (5.3.6.2). What it says of ports that are not there is nothing. */
static void take_message(struct ports *d, const struct virtio_console_control *m)
{
    struct virtio_port *p = port_of(d, m->id);

    if (m->event == VIRTIO_CONSOLE_DEVICE_READY && m->value) {
        for (unsigned i = 0; i < d->count; i++)
            d->port[i].tell = TELL_ADD;
    } else if (m->event == VIRTIO_CONSOLE_PORT_READY && p && m->value) {
        p->ready = true;
        p->tell |= TELL_NAME | (p->attended ? TELL_OPEN : 0);
    } else if (m->event == VIRTIO_CONSOLE_PORT_OPEN && p) {
        set_open(p, m->value);
        if (p->open)
            receive_again(p);
    }
}

static void take_messages(struct ports *d, struct virtqueue *q)
{
    struct virtio_console_control m;
    struct chain c;

    while (virtqueue_pop(q, &c)) {
        if (chain_read(&c, &m, sizeof(m)) == sizeof(m))
            take_message(d, &m);
        virtqueue_push(q, &c, 0);
    }
    send_messages(d);
    virtqueue_flush(&d->virtio->queues[CONTROL_RX]);
}

/* ---- what is asked for from outside ---- */

/* Runs when no machine stands still. */
static void catch_up(void *arg)
{
    struct ports *d = arg;
    const bool multiport = d->virtio->queue_count > 2;

    if (d->resized && !multiport)
        virtio_set_config(d->virtio, 0, &d->config,
                          offsetof(struct virtio_console_config, max_nr_ports));
    d->resized = false;
    for (unsigned i = 0; i < d->count; i++)
        receive_again(&d->port[i]);
    if (multiport) {
        send_messages(d);
        virtqueue_flush(&d->virtio->queues[CONTROL_RX]);
    }
}

void virtio_port_resize(struct virtio_port *p, unsigned cols, unsigned rows)
{
    struct ports *d = p->device;

    pthread_mutex_lock(&d->virtio->lock);
    d->config.cols = (uint16_t)min(cols, (unsigned)UINT16_MAX);
    d->config.rows = (uint16_t)min(rows, (unsigned)UINT16_MAX);
    pthread_mutex_unlock(&d->virtio->lock);
    d->resized = true;
    worker_post(d->virtio->workers[0], &d->call);
}

void virtio_port_attend(struct virtio_port *p, bool yes)
{
    p->attended = yes;
    if (p->ready)
        p->tell |= TELL_OPEN;
    worker_post(p->device->virtio->workers[0], &p->device->call);
}

/* ---- the devices ---- */

static void terminal_handle(struct virtqueue *q)
{
    struct virtio_port *p = ((struct ports *)q->device->state)->port;

    set_open(p, true); /* both queues are looked at when the driver is ready */
    if (q == p->tx)
        transmit(p);
    else
        receive_again(p);
}

static void ports_handle(struct virtqueue *q)
{
    struct ports *d = q->device->state;

    if (q->index == CONTROL_TX) {
        take_messages(d, q);
    } else if (q->index == CONTROL_RX) {
        send_messages(d);
    } else if (q->index >= PORT_1) { /* port 0 is kept for a console, and there is none */
        struct virtio_port *p = &d->port[(q->index - PORT_1) / 2];
        if (q == p->tx)
            transmit(p);
        else
            receive_again(p);
    }
}

static void ports_reset(struct virtio_device *v)
{
    struct ports *d = v->state;

    for (unsigned i = 0; i < d->count; i++) {
        struct virtio_port *p = &d->port[i];
        set_open(p, false);
        p->ready = false;
        p->tell = 0;
        p->taken = 0;
    }
}

/* What the driver was told, and how far its buffers were read. Our end is as it is here and now. */
static void ports_state(struct virtio_device *v, struct state *s)
{
    struct ports *d = v->state;
    uint32_t count = d->count;

    state_section(s, v->type->name, 1);
    state_item(s, count);
    if (count != d->count) {
        state_refuse(s, "it has %u ports, and this machine %u", count, d->count);
        return;
    }
    for (unsigned i = 0; i < d->count; i++) {
        struct virtio_port *p = &d->port[i];
        uint64_t taken = p->taken;
        uint8_t open = p->open, ready = p->ready, tell = (uint8_t)p->tell;
        state_item(s, taken);
        state_item(s, open);
        state_item(s, ready);
        state_item(s, tell);
        if (!s->loading)
            continue;
        p->taken = taken;
        p->ready = ready;
        p->tell = (tell & (TELL_ADD | TELL_NAME)) | (ready ? TELL_OPEN : 0);
        set_open(p, open);
    }
    if (!s->loading)
        return;
    d->resized = true; /* the configuration that was saved has another size */
    worker_post(v->workers[0], &d->call);
}

static void ports_destroy(struct virtio_device *v)
{
    free(v->state);
}

/* The driver may write to emerg_wr (5.3.5), at any time and from any vCPU; all else is ours. */
static void terminal_config_written(struct virtio_device *v, unsigned offset, unsigned size)
{
    const unsigned emergency = offsetof(struct virtio_console_config, emerg_wr);
    const struct ports *d = v->state;
    const struct virtio_port *p = d->port;
    uint8_t byte = v->config[emergency];

    (void)size;
    memcpy(v->config, &d->config, sizeof(d->config));
    if (offset == emergency)
        p->line->emergency(p->arg, byte);
}

static const struct virtio_device_type virtio_terminal = {
    .name = "console",
    .id = VIRTIO_ID_CONSOLE,
    .class_code = 0x078000, /* communication controller, other */
    .queues = 2,
    .queue_size = QUEUE_SIZE,
    .features =
        VIRTIO_FEATURE(VIRTIO_CONSOLE_F_SIZE) | VIRTIO_FEATURE(VIRTIO_CONSOLE_F_EMERG_WRITE),
    .config_size = sizeof(struct virtio_console_config),
    .handle = terminal_handle,
    .config_written = terminal_config_written,
    .reset = ports_reset,
    .state = ports_state,
    .destroy = ports_destroy,
};

static const struct virtio_device_type virtio_ports = {
    .name = "ports",
    .id = VIRTIO_ID_CONSOLE,
    .class_code = 0x078000,
    .queues = PORT_1,
    .queue_size = QUEUE_SIZE,
    .features = VIRTIO_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT),
    .config_size = offsetof(struct virtio_console_config, emerg_wr),
    .handle = ports_handle,
    .reset = ports_reset,
    .state = ports_state,
    .destroy = ports_destroy,
};

/* Build a device of either shape; setup's ports get theirs. */
static int add(struct virtio_bus *bus, const struct virtio_device_type *type,
               struct virtio_port_setup *setup, unsigned n, struct error *err)
{
    const bool multiport = type == &virtio_ports;
    struct ports *d = xcalloc(1, sizeof(*d) + n * sizeof(d->port[0]));

    d->count = n;
    d->call = (struct worker_call){.fn = catch_up, .arg = d};
    d->config.max_nr_ports = multiport ? n + 1 : 0;
    struct virtio_setup how = {.queues = multiport ? PORT_1 + 2 * n : 0, .config = &d->config};
    d->virtio = virtio_add(bus, type, d, &how, err);
    if (!d->virtio) {
        free(d);
        return -1;
    }
    for (unsigned i = 0; i < n; i++) {
        struct virtqueue *queues = &d->virtio->queues[multiport ? PORT_1 + 2 * i : 0];
        struct virtio_port *p = setup[i].port = &d->port[i];
        *p = (struct virtio_port){.device = d,
                                  .id = i + 1,
                                  .line = setup[i].line,
                                  .arg = setup[i].arg,
                                  .rx = &queues[0],
                                  .tx = &queues[1]};
        if (setup[i].name)
            memcpy(p->name, setup[i].name, min(strlen(setup[i].name), sizeof(p->name) - 1));
    }
    return 0;
}

struct virtio_port *virtio_terminal_add(struct virtio_bus *bus, const struct virtio_port_line *line,
                                        void *arg, struct error *err)
{
    struct virtio_port_setup setup = {.line = line, .arg = arg};

    return add(bus, &virtio_terminal, &setup, 1, err) < 0 ? NULL : setup.port;
}

int virtio_ports_add(struct virtio_bus *bus, struct virtio_port_setup *setup, unsigned n,
                     struct error *err)
{
    if (n > VIRTIO_PORTS_MOST)
        return error_set(err, 0, "a VM has at most %u named ports", VIRTIO_PORTS_MOST);
    return add(bus, &virtio_ports, setup, n, err);
}
