/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests to rtnetlink, see batch.h.
 */
#include "net/batch.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define REQUEST_MAX 4096
#define ANSWER_MAX  16384

int batch_socket(struct error *err)
{
    const int yes = 1;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        return error_set(err, errno, "open a socket of rtnetlink");
    /* Answers do not repeat the request, and say in words what was wrong with it. */
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof(yes));
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &yes, sizeof(yes));
    return fd;
}

struct nl_msg *batch_add(struct batch *b, int type, int flags, const void *head, size_t len,
                         const char *what, ...)
{
    struct nl_msg *m = b->count < BATCH_MOST ? nlmsg_alloc_size(REQUEST_MAX) : NULL;
    va_list args;

    if (!m || !nlmsg_put(m, 0, b->count + 1, type, 0, NLM_F_REQUEST | NLM_F_ACK | flags) ||
        nlmsg_append(m, (void *)(uintptr_t)head, len, NLMSG_ALIGNTO) < 0)
        abort(); /* as xcalloc() does; and callers' numbers of requests are bounded */
    va_start(args, what);
    if (vasprintf(&b->all[b->count].what, what, args) < 0)
        abort();
    va_end(args);
    b->all[b->count].message = m;
    b->all[b->count++].forgiven = 0;
    return m;
}

void batch_forgive(struct batch *b, int code)
{
    b->all[b->count - 1].forgiven = code;
}

void batch_clear(struct batch *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        nlmsg_free(b->all[i].message);
        free(b->all[i].what);
    }
    b->count = 0;
}

/* What the kernel adds to a refusal in words, or "". */
static const char *words_of(const struct nlmsghdr *h)
{
    const size_t skip = NLMSG_ALIGN(sizeof(struct nlmsgerr)); /* NETLINK_CAP_ACK */

    if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || h->nlmsg_len < NLMSG_HDRLEN + skip)
        return "";
    struct nlattr *first = (void *)((uintptr_t)NLMSG_DATA(h) + skip);
    const struct nlattr *a =
        nla_find(first, (int)(h->nlmsg_len - NLMSG_HDRLEN - skip), NLMSGERR_ATTR_MSG);
    const char *text = a ? nla_data(a) : "";
    return a && memchr(text, '\0', (size_t)nla_len(a)) ? text : "";
}

/* One answer. Only the first refusal is told. */
static void hear(const struct batch *b, const struct nlmsghdr *h, int *failed, struct error *err)
{
    const struct nlmsgerr *e = NLMSG_DATA(h);
    const unsigned i = h->nlmsg_seq - 1;

    if (i >= b->count || !e->error || -e->error == b->all[i].forgiven || *failed)
        return;
    const char *words = words_of(h);
    *failed = -e->error;
    error_set(err, *failed, "%s%s%s%s", b->all[i].what, *words ? " (" : "", words,
              *words ? ")" : "");
}

static int hear_all(struct batch *b, struct error *err)
{
    union {
        struct nlmsghdr head;
        char bytes[ANSWER_MAX];
    } answer;
    unsigned answered = 0;
    int failed = 0;

    while (answered < b->count) {
        ssize_t n = recv(b->fd, &answer, sizeof(answer), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set(err, n < 0 ? errno : EPROTO, "hear from rtnetlink");
        size_t left = (size_t)n;
        for (struct nlmsghdr *h = &answer.head; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
            if (h->nlmsg_type == NLMSG_ERROR) {
                hear(b, h, &failed, err);
                answered++;
            }
    }
    return failed ? -1 : 0;
}

int batch_run(struct batch *b, struct error *err)
{
    struct iovec parts[BATCH_MOST];
    struct msghdr h = {.msg_iov = parts, .msg_iovlen = b->count};

    if (!b->count)
        return 0;
    for (unsigned i = 0; i < b->count; i++) {
        struct nlmsghdr *m = nlmsg_hdr(b->all[i].message);
        parts[i] = (struct iovec){m, NLMSG_ALIGN(m->nlmsg_len)};
    }
    int ret = sendmsg(b->fd, &h, 0) < 0 ? error_set(err, errno, "ask rtnetlink") : hear_all(b, err);
    batch_clear(b);
    return ret;
}

union answer {
    struct nlmsghdr head;
    char bytes[ANSWER_MAX];
};

/* Ask for an interface by its name, or else by its number. */
static bool link_ask(int fd, const char *name, int index, union answer *answer)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    struct nl_msg *m = nlmsg_alloc_size(256);

    head.ifi_index = index;
    if (!m || !nlmsg_put(m, 0, 1, RTM_GETLINK, 0, NLM_F_REQUEST) ||
        nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) < 0 ||
        (name && nla_put_string(m, IFLA_IFNAME, name) < 0))
        abort();
    ssize_t n = send(fd, nlmsg_hdr(m), nlmsg_hdr(m)->nlmsg_len, 0);
    nlmsg_free(m);
    do
        n = n < 0 ? n : recv(fd, answer, sizeof(*answer), 0);
    while (n < 0 && errno == EINTR);
    return n > 0 && NLMSG_OK(&answer->head, (size_t)n) && answer->head.nlmsg_type == RTM_NEWLINK;
}

int batch_link_index(int fd, const char *name)
{
    union answer answer;

    if (!link_ask(fd, name, 0, &answer))
        return 0;
    return ((const struct ifinfomsg *)NLMSG_DATA(&answer.head))->ifi_index;
}

void batch_link_identity(int fd, int index, char out[BATCH_IDENTITY])
{
    static const int attributes[] = {IFLA_PARENT_DEV_BUS_NAME, IFLA_PARENT_DEV_NAME};
    const size_t head = sizeof(struct ifinfomsg);
    union answer answer;
    size_t len = 0;

    out[0] = '\0';
    if (!index || !link_ask(fd, NULL, index, &answer))
        return;
    struct nlattr *info = nlmsg_find_attr(&answer.head, (int)head, IFLA_LINKINFO);
    struct nlattr *a = info ? nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND) : NULL;
    len += (size_t)snprintf(out, BATCH_IDENTITY, "%.15s", a ? nla_get_string(a) : "hardware");
    for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
        a = nlmsg_find_attr(&answer.head, (int)head, attributes[i]);
        len +=
            (size_t)snprintf(out + len, BATCH_IDENTITY - len, " %.31s", a ? nla_get_string(a) : "");
    }
    a = nlmsg_find_attr(&answer.head, (int)head, IFLA_PERM_ADDRESS);
    for (int i = 0; a && i < min(nla_len(a), 20); i++) /* infiniband's is the longest */
        len +=
            (size_t)snprintf(out + len, BATCH_IDENTITY - len, ":%02x", ((uint8_t *)nla_data(a))[i]);
}
