/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control protocol, against a keeper whose guest does as the input says: each line gets
 * exactly one answer, of the form that is promised, however the lines come, whatever the engine
 * answers and whatever comes beside them; and a connection that is gone leaves nothing.
 */
#include "fuzz/feed.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "fuzz/dir.h"
#include "guest/control.h"
#include "guest/keeper_private.h"

static struct feed *decide; /* what the engine does */

/* ---- an engine that does as it is told ---- */

static int outcome(struct error *err)
{
    if (!feed_rarely(decide, 4))
        return 0;
    cleanup_free char *why = feed_string(decide, 60);
    return error_set(err, feed_below(decide, 3) ? EIO : 0, "%s", why);
}

static int fake_do(struct keeper *k, struct error *err)
{
    (void)k;
    return outcome(err);
}

static int fake_kill(struct keeper *k, struct error *err)
{
    cleanup_free char *why = feed_string(decide, 60);
    if (outcome(err) < 0)
        return -1;
    keeper_ended(k, ENDED_KILLED, 137, why);
    return 0;
}

static int fake_resize(struct keeper *k, unsigned cols, unsigned rows, struct error *err)
{
    (void)k;
    must(cols >= 1 && cols <= 4096 && rows >= 1 && rows <= 4096);
    return outcome(err);
}

static int fake_send(struct keeper *k, enum console_signal what, struct error *err)
{
    (void)k;
    must(what == CONSOLE_BREAK || what == CONSOLE_CTRL_ALT_DEL);
    return outcome(err);
}

/* A child that ends at once. Every string must be readable. */
static pid_t fake_exec(struct keeper *k, const struct exec_request *r, int *master,
                       struct error *err)
{
    size_t sum = 0;
    (void)k;
    must(r->argv && r->argv[0]);
    for (size_t i = 0; r->argv[i]; i++)
        sum += strlen(r->argv[i]);
    for (size_t i = 0; r->env && r->env[i]; i++)
        sum += strlen(r->env[i]);
    sum += r->cwd ? strlen(r->cwd) : 0;
    sum += r->user ? strlen(r->user) : 0;
    if (sum > 0 && outcome(err) < 0)
        return -1;
    if (r->tty)
        *master = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid = vfork();
    if (pid == 0)
        _exit(7);
    return pid;
}

static size_t fake_input(void *arg, const void *data, size_t len)
{
    (void)arg;
    (void)data;
    return len;
}

static void fake_ready(void *arg)
{
    (void)arg;
}

static const struct console_port port = {fake_input, fake_ready};
static const struct engine engine = {
    .type = "vm",
    .brief = "vm",
    .stop = fake_do,
    .kill = fake_kill,
    .freeze = fake_do,
    .thaw = fake_do,
    .resize = fake_resize,
    .send = fake_send,
    .exec = fake_exec,
};

static void nothing(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static struct keeper *keeper(void)
{
    static struct guest_def def = {.name = "fuzz", .engine = &engine};
    static struct keeper_private priv = {.listener = -1};
    static struct keeper k = {.def = &def, .priv = &priv, .run_dir = -1};
    if (k.run_dir < 0) {
        signal(SIGPIPE, SIG_IGN);
        def.conf = conf_new("config");
        k.run_dir = fuzz_dir();
        k.base = event_base_new();
        priv.stop_timer = evtimer_new(k.base, nothing, &k);
        priv.reboot_timer = evtimer_new(k.base, nothing, &k);
        priv.ended_event = evtimer_new(k.base, nothing, &k);
        must(status_create(k.run_dir, NULL) == 0);
        must(status_open(&k.status, k.run_dir, NULL) == 0);
        k.console = console_create(k.base, k.run_dir, CONSOLE_FILE, 8192, NULL);
        must(k.console != NULL);
        console_plug(k.console, &port, NULL);
    }
    priv.ended = k.stop_asked = k.kill_asked = false;
    k.status.page->state = GUEST_RUNNING;
    return &k;
}

/* ---- what a client sends ---- */

static const char *const commands[] = {
    "\"info\"", "\"subscribe\"",   "\"resize\"", "\"send\"",   "\"stop\"", "\"freeze\"", "\"thaw\"",
    "\"exec\"", "\"exec-signal\"", "\"kill\"",   "\"attach\"", "\"none\"", "7",          "\"\"",
};
static const char *const members[] = {
    "\"id\":1",
    "\"id\":{\"a\":[1]}",
    "\"id\":null",
    "\"cols\":80",
    "\"rows\":24",
    "\"cols\":0",
    "\"cols\":-1",
    "\"rows\":4097",
    "\"cols\":1e9",
    "\"rows\":99999999999",
    "\"timeout\":5",
    "\"timeout\":-5",
    "\"what\":\"break\"",
    "\"what\":\"ctrl-alt-del\"",
    "\"what\":3",
    "\"argv\":[\"ls\",\"-l\"]",
    "\"argv\":[]",
    "\"argv\":[1]",
    "\"argv\":\"ls\"",
    "\"argv\":[\"a\\u0000b\"]",
    "\"env\":[\"A=b\"]",
    "\"env\":{}",
    "\"cwd\":\"/\"",
    "\"cwd\":1",
    "\"user\":\"root\"",
    "\"tty\":true",
    "\"tty\":1",
    "\"pid\":1",
    "\"pid\":-1",
    "\"signal\":9",
    "\"signal\":65",
    "\"history\":100",
    "\"history\":99999999999",
    "\"every_byte\":false",
    "\"mute\":true",
    "\"x\":\"\\ud800\"",
    "\"y\":[[[[[[[[]]]]]]]]",
};

static char *generate_line(struct feed *f)
{
    char *line = NULL;
    size_t len;
    FILE *out = open_memstream(&line, &len);
    if (feed_rarely(f, 12)) {
        cleanup_free char *raw = feed_string(f, 80);
        for (char *p = raw; *p; p++)
            fputc(*p == '\n' ? ' ' : *p, out);
    } else {
        fprintf(out, "{\"cmd\":%s", feed_pick(f, commands));
        for (uint32_t n = feed_below(f, 5); n > 0; n--)
            fprintf(out, ",%s", feed_pick(f, members));
        fputs(feed_rarely(f, 16) ? "" : "}", out);
    }
    fputc('\n', out);
    fclose(out);
    return line;
}

/* ---- the client ---- */

struct client {
    int fd;
    unsigned lines, answers, events; /* sent; received */
    bool subscribed;
    bool console; /* from here on the socket may carry console bytes */
    bool over;
    size_t len;
    char in[1 << 18];
};

/* One line of the keeper's: an event, or the answer to the next request. */
static void client_line(struct client *c, const char *line, size_t len)
{
    json_error_t why;
    json_t *j = json_loadb(line, len, 0, &why);
    must(json_is_object(j));
    if (json_object_get(j, "event")) {
        must(json_is_string(json_object_get(j, "event")));
        c->events++;
    } else {
        const json_t *ok = json_object_get(j, "ok");
        must(json_is_boolean(ok));
        must(json_is_true(ok) || json_is_string(json_object_get(j, "error")));
        c->answers++;
        must(c->answers <= c->lines);
    }
    json_decref(j);
}

/* Let the keeper run until it has nothing to do, and take what it says. */
static void client_turn(struct client *c, struct keeper *k)
{
    for (int i = 0; i < 4; i++) {
        event_base_loop(k->base, EVLOOP_NONBLOCK);
        ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - c->len, MSG_DONTWAIT);
        c->over |= n == 0;
        if (n <= 0 || c->console) {
            c->len = 0;
            continue;
        }
        c->len += (size_t)n;
        for (char *end; (end = memchr(c->in, '\n', c->len));) {
            size_t line = (size_t)(end - c->in);
            client_line(c, c->in, line);
            c->len -= line + 1;
            memmove(c->in, end + 1, c->len);
        }
    }
}

/* Send bytes, now and then with descriptors beside them. */
static void client_send(const struct client *c, struct feed *f, const char *bytes, size_t len)
{
    union {
        char buf[CMSG_SPACE(5 * sizeof(int))];
        struct cmsghdr align;
    } u = {0};
    struct iovec v = {(char *)bytes, len};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    unsigned nfds = feed_rarely(f, 8) ? feed_below(f, 6) : 0;
    int null = nfds ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    if (nfds) {
        m.msg_control = u.buf;
        m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        for (unsigned i = 0; i < nfds; i++)
            memcpy(CMSG_DATA(h) + i * sizeof(int), &null, sizeof null);
    }
    if (sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        must(errno == EPIPE || errno == EAGAIN || errno == ECONNRESET);
    if (null >= 0)
        close(null);
}

static void talk(struct client *c, struct keeper *k, struct feed *f)
{
    for (int i = 0; i < 24 && f->left > 0 && !c->over; i++) {
        cleanup_free char *line = generate_line(f);
        size_t len = strlen(line);
        size_t cut = feed_rarely(f, 4) ? feed_below(f, len) : 0;
        c->console |= strstr(line, "\"attach\"") != NULL;
        c->lines++;
        if (cut > 0) {
            client_send(c, f, line, cut);
            client_turn(c, k);
        }
        client_send(c, f, line + cut, len - cut);
        client_turn(c, k);
        if (feed_rarely(f, 8)) {
            cleanup_free char *note = feed_string(f, 200);
            unsigned events = c->events;
            keeper_set_state(k, feed_below(f, GUEST_STATES), note);
            client_turn(c, k);
            must(c->console || c->over || !c->subscribed || c->events == events + 1);
        }
        if (feed_rarely(f, 8)) {
            cleanup_free char *printed = feed_string(f, 200);
            console_put(k->console, printed, strlen(printed));
        }
        must(c->console || c->over || c->answers == c->lines);
    }
}

/* The number of open descriptors, so that one kept too many is seen. */
static int next_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct client c;
    struct feed f = {data, size}, engine_feed = {data, size};
    struct keeper *k = keeper();
    int sv[2], before = next_fd();

    decide = &engine_feed;
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == 0);
    c.fd = sv[0];
    c.lines = c.answers = c.events = 0;
    c.subscribed = feed_rarely(&f, 2);
    c.len = 0;
    c.console = c.over = false;
    must(control_adopt(k, sv[1], c.subscribed, NULL) == 0);
    talk(&c, k, &f);
    close(c.fd);
    /* What is still running for it ends, and then nothing of it is there. */
    for (int i = 0; i < 1000 && (k->priv->execs || k->priv->conns || console_readers(k->console));
         i++)
        event_base_loop(k->base, k->priv->execs ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
    must(k->priv->execs == NULL && k->priv->conns == NULL && console_readers(k->console) == 0);
    must(next_fd() == before);
    event_del(k->priv->stop_timer);
    event_base_loop(k->base, EVLOOP_NONBLOCK);
    return 0;
}
