/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections of the socket device and their unix sockets, see vsock_private.h.
 *
 * A socket is watched edge-triggered, with all that can happen to it: `readable` remembers that
 * there may be something until a read finds that there is not, and what could not be written is
 * tried again when there is room. So a connection at work costs no call but those that move bytes.
 */
#include "kvm/virtio/vsock_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define GREETING_MOST 32u        /* "CONNECT 4294967295\n" has 19 */
#define PORTS_FIRST   (1u << 30) /* of the host, for connections that it makes */
#define PORTS_END     (1u << 31)
#define ACCEPT_MOST   16u /* at once */
#define SHUT_BOTH     (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

static void on_socket(void *arg, uint32_t events);

/* ---- the table ---- */

static struct vsock_bucket *bucket_of(struct vsock *v, uint32_t host_port, uint32_t guest_port)
{
    return &v->buckets[(host_port * 31 + guest_port) % VSOCK_BUCKETS];
}

struct vsock_conn *vsock_find(struct vsock *v, uint32_t host_port, uint32_t guest_port)
{
    struct vsock_conn *c;

    LIST_FOREACH(c, bucket_of(v, host_port, guest_port), same_hash)
    if (c->host_port == host_port && c->guest_port == guest_port)
        return c;
    return NULL;
}

static void hash(struct vsock_conn *c, uint32_t host_port, uint32_t guest_port)
{
    c->host_port = host_port;
    c->guest_port = guest_port;
    c->hashed = true;
    LIST_INSERT_HEAD(bucket_of(c->vsock, host_port, guest_port), c, same_hash);
}

static void unhash(struct vsock_conn *c)
{
    if (c->hashed)
        LIST_REMOVE(c, same_hash);
    c->hashed = false;
}

void vsock_make_ready(struct vsock_conn *c)
{
    if (c->is_ready)
        return;
    c->is_ready = true;
    TAILQ_INSERT_TAIL(&c->vsock->ready, c, ready);
}

static void close_socket(struct vsock_conn *c)
{
    if (c->source.fd < 0)
        return;
    worker_remove(c->vsock->device->workers[0], &c->source);
    close(c->source.fd);
    c->source.fd = -1;
    c->readable = false;
    free(c->kept);
    c->kept = NULL;
    c->kept_len = 0;
}

void vsock_end(struct vsock_conn *c)
{
    struct vsock *v = c->vsock;

    close_socket(c);
    unhash(c);
    if (c->is_ready)
        TAILQ_REMOVE(&v->ready, c, ready);
    TAILQ_REMOVE(&v->conns, c, all);
    v->count--;
    free(c);
}

void vsock_end_all(struct vsock *v)
{
    while (!TAILQ_EMPTY(&v->conns))
        vsock_end(TAILQ_FIRST(&v->conns));
    v->resets_len = 0;
    v->sending_waits = false;
}

void vsock_leave(struct vsock_conn *c)
{
    close_socket(c);
    c->state = VSOCK_LEFT;
}

/* There are too many: one that waits for nothing but the guest's answer has waited long enough. */
static bool make_room(struct vsock *v)
{
    struct vsock_conn *c;

    if (v->count < VSOCK_CONNECTIONS)
        return true;
    TAILQ_FOREACH(c, &v->conns, all)
    if (c->state == VSOCK_LEFT) {
        vsock_add_reset(v, c->host_port, c->guest_port);
        vsock_end(c);
        return true;
    }
    return false;
}

/* One more, with this socket, which is its own then. NULL: it cannot be. */
static struct vsock_conn *new_conn(struct vsock *v, int fd, enum vsock_state state)
{
    const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

    if (!make_room(v))
        return NULL;
    struct vsock_conn *c = xcalloc(1, sizeof(*c));
    *c = (struct vsock_conn){.vsock = v, .state = state};
    c->source = (struct worker_source){.fd = fd, .ready = on_socket, .arg = c};
    if (worker_add(v->device->workers[0], &c->source, events, NULL) < 0) {
        free(c);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&v->conns, c, all);
    v->count++;
    return c;
}

/* ---- from the guest ---- */

struct vsock_conn *vsock_accept(struct vsock *v, uint32_t host_port, uint32_t guest_port)
{
    if (!make_room(v))
        return NULL;
    cleanup_close int fd = v->owner->connect(v->arg, host_port);
    if (fd < 0)
        return NULL;
    struct vsock_conn *c = new_conn(v, fd, VSOCK_OPEN);
    if (!c)
        return NULL;
    steal_fd(fd);
    hash(c, host_port, guest_port);
    c->readable = true;
    return c;
}

bool vsock_opened(struct vsock_conn *c)
{
    char text[24];
    const int len = snprintf(text, sizeof(text), "OK %u\n", c->host_port);

    if (send(c->source.fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) != len)
        return false;
    c->state = VSOCK_OPEN;
    c->readable = true;
    return true;
}

/* So many bytes are the host's now. The guest is told before its credit is at its end. */
static void forwarded(struct vsock_conn *c, uint32_t n)
{
    c->forwarded += n;
    const uint32_t owed = c->forwarded - c->told_forwarded;
    if (n && owed + c->kept_len >= VSOCK_BUFFER / 2 &&
        !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)) {
        c->tell |= VSOCK_TELL_CREDIT;
        vsock_make_ready(c);
    }
}

/* The host reads no more: what it would have got is nobody's. */
static void host_is_deaf(struct vsock_conn *c)
{
    const uint32_t lost = c->kept_len;

    c->kept_len = 0;
    forwarded(c, lost);
    if (c->state != VSOCK_OPEN || (c->host_shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
        return;
    c->host_shut |= VIRTIO_VSOCK_SHUTDOWN_RCV;
    c->tell |= VSOCK_TELL_SHUTDOWN;
    vsock_make_ready(c);
}

/* Write, and say how much of it went. Where nobody reads, all does. */
static size_t write_out(struct vsock_conn *c, const struct iovec *iov, unsigned count, size_t len)
{
    const struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};

    if (!len)
        return 0;
    for (;;) {
        ssize_t n = sendmsg(c->source.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            return (size_t)n;
        if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
            return 0;
        if (errno == EINTR)
            continue;
        host_is_deaf(c);
        return len;
    }
}

/* Append to what is kept; there is room. */
static void keep(struct vsock_conn *c, struct chain *chain, uint32_t len)
{
    if (!c->kept)
        c->kept = xcalloc(1, VSOCK_BUFFER);
    while (len) {
        const uint32_t at = (c->kept_at + c->kept_len) % VSOCK_BUFFER;
        const uint32_t n = min(len, VSOCK_BUFFER - at);
        chain_read(chain, c->kept + at, n);
        c->kept_len += n;
        len -= n;
    }
}

/* Cut the readable part of a chain down to so many bytes. */
static void cut(struct chain *chain, size_t len)
{
    unsigned i = 0;

    chain->readable = len;
    for (; i < chain->in_count && len; i++) {
        chain->in[i].iov_len = min(chain->in[i].iov_len, len);
        len -= chain->in[i].iov_len;
    }
    chain->in_count = i;
}

bool vsock_put(struct vsock_conn *c, struct chain *chain, uint32_t len)
{
    if (len > VSOCK_BUFFER - c->kept_len)
        return false;
    if (c->host_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) {
        forwarded(c, len);
        return true;
    }
    cut(chain, len);
    uint32_t n = 0;
    if (!c->kept_len) {
        n = (uint32_t)write_out(c, chain->in, chain->in_count, len);
        chain_read(chain, NULL, n);
    }
    if (n < len)
        keep(c, chain, len - n);
    forwarded(c, n);
    return true;
}

/* The guest sends no more, and all that it sent is the host's. False: the connection is over. */
static bool flushed(struct vsock_conn *c)
{
    if (c->state == VSOCK_FLUSHING || c->guest_shut == SHUT_BOTH)
        return false;
    if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
        shutdown(c->source.fd, SHUT_WR);
    return true;
}

/* Write what was kept, as far as it goes. False: the connection is over. */
static bool flush(struct vsock_conn *c)
{
    while (c->kept_len) {
        const uint32_t first = min(c->kept_len, VSOCK_BUFFER - c->kept_at);
        const struct iovec iov[] = {{c->kept + c->kept_at, first}, {c->kept, c->kept_len - first}};
        const uint32_t n = (uint32_t)write_out(c, iov, 2, c->kept_len);
        if (!n)
            return true;
        if (!c->kept_len) /* nobody reads */
            break;
        c->kept_at = (c->kept_at + n) % VSOCK_BUFFER;
        c->kept_len -= n;
        forwarded(c, n);
    }
    return flushed(c);
}

bool vsock_guest_shut(struct vsock_conn *c, uint32_t how)
{
    const uint8_t before = c->guest_shut;

    c->guest_shut |= how & SHUT_BOTH;
    if (c->state == VSOCK_LEFT)
        return c->guest_shut != SHUT_BOTH;
    if (c->guest_shut == before)
        return true;
    if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV & ~before)
        shutdown(c->source.fd, SHUT_RD); /* who writes there finds out */
    return c->kept_len || flushed(c);
}

void vsock_guest_reset(struct vsock_conn *c)
{
    /* One that had closed, and did not want to wait for us, meant what it had sent. */
    if (c->guest_shut != SHUT_BOTH || !c->kept_len) {
        vsock_end(c);
        return;
    }
    c->state = VSOCK_FLUSHING;
    unhash(c);
}

/* ---- to the guest ---- */

/* The host sends no more, and if its end is closed, takes no more. */
static void host_is_silent(struct vsock_conn *c)
{
    c->readable = false;
    c->host_shut |= VIRTIO_VSOCK_SHUTDOWN_SEND | (c->hung_up ? VIRTIO_VSOCK_SHUTDOWN_RCV : 0);
    c->tell |= VSOCK_TELL_SHUTDOWN;
}

size_t vsock_read(struct vsock_conn *c, const struct iovec *iov, unsigned count)
{
    struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};

    for (;;) {
        ssize_t n = recvmsg(c->source.fd, &m, MSG_DONTWAIT);
        if (n > 0)
            return (size_t)n;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            c->readable = false;
        else
            host_is_silent(c);
        return 0;
    }
}

/* ---- the host's sockets ---- */

/* A port for a connection that the host makes. */
static uint32_t choose_port(struct vsock *v, uint32_t guest_port)
{
    for (;;) { /* there are more ports than connections */
        const uint32_t port = v->next_port++;
        if (v->next_port == PORTS_END)
            v->next_port = PORTS_FIRST;
        if (!vsock_find(v, port, guest_port))
            return port;
    }
}

/*
 * A new client says where it wants to go; what it sends behind that line is left where it is.
 * False: it says something else, or nothing.
 */
static bool greet(struct vsock_conn *c)
{
    static const char word[] = "CONNECT ";
    char text[GREETING_MOST + 1];
    int64_t port;

    const ssize_t n = recv(c->source.fd, text, GREETING_MOST, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    text[n] = '\0';
    char *end = memchr(text, '\n', (size_t)n);
    if (!end)
        return n > 0 && n < (ssize_t)GREETING_MOST && !c->hung_up;
    const size_t len = (size_t)(end - text) + 1;
    *end = '\0';
    if (!str_starts(text, word) ||
        number_parse(text + strlen(word), 0, UINT32_MAX - 1, &port, NULL) < 0 ||
        recv(c->source.fd, text, len, MSG_DONTWAIT) != (ssize_t)len)
        return false;
    c->state = VSOCK_REQUESTED;
    hash(c, choose_port(c->vsock, (uint32_t)port), (uint32_t)port);
    c->tell = VSOCK_TELL_REQUEST;
    vsock_make_ready(c);
    return true;
}

/* The client has gone: the guest is told as far as it knows of it. False: it is over. */
static bool hung_up(struct vsock_conn *c)
{
    switch (c->state) {
    case VSOCK_REQUESTED:
        if (!(c->tell & VSOCK_TELL_REQUEST))
            vsock_add_reset(c->vsock, c->host_port, c->guest_port);
        return false;
    case VSOCK_OPEN:
        /* What it sent before comes first, unless nobody wants that. */
        if (!c->readable || (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
            host_is_silent(c);
        host_is_deaf(c);
        return true;
    default:
        return c->state == VSOCK_GREETING;
    }
}

static void on_socket(void *arg, uint32_t events)
{
    struct vsock_conn *c = arg;
    struct vsock *v = c->vsock;
    bool goes_on = true;

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->readable = !(c->host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND);
    c->hung_up |= (events & (EPOLLHUP | EPOLLERR)) != 0;
    if (c->state == VSOCK_GREETING)
        goes_on = greet(c);
    if (goes_on && (events & EPOLLOUT) && c->kept_len && !flush(c)) {
        if (c->state == VSOCK_OPEN)
            vsock_add_reset(v, c->host_port, c->guest_port);
        goes_on = false;
    }
    if (goes_on && c->hung_up)
        goes_on = hung_up(c);
    if (!goes_on)
        vsock_end(c);
    else if (c->state == VSOCK_OPEN)
        vsock_make_ready(c);
    vsock_pump(v);
}

/* May whoever is behind this descriptor talk to the guest? */
static bool is_permitted(const struct vsock *v, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == v->user);
}

void vsock_on_listener(void *vsock, uint32_t events)
{
    struct vsock *v = vsock;

    (void)events;
    for (unsigned i = 0; i < ACCEPT_MOST; i++) {
        cleanup_close int fd = accept4(v->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            break;
        if (vsock_has_driver(v) && is_permitted(v, fd) && new_conn(v, fd, VSOCK_GREETING))
            steal_fd(fd);
    }
}
