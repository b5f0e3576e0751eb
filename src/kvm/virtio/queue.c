/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues, see queue.h. Section numbers are those of virtio 1.2.
 *
 * All that is read here can change while it is read: rings and descriptors are the driver's
 * memory. So each field is loaded once, with an atomic load, and checked in that copy.
 */
#include "kvm/virtio/queue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/util.h"
#include "kvm/memory.h"
#include "kvm/virtio/transport.h"

/* The rings as 16-bit words: flags, idx, entries, event (2.7.6, 2.7.8). */
enum { RING_FLAGS, RING_INDEX, RING_ENTRIES };
#define USED_ENTRY_WORDS 4 /* a used element: two 32-bit numbers */

static uint16_t load16(const uint16_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void store16(uint16_t *p, uint16_t value)
{
    __atomic_store_n(p, value, __ATOMIC_RELAXED);
}

/* Which of its used entries the driver wants to be interrupted for (2.7.7). */
static uint16_t *used_event(const struct virtqueue *q)
{
    return &q->avail[RING_ENTRIES + q->size];
}

/* Which of its available entries the device wants to be kicked for (2.7.10). */
static uint16_t *avail_event(const struct virtqueue *q)
{
    return &q->used[RING_ENTRIES + USED_ENTRY_WORDS * q->size];
}

/* ---- kicks ---- */

/*
 * Ask for a kick when something becomes available. Returns true if something did before the
 * driver could know.
 */
static bool want_kicks(struct virtqueue *q)
{
    if (q->event_index)
        store16(avail_event(q), q->next_avail);
    else if (q->kicks_off)
        store16(&q->used[RING_FLAGS], 0);
    q->kicks_off = false;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return load16(&q->avail[RING_INDEX]) != q->next_avail;
}

/* With event indices there is nothing to be done: no kick comes before the index that was set. */
static void want_no_kicks(struct virtqueue *q)
{
    if (q->kicks_off || q->event_index)
        return;
    q->kicks_off = true;
    store16(&q->used[RING_FLAGS], VRING_USED_F_NO_NOTIFY);
}

void virtqueue_kick(struct virtqueue *q)
{
    eventfd_write(q->kick_fd, 1);
}

/* ---- taking chains ---- */

/* What a walk over a chain's descriptors has come to. */
struct walk {
    const struct virtqueue *q;
    const uint8_t *table;
    unsigned entries; /* of the table */
    unsigned count;   /* descriptors seen so far */
    unsigned room;    /* in chain->in */
    bool inside;      /* an indirect table */
};

/*
 * Read it once: what comes after the barrier cannot look into the table again. An indirect table
 * may begin anywhere.
 */
static struct vring_desc load_descriptor(const struct walk *w, unsigned i)
{
    struct vring_desc d;

    memcpy(&d, w->table + i * sizeof(d), sizeof(d));
    __asm__ volatile("" ::: "memory");
    return d;
}

/* Append a buffer to the chain. NULL, or what is wrong with it. */
static const char *add_buffer(struct walk *w, struct chain *c, const struct vring_desc *d)
{
    const struct memory *m = w->q->device->memory;
    bool writable = d->flags & VRING_DESC_F_WRITE;

    if (!writable && c->out_count)
        return "a readable descriptor after a writable one"; /* 2.7.4.2 */
    if (d->len == 0)
        return NULL;
    void *host = memory_at(m, d->addr, d->len);
    if (!host)
        return "a buffer outside of memory";
    if (c->in_count + c->out_count == w->room)
        return "a chain of too many buffers";
    c->in[c->in_count + c->out_count] = (struct iovec){.iov_base = host, .iov_len = d->len};
    if (writable) {
        c->out_count++;
        c->writable += d->len;
    } else {
        c->in_count++;
        c->readable += d->len;
    }
    return NULL;
}

/* Go on in an indirect table (2.7.5.3). */
static const char *enter_table(struct walk *w, const struct vring_desc *d)
{
    if (!w->q->indirect)
        return "an indirect descriptor, which was not negotiated";
    if (w->inside)
        return "an indirect table in an indirect table";
    if (d->flags & VRING_DESC_F_NEXT)
        return "an indirect descriptor with a next one";
    if (d->len == 0 || d->len % sizeof(struct vring_desc))
        return "an indirect table of a wrong size";
    w->table = memory_at(w->q->device->memory, d->addr, d->len);
    if (!w->table)
        return "an indirect table outside of memory";
    w->entries = d->len / (unsigned)sizeof(struct vring_desc);
    w->inside = true;
    return NULL;
}

/* Follow a chain from its head to its end. NULL, or what is wrong with it. */
static const char *walk_chain(struct walk *w, struct chain *c)
{
    unsigned at = c->head;

    for (;;) {
        const char *wrong;
        if (at >= w->entries)
            return "a descriptor beyond the table";
        const struct vring_desc d = load_descriptor(w, at);
        if (d.flags & VRING_DESC_F_INDIRECT) {
            if ((wrong = enter_table(w, &d)))
                return wrong;
            at = 0;
            continue;
        }
        /* 2.7.5.3.1: no longer than the queue, which also ends every loop. */
        if (w->count++ == w->q->size)
            return "a chain longer than the queue";
        if ((wrong = add_buffer(w, c, &d)))
            return wrong;
        if (!(d.flags & VRING_DESC_F_NEXT))
            return NULL;
        at = d.next;
    }
}

/* Is there something to be taken? If not, the driver will kick when there is. */
static bool is_available(struct virtqueue *q)
{
    /* The entries are read after the index. */
    uint16_t index = __atomic_load_n(&q->avail[RING_INDEX], __ATOMIC_ACQUIRE);

    if (index == q->next_avail) {
        if (!want_kicks(q))
            return false;
        index = __atomic_load_n(&q->avail[RING_INDEX], __ATOMIC_ACQUIRE);
    }
    if ((uint16_t)(index - q->next_avail) > q->size || q->outstanding >= q->size) {
        virtio_fail(q->device, "queue %u: more chains than the queue has entries", q->index);
        return false;
    }
    return true;
}

/* Make the chain that begins at a head. NULL, or what is wrong with it. */
static const char *take(struct virtqueue *q, uint16_t head, struct chain *c, struct iovec *iov,
                        unsigned room)
{
    struct walk w = {.q = q, .table = (const uint8_t *)q->desc, .entries = q->size, .room = room};

    *c = (struct chain){.queue = q, .head = head, .in = iov};
    const char *wrong = walk_chain(&w, c);
    c->out = c->in + c->in_count;
    return wrong;
}

bool virtqueue_retake(struct virtqueue *q, uint16_t head, struct chain *c, struct iovec *iov,
                      unsigned room)
{
    return q->enabled && !take(q, head, c, iov, room);
}

bool virtqueue_pop_into(struct virtqueue *q, struct chain *c, struct iovec *iov, unsigned room)
{
    if (q->state != VIRTQUEUE_LIVE)
        return false;
    if (q->budget == 0) {
        q->more = true;
        return false;
    }
    if (!is_available(q))
        return false;
    want_no_kicks(q);
    const uint16_t head = load16(&q->avail[RING_ENTRIES + (q->next_avail & (q->size - 1))]);
    const char *wrong = take(q, head, c, iov, room);
    if (wrong) {
        virtio_fail(q->device, "queue %u: %s", q->index, wrong);
        return false;
    }
    q->next_avail++;
    q->outstanding++;
    q->budget--;
    return true;
}

bool virtqueue_pop(struct virtqueue *q, struct chain *c)
{
    return virtqueue_pop_into(q, c, q->iov, q->max_size);
}

void virtqueue_unpop(struct virtqueue *q, struct chain *c)
{
    if (q->state == VIRTQUEUE_DEAD || c->queue != q)
        return;
    q->next_avail--;
    q->outstanding--;
    c->queue = NULL;
}

bool virtqueue_is_waiting(const struct virtqueue *q)
{
    return q->state == VIRTQUEUE_LIVE &&
           __atomic_load_n(&q->avail[RING_INDEX], __ATOMIC_RELAXED) != q->next_avail;
}

/* ---- giving chains back ---- */

void virtqueue_push(struct virtqueue *q, const struct chain *c, size_t written)
{
    if (q->state == VIRTQUEUE_DEAD)
        return;
    uint16_t *entry = &q->used[RING_ENTRIES + USED_ENTRY_WORDS * (q->next_used & (q->size - 1))];
    const struct vring_used_elem e = {
        .id = c->head,
        .len = (uint32_t)min(written, (size_t)UINT32_MAX),
    };

    memcpy(entry, &e, sizeof(e));
    q->next_used++;
    q->outstanding--;
}

/* Does the driver want to hear of the entries [last, next_used)? (2.7.7.2) */
static bool wants_interrupt(const struct virtqueue *q)
{
    if (q->event_index)
        return vring_need_event(load16(used_event(q)), q->next_used, q->last_flush);
    return !(load16(&q->avail[RING_FLAGS]) & VRING_AVAIL_F_NO_INTERRUPT);
}

void virtqueue_flush(struct virtqueue *q)
{
    if (q->state == VIRTQUEUE_DEAD || load16(&q->used[RING_INDEX]) == q->next_used)
        return;
    /* The entries are there before the index, and the index before what the driver wants is read. */
    __atomic_store_n(&q->used[RING_INDEX], q->next_used, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    bool interrupt = wants_interrupt(q);
    q->last_flush = q->next_used;
    if (interrupt)
        virtio_pci_interrupt(q->device, q);
}

void virtqueue_take_back(struct virtqueue *q, uint16_t next_avail)
{
    if (!q->used)
        return;
    q->next_avail = next_avail;
    q->next_used = q->last_flush = load16(&q->used[RING_INDEX]);
    q->outstanding = 0;
    q->kicks_off = true; /* perhaps */
}

/* ---- chains ---- */

/* Move between a buffer and the front of a list of iovecs, which shrinks. */
static size_t move(struct iovec **iov, unsigned *count, void *data, const void *from, size_t len)
{
    size_t done = 0;

    while (done < len && *count) {
        struct iovec *v = *iov;
        size_t n = min(len - done, v->iov_len);
        if (data)
            memcpy((uint8_t *)data + done, v->iov_base, n);
        else if (from)
            memcpy(v->iov_base, (const uint8_t *)from + done, n);
        done += n;
        v->iov_base = (uint8_t *)v->iov_base + n;
        v->iov_len -= n;
        if (!v->iov_len) {
            (*iov)++;
            (*count)--;
        }
    }
    return done;
}

size_t chain_read(struct chain *c, void *data, size_t len)
{
    size_t n = move(&c->in, &c->in_count, data, NULL, len);

    c->readable -= n;
    return n;
}

size_t chain_write(struct chain *c, const void *data, size_t len)
{
    size_t n = 0;

    if (data) {
        n = move(&c->out, &c->out_count, NULL, data, len);
    } else {
        while (n < len && c->out_count) {
            size_t piece = min(len - n, c->out->iov_len);
            memset(c->out->iov_base, 0, piece);
            n += move(&c->out, &c->out_count, NULL, NULL, piece);
        }
    }
    c->writable -= n;
    c->written += n;
    return n;
}

void chain_wrote(struct chain *c, size_t len)
{
    size_t n = move(&c->out, &c->out_count, NULL, NULL, len);

    c->writable -= n;
    c->written += n;
}

uint8_t *chain_take_last(struct chain *c)
{
    if (!c->out_count)
        return NULL;
    struct iovec *v = &c->out[c->out_count - 1];

    c->writable--;
    if (--v->iov_len == 0)
        c->out_count--;
    return (uint8_t *)v->iov_base + v->iov_len;
}

/* ---- life ---- */

void virtqueue_serve(struct virtqueue *q)
{
    if (q->state != VIRTQUEUE_LIVE)
        return;
    q->more = false;
    q->budget = VIRTIO_BUDGET;
    q->device->type->handle(q);
    q->budget = UINT32_MAX; /* outside of handlers the device looks after itself */
    virtqueue_flush(q);
    if (q->more)
        virtqueue_kick(q);
}

/* Kicks are counted by nobody: the source is edge-triggered, and nothing is read (worker.h). */
static void on_kick(void *arg, uint32_t events)
{
    (void)events;
    virtqueue_serve(arg);
}

const char *virtqueue_enable(struct virtqueue *q)
{
    const struct memory *m = q->device->memory;
    const uint64_t n = q->size;

    if (q->desc_at % 16 || q->avail_at % 2 || q->used_at % 4) /* 2.7: alignments */
        return "rings that are not aligned";
    q->desc = memory_at(m, q->desc_at, sizeof(struct vring_desc) * n);
    q->avail = memory_at(m, q->avail_at, 2 * (RING_ENTRIES + n + 1));
    q->used = memory_at(m, q->used_at, 2 * (RING_ENTRIES + USED_ENTRY_WORDS * n + 1));
    if (!q->desc || !q->avail || !q->used)
        return "rings outside of memory";
    q->enabled = true;
    return NULL;
}

/* The rings are the guest's word already; what is counted here is small or wraps. */
void virtqueue_state(struct virtqueue *q, struct state *s)
{
    uint8_t kicks_off = q->kicks_off;

    state_item(s, q->next_avail);
    state_item(s, q->next_used);
    state_item(s, q->last_flush);
    state_item(s, q->outstanding);
    state_item(s, kicks_off);
    q->kicks_off = kicks_off;
    if (s->loading && q->outstanding > q->size)
        state_refuse(s, "queue %u of '%s' holds more chains than it has entries", q->index,
                     q->device->type->name);
}

void virtqueue_reset(struct virtqueue *q)
{
    q->state = VIRTQUEUE_DEAD;
    q->size = q->max_size;
    q->enabled = false;
    q->desc_at = q->avail_at = q->used_at = 0;
    q->vector = VIRTIO_NO_VECTOR;
    q->kicks_off = q->more = false;
    q->next_avail = q->next_used = q->last_flush = 0;
    q->outstanding = 0;
    q->budget = UINT32_MAX;
    q->desc = NULL;
    q->avail = q->used = NULL;
}

int virtqueue_create(struct virtqueue *q, struct virtio_device *d, unsigned index, uint16_t size,
                     struct error *err)
{
    *q = (struct virtqueue){.device = d, .index = index, .max_size = size, .kick_at = PCI_NOWHERE};
    q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->kick_fd < 0)
        return error_set(err, errno, "create queue %u of '%s'", index, d->type->name);
    q->source = (struct worker_source){.fd = q->kick_fd, .ready = on_kick, .arg = q};
    q->iov = xcalloc(size, sizeof(q->iov[0]));
    virtqueue_reset(q);
    return 0;
}

void virtqueue_destroy(struct virtqueue *q)
{
    if (!q->iov)
        return;
    if (q->worker)
        worker_remove(q->worker, &q->source);
    close(q->kick_fd);
    free(q->iov);
    *q = (struct virtqueue){0};
}
