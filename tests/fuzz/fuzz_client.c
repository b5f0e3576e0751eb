/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A keeper that its guest has taken over answers a client: whatever it says and whatever
 * descriptors it sends beside, the client gets an answer or a reason, and keeps nothing.
 */
#include "fuzz/feed.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/client.h"

static const char *const pieces[] = {
    "{\"ok\":true}",
    "{\"ok\":false,\"error\":\"no\"}",
    "{\"ok\":false}",
    "{\"ok\":1}",
    "{}",
    "[]",
    "{\"event\":\"state\",\"state\":\"running\"}",
    "{\"event\":7}",
    "null",
    "{\"ok\":true,\"pid\":1",
    "}",
    "{\"ok\":false,\"error\":\"\\u001b[2J\"}",
    "{\"ok\":false,\"error\":[1]}",
    "\n",
    "\n",
    "\n",
    "\xff",
    "{\"event\":\"x\",\"a\":{\"b\":[[[[]]]]}}",
};

/* Say something, now and then with descriptors beside it. */
static void say(int fd, struct feed *f)
{
    union {
        char buf[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } u = {0};
    char text[256];
    size_t len = 0;
    for (uint32_t n = feed_below(f, 6) + 1; n > 0 && len < sizeof text - 80; n--) {
        const char *piece = feed_pick(f, pieces);
        if (feed_rarely(f, 10))
            len += feed_bytes(f, text + len, 16);
        memcpy(text + len, piece, strlen(piece));
        len += strlen(piece);
    }
    struct iovec v = {text, len};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    unsigned nfds = feed_rarely(f, 4) ? feed_below(f, 5) : 0;
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
    must(sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len);
    if (null >= 0)
        close(null);
}

/* How many descriptors are open, as far as the next free one tells. */
static int next_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static void listen_once(int fd, struct feed *f)
{
    struct error err = {0};
    json_t *answer = NULL;
    int got = -1;

    if (feed_below(f, 2)) {
        json_t *event = client_event(fd, 10000, &err);
        must(event == NULL || json_object_get(event, "event") != NULL);
        json_decref(event);
        return;
    }
    bool want_fd = feed_below(f, 2);
    int ret = client_call(fd, json_pack("{s:s}", "cmd", "info"), NULL, 0, 10000, &answer,
                          want_fd ? &got : NULL, &err);
    must(ret == 0 || (*err.text != '\0' && got == -1 && answer == NULL));
    must(ret < 0 || json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
    if (got >= 0)
        close(got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct error err;
    int sv[2], before = next_fd();

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0);
    for (uint32_t n = feed_below(&f, 6); n > 0; n--)
        say(sv[1], &f);
    shutdown(sv[1], SHUT_WR);
    for (uint32_t n = feed_below(&f, 4) + 1; n > 0; n--)
        listen_once(sv[0], &f);
    close(sv[0]);
    close(sv[1]);
    must(next_fd() == before);

    cleanup_free char *line = feed_string(&f, 200);
    client_answer(line, strlen(line), &err);
    return 0;
}
