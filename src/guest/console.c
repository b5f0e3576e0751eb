/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console: ring, readers and input, as console.h draws them.
 *
 * One lock guards the ring and its position, because vCPU threads print through console_put().
 * All else belongs to the loop thread. Input goes through one small buffer; when it is full, no
 * reader is read from until the guest has taken some.
 */
#include "guest/console.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "guest/ttymodes.h"

#define RING_MAGIC  "pultring"
#define RING_HEADER 4096u
#define INPUT_SIZE  16384u /* typed bytes that the guest has not taken yet */
#define TURN        65536u /* bytes from the guest before readers get their share */
#define CATCH_UP    65536u /* where a reader that was cut off goes on: so far before the end */
#define VEOF_BYTE   0x04
#define VEOF_TIMES  16
#define REST_MAX    (1u << 20)

struct ring_header {
    char magic[8];
    uint64_t position; /* bytes ever written */
    uint64_t size;
};

struct reader {
    struct reader *next;
    struct console *console;
    int fd;
    struct event *readable, *writable;
    struct console_reader how;
    uint64_t position; /* of the next byte to send */
    char *preface;     /* sent before it */
    size_t preface_len, preface_off;
    bool ended_input;
};

struct console {
    struct event_base *base;
    pthread_mutex_t lock;
    struct ring_header *header;
    uint8_t *ring;
    size_t size;
    struct ttymodes modes;
    bool stream;
    bool put_waits; /* console_put() took fewer than it was given */

    int wake_fd; /* eventfd: another thread printed, or can take input again */
    struct event *wake;
    bool woken;

    int pty; /* -1: none */
    struct event *pty_readable, *pty_writable;
    const struct console_port *port;
    void *port_arg;
    unsigned cols, rows; /* 0: nobody said */

    uint8_t *rest; /* printed before the unplugging, waits for room in the ring */
    size_t rest_len;

    struct event *finish_timer; /* not NULL: console_finish() was called */
    void (*finished)(void *arg);
    void *finished_arg;

    size_t input_len;
    struct reader *readers;
    uint8_t input[INPUT_SIZE]; /* last: not cleared */
};

static void wake_cb(evutil_socket_t fd, short what, void *arg);

/* ---- ring ---- */

struct console *console_create(struct event_base *base, int run_dir_fd, const char *file,
                               size_t size, struct error *err)
{
    size = min(max(size, (size_t)RING_HEADER), (size_t)CONSOLE_RING_MAX);
    size = (size + RING_HEADER - 1) / RING_HEADER * RING_HEADER;
    cleanup_close int fd =
        openat(run_dir_fd, file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)(RING_HEADER + size)) < 0) {
        error_set(err, errno, "create the console's history");
        return NULL;
    }
    /* Written, not stored: a store into a hole makes the kernel read around it first. */
    struct ring_header header = {.size = size};
    memcpy(header.magic, RING_MAGIC, sizeof header.magic);
    if (write_all(fd, &header, sizeof header) < 0) {
        error_set(err, errno, "write the console's history");
        return NULL;
    }
    void *map = mmap(NULL, RING_HEADER + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        error_set(err, errno, "map the console's history");
        return NULL;
    }
    madvise(map, RING_HEADER + size, MADV_RANDOM);
    struct console *c =
        xrealloc(NULL, 1, sizeof *c); /* whose pages are touched as they are needed */
    memset(c, 0, offsetof(struct console, input));
    c->base = base;
    c->header = map;
    c->ring = (uint8_t *)map + RING_HEADER;
    c->size = size;
    c->pty = -1;
    pthread_mutex_init(&c->lock, NULL);
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->wake = event_new(base, c->wake_fd, EV_READ | EV_PERSIST, wake_cb, c);
    if (c->wake_fd < 0 || !c->wake || event_add(c->wake, NULL) < 0) {
        error_set(err, errno, "set up the console's events");
        console_free(c);
        return NULL;
    }
    return c;
}

void console_make_stream(struct console *c)
{
    c->stream = true;
}

/* How many bytes may be written before a reader that wants every byte loses one. Locked. */
static size_t ring_room(const struct console *c)
{
    size_t room = c->size;
    for (const struct reader *r = c->readers; r; r = r->next)
        if (r->how.every_byte)
            room = min(room, c->size - (size_t)(c->header->position - r->position));
    return room;
}

/* Bytes were put into the ring at its position: count them. Locked. */
static void ring_advance(struct console *c, size_t len)
{
    if (!c->stream)
        ttymodes_feed(&c->modes, c->ring + c->header->position % c->size, len);
    __atomic_store_n(&c->header->position, c->header->position + len, __ATOMIC_RELEASE);
}

/* The piece of ring from position on that is contiguous in memory, at most len bytes. */
static struct iovec ring_piece(const struct console *c, uint64_t position, size_t len)
{
    size_t at = (size_t)(position % c->size);
    return (struct iovec){c->ring + at, min(len, c->size - at)};
}

/* Copy into the ring as much as there is room for. Locked. Returns how many bytes that is. */
static size_t ring_copy(struct console *c, const uint8_t *p, size_t len)
{
    size_t taken = min(len, ring_room(c)), left = taken;
    while (left) {
        struct iovec v = ring_piece(c, c->header->position, left);
        memcpy(v.iov_base, p, v.iov_len);
        ring_advance(c, v.iov_len);
        p += v.iov_len;
        left -= v.iov_len;
    }
    return taken;
}

size_t console_put(struct console *c, const void *data, size_t len)
{
    pthread_mutex_lock(&c->lock);
    size_t taken = c->rest_len ? 0 : ring_copy(c, data, len);
    if (taken < len)
        c->put_waits = true;
    bool wake = !c->woken && taken > 0;
    c->woken |= wake;
    pthread_mutex_unlock(&c->lock);
    if (wake)
        eventfd_write(c->wake_fd, 1);
    return taken;
}

void console_put_last(struct console *c, const void *data, size_t len)
{
    size_t taken = console_put(c, data, len);
    size_t left = min(len - taken, REST_MAX - min(c->rest_len, (size_t)REST_MAX));

    if (!left)
        return;
    pthread_mutex_lock(&c->lock);
    c->rest = xrealloc(c->rest, c->rest_len + left, 1);
    memcpy(c->rest + c->rest_len, (const uint8_t *)data + taken, left);
    c->rest_len += left;
    c->put_waits = false;
    pthread_mutex_unlock(&c->lock);
}

/* ---- readers ---- */

static void input_push(struct console *c);
static void pty_listen(struct console *c);

/* Somebody came or went: tell the port if that is the first or the last of them. */
static void attended(struct console *c, bool gone)
{
    if (c->port && c->port->attended && console_readers(c) == (gone ? 0 : 1))
        c->port->attended(c->port_arg, !gone);
}

static void reader_free(struct reader *r)
{
    struct console *c = r->console;
    pthread_mutex_lock(&c->lock);
    for (struct reader **p = &c->readers; *p; p = &(*p)->next) {
        if (*p == r) {
            *p = r->next;
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
    if (r->readable)
        event_free(r->readable);
    if (r->writable)
        event_free(r->writable);
    close(r->fd);
    free(r->preface);
    free(r);
    attended(c, true);
}

/* Put the modes of the terminal before what the reader gets next. Locked. */
static void reader_restate(struct reader *r, const void *first, size_t first_len)
{
    char modes[TTYMODES_MAX];
    size_t n = ttymodes_restate(&r->console->modes, modes);
    free(r->preface);
    r->preface = xcalloc(1, first_len + n + 1);
    if (first_len)
        memcpy(r->preface, first, first_len);
    memcpy(r->preface + first_len, modes, n);
    r->preface_len = first_len + n;
    r->preface_off = 0;
}

/* Set a reader to about `back` bytes before the end, at the start of a line. Locked. */
static void reader_place(struct reader *r, uint64_t back)
{
    const struct console *c = r->console;
    uint64_t end = c->header->position;
    back = min(back, min(end, (uint64_t)c->size));
    r->position = end - back;
    if (back == end)
        return;
    for (uint64_t i = r->position; i < end && i < r->position + 4096; i++) {
        if (c->ring[i % c->size] == '\n') {
            r->position = i + 1;
            return;
        }
    }
}

/* What is to be sent next. Locked. Returns the number of pieces, 0: nothing. */
static int reader_pieces(struct reader *r, struct iovec v[3])
{
    struct console *c = r->console;
    if (c->header->position - r->position > c->size) {
        reader_place(r, min((uint64_t)CATCH_UP, (uint64_t)c->size / 2));
        if (r->preface_off == r->preface_len)
            reader_restate(r, NULL, 0);
    }
    int n = 0;
    if (r->preface_off < r->preface_len)
        v[n++] = (struct iovec){r->preface + r->preface_off, r->preface_len - r->preface_off};
    size_t left = (size_t)(c->header->position - r->position);
    for (uint64_t at = r->position; left && n < 3; n++) {
        v[n] = ring_piece(c, at, left);
        at += v[n].iov_len;
        left -= v[n].iov_len;
    }
    return n;
}

/* Account for bytes that were sent. Locked. */
static void reader_sent(struct reader *r, size_t n)
{
    size_t of_preface = min(n, r->preface_len - r->preface_off);
    r->preface_off += of_preface;
    r->position += n - of_preface;
}

/* Send as much as the socket takes. -1: the reader is gone. 1: there is more. 0: all is sent. */
static int reader_flush(struct reader *r)
{
    struct console *c = r->console;
    struct iovec v[3];
    int ret = 0;
    pthread_mutex_lock(&c->lock);
    for (int n; (n = reader_pieces(r, v)) > 0;) {
        struct msghdr m = {.msg_iov = v, .msg_iovlen = (size_t)n};
        ssize_t sent = sendmsg(r->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            ret = errno == EAGAIN || errno == EINTR ? 1 : -1;
            break;
        }
        reader_sent(r, (size_t)sent);
    }
    pthread_mutex_unlock(&c->lock);
    return ret;
}

/* Call who waits for the last reader to be gone. */
static void finish_check(struct console *c)
{
    if (c->finish_timer && !c->readers && c->finished) {
        void (*finished)(void *arg) = c->finished;
        c->finished = NULL;
        finished(c->finished_arg);
    }
}

/*
 * Send to a reader, and wait for its socket if that is full. Frees a reader that is gone, and,
 * when all is over, one that has everything.
 */
static void reader_serve(struct reader *r)
{
    const struct console *c = r->console;
    int left = reader_flush(r);
    if (left < 0 || (left == 0 && c->finish_timer && c->rest_len == 0))
        reader_free(r);
    else if (left > 0)
        event_add(r->writable, NULL);
}

static void serve_all(struct console *c)
{
    for (struct reader *r = c->readers, *next; r; r = next) {
        next = r->next;
        if (!event_pending(r->writable, EV_WRITE, NULL))
            reader_serve(r);
    }
}

/* Readers have moved on: what waited beside the ring goes in. True if it did. */
static bool rest_resume(struct console *c)
{
    pthread_mutex_lock(&c->lock);
    size_t taken = c->rest_len ? ring_copy(c, c->rest, c->rest_len) : 0;
    c->rest_len -= taken;
    if (taken)
        memmove(c->rest, c->rest + taken, c->rest_len);
    pthread_mutex_unlock(&c->lock);
    return taken > 0;
}

/* Readers have moved on, or are gone: let a guest go on that had to wait for one. */
static void output_resume(struct console *c)
{
    while (rest_resume(c))
        serve_all(c);
    finish_check(c);
    pthread_mutex_lock(&c->lock);
    bool room = c->rest_len == 0 && ring_room(c) > 0;
    bool port_waits = room && c->put_waits;
    if (port_waits)
        c->put_waits = false;
    pthread_mutex_unlock(&c->lock);
    if (room && c->pty >= 0)
        pty_listen(c);
    if (port_waits && c->port)
        c->port->output_ready(c->port_arg);
}

static void reader_writable_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct reader *r = arg;
    struct console *c = r->console;
    reader_serve(r);
    output_resume(c);
}

/* Another thread printed, or its device can take input. */
static void wake_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct console *c = arg;
    eventfd_t n;
    eventfd_read(fd, &n);
    pthread_mutex_lock(&c->lock);
    c->woken = false;
    pthread_mutex_unlock(&c->lock);
    serve_all(c);
    output_resume(c);
    input_push(c);
}

/* ---- input ---- */

/* Read from readers only while there is room for what they send. */
static void input_listen(struct console *c)
{
    for (struct reader *r = c->readers; r; r = r->next) {
        if (r->ended_input)
            continue;
        if (c->input_len < INPUT_SIZE)
            event_add(r->readable, NULL);
        else
            event_del(r->readable);
    }
}

/* Give the guest what was typed, as much as it takes. */
static void input_push(struct console *c)
{
    size_t taken = 0;
    if (c->input_len == 0)
        return;
    if (c->pty >= 0) {
        ssize_t n = write(c->pty, c->input, c->input_len);
        taken = n > 0 ? (size_t)n : 0;
        if (taken < c->input_len)
            event_add(c->pty_writable, NULL);
    } else if (c->port) {
        taken = c->port->input(c->port_arg, c->input, c->input_len);
    }
    c->input_len -= taken;
    memmove(c->input, c->input + taken, c->input_len);
    if (taken)
        input_listen(c);
}

void console_input_ready(struct console *c)
{
    eventfd_write(c->wake_fd, 1);
}

void console_type(struct console *c, const void *data, size_t len)
{
    len = min(len, (size_t)INPUT_SIZE - c->input_len);
    if (len == 0)
        return;
    memcpy(c->input + c->input_len, data, len);
    c->input_len += len;
    input_push(c);
    input_listen(c);
}

/*
 * A reader that wants every byte has no more to say: the guest's terminal reads end of file. Each
 * of these ends one read: of a line without an end, then of who reads next, and so on.
 */
static void input_eof(struct console *c)
{
    bool terminal = !c->stream && (c->pty >= 0 || c->port);
    for (unsigned n = 0; terminal && n < VEOF_TIMES && c->input_len < INPUT_SIZE; n++)
        c->input[c->input_len++] = VEOF_BYTE;
    input_push(c);
}

/* Is the other end closed for both directions? */
static bool hung_up(int fd)
{
    struct pollfd p = {.fd = fd};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static void reader_readable_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct reader *r = arg;
    struct console *c = r->console;
    uint8_t trash[1024];
    uint8_t *to = r->how.mute ? trash : c->input + c->input_len;
    size_t room = r->how.mute ? sizeof trash : INPUT_SIZE - c->input_len;
    ssize_t n = room ? read(fd, to, room) : 0;
    if (room == 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    if (n <= 0 && (!r->how.every_byte || n < 0 || hung_up(fd))) {
        reader_free(r);
        output_resume(c);
        return;
    }
    if (n == 0) {
        r->ended_input = true;
        event_del(r->readable);
        if (!r->how.mute)
            input_eof(c);
        return;
    }
    if (!r->how.mute) {
        c->input_len += (size_t)n;
        input_push(c);
    }
    input_listen(c);
}

/* ---- the guest's end ---- */

/* Move what the guest printed into the ring, up to a turn's worth. Returns bytes, 0: none now. */
static size_t pty_take(struct console *c)
{
    size_t total = 0;
    while (total < TURN) {
        pthread_mutex_lock(&c->lock);
        size_t room = c->rest_len ? 0 : ring_room(c);
        struct iovec v = ring_piece(c, c->header->position, room);
        ssize_t n = v.iov_len ? read(c->pty, v.iov_base, v.iov_len) : 0;
        if (n > 0)
            ring_advance(c, (size_t)n);
        pthread_mutex_unlock(&c->lock);
        if (n > 0)
            total += (size_t)n;
        if (n <= 0)
            break;
    }
    return total;
}

static void pty_readable_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct console *c = arg;
    size_t n = pty_take(c);
    serve_all(c);
    pthread_mutex_lock(&c->lock);
    bool full = ring_room(c) == 0;
    pthread_mutex_unlock(&c->lock);
    /* Nobody has the other side open (which an engine prevents): there is nothing to wait for. */
    if (full || (n == 0 && hung_up(c->pty)))
        event_del(c->pty_readable);
}

static void pty_writable_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    input_push(arg);
}

static void pty_listen(struct console *c)
{
    if (!event_pending(c->pty_readable, EV_READ, NULL))
        event_add(c->pty_readable, NULL);
}

void console_plug(struct console *c, const struct console_port *port, void *arg)
{
    c->port = port;
    c->port_arg = arg;
    if (port->resize && c->cols && c->rows)
        port->resize(arg, c->cols, c->rows);
    if (port->attended)
        port->attended(arg, c->readers != NULL);
    input_push(c);
}

int console_plug_fd(struct console *c, int fd, struct error *err)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_set(err, errno, "plug in the console");
    c->pty_readable = event_new(c->base, fd, EV_READ | EV_PERSIST, pty_readable_cb, c);
    c->pty_writable = event_new(c->base, fd, EV_WRITE, pty_writable_cb, c);
    if (!c->pty_readable || !c->pty_writable || event_add(c->pty_readable, NULL) < 0)
        return error_set(err, ENOMEM, "plug in the console");
    c->pty = fd;
    input_push(c);
    return 0;
}

/* Take what is left in the pty when the ring is full. A pty holds less than this. */
static void rest_take(struct console *c)
{
    while (c->rest_len < REST_MAX) {
        c->rest = xrealloc(c->rest, c->rest_len + TURN, 1);
        ssize_t n = read(c->pty, c->rest + c->rest_len, TURN);
        if (n <= 0)
            return;
        c->rest_len += (size_t)n;
    }
}

void console_unplug(struct console *c)
{
    if (c->pty >= 0) {
        while (pty_take(c) > 0)
            serve_all(c);
        rest_take(c);
        event_free(c->pty_readable);
        event_free(c->pty_writable);
        c->pty_readable = c->pty_writable = NULL;
        c->pty = -1;
    }
    c->port = NULL;
    c->input_len = 0;
    input_listen(c); /* its buffer has room again */
}

/* ---- keeper's side ---- */

int console_attach(struct console *c, int fd, const struct console_reader *how, const void *first,
                   size_t first_len, struct error *err)
{
    struct reader *r = xcalloc(1, sizeof *r);
    r->console = c;
    r->fd = fd;
    r->how = *how;
    if (c->stream)
        r->how = (struct console_reader){.every_byte = true, .mute = how->mute};
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    r->readable = event_new(c->base, fd, EV_READ | EV_PERSIST, reader_readable_cb, r);
    r->writable = event_new(c->base, fd, EV_WRITE, reader_writable_cb, r);
    if (flags < 0 || !r->readable || !r->writable) {
        error_set(err, flags < 0 ? errno : ENOMEM, "attach to the console");
        reader_free(r);
        return -1;
    }
    pthread_mutex_lock(&c->lock);
    reader_place(r, r->how.history);
    if (c->modes.on) {
        reader_restate(r, first, first_len);
    } else if (first_len) {
        r->preface = xcalloc(1, first_len);
        memcpy(r->preface, first, first_len);
        r->preface_len = first_len;
    }
    r->next = c->readers;
    c->readers = r;
    pthread_mutex_unlock(&c->lock);
    attended(c, false);
    input_listen(c);
    reader_serve(r);
    return 0;
}

unsigned console_readers(const struct console *c)
{
    unsigned n = 0;
    for (const struct reader *r = c->readers; r; r = r->next)
        n++;
    return n;
}

void console_resize(struct console *c, unsigned cols, unsigned rows)
{
    c->cols = cols;
    c->rows = rows;
    if (c->port && c->port->resize)
        c->port->resize(c->port_arg, cols, rows);
}

/* Time is up for readers that need not have every byte. */
static void finish_timer_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct console *c = arg;
    for (struct reader *r = c->readers, *next; r; r = next) {
        next = r->next;
        if (!r->how.every_byte)
            reader_free(r);
    }
    output_resume(c);
}

void console_finish(struct console *c, unsigned ms, void (*done)(void *arg), void *arg)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    c->finished = done;
    c->finished_arg = arg;
    c->finish_timer = evtimer_new(c->base, finish_timer_cb, c);
    if (!c->finish_timer) {
        done(arg);
        return;
    }
    evtimer_add(c->finish_timer, &tv);
    serve_all(c);
    output_resume(c);
}

void console_free(struct console *c)
{
    if (!c)
        return;
    if (c->pty >= 0 || c->port)
        console_unplug(c);
    while (c->readers)
        reader_free(c->readers);
    if (c->wake)
        event_free(c->wake);
    if (c->finish_timer)
        event_free(c->finish_timer);
    free(c->rest);
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    munmap(c->header, RING_HEADER + c->size);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- anybody's side ---- */

int console_history(int run_dir_fd, char **data, size_t *len, struct error *err)
{
    cleanup_close int fd =
        openat(run_dir_fd, CONSOLE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct ring_header h;
    struct stat st;
    if (fd < 0)
        return error_set(err, errno, "open the console's history");
    if (fstat(fd, &st) < 0 || pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h ||
        memcmp(h.magic, RING_MAGIC, sizeof h.magic) != 0 || h.size == 0 ||
        h.size > CONSOLE_RING_MAX || (uint64_t)st.st_size < RING_HEADER + h.size)
        return error_set(err, EINVAL, "read the console's history");
    size_t n = (size_t)min(h.position, h.size);
    size_t at = h.position > h.size ? (size_t)(h.position % h.size) : 0;
    size_t tail = min(n, (size_t)h.size - at);
    cleanup_free char *out = xcalloc(1, n + 1);
    if (pread(fd, out, tail, (off_t)(RING_HEADER + at)) != (ssize_t)tail ||
        pread(fd, out + tail, n - tail, RING_HEADER) != (ssize_t)(n - tail))
        return error_set(err, EIO, "read the console's history");
    *len = n;
    *data = steal_ptr(out);
    return 0;
}

size_t console_plain(char *data, size_t len)
{
    enum { TEXT, ESCAPE, CSI, STRING, CHARSET } state = TEXT;
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        switch (state) {
        case TEXT:
            if (c == 0x1b)
                state = ESCAPE;
            else if (c == '\b')
                out -= out > 0 && data[out - 1] != '\n';
            else if (c >= ' ' || c == '\n' || c == '\t')
                data[out++] = (char)c;
            break;
        case ESCAPE:
            state = c == '['                                                   ? CSI
                    : c == ']' || c == 'P' || c == '_' || c == '^' || c == 'X' ? STRING
                    : c == '(' || c == ')' || c == '#' || c == '%'             ? CHARSET
                                                                               : TEXT;
            break;
        case CSI:
            if (c >= 0x40)
                state = TEXT;
            break;
        case STRING:
            state = c == 0x07 ? TEXT : c == 0x1b ? ESCAPE : STRING;
            break;
        case CHARSET:
            state = TEXT;
            break;
        }
    }
    return out;
}
