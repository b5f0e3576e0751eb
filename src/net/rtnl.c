/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtnetlink, see rtnl.h. Messages are made and read with libnl; its own error numbers, which say
 * less than the kernel's, are gone round by a callback.
 */
#include "net/rtnl.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define DUMP_TRIES 8
#define BUFFER     65536 /* of one answer: an interface with many VFs takes tens of KiB */

/* One conversation. */
struct talk {
    struct nl_sock *socket;
    struct nl_cb *cb;
    rtnl_fn *each;
    void *arg;
    int error; /* an errno value */
    bool done, interrupted;
    char why[RTNL_WHY];
};

struct nl_msg *rtnl_message(int type, int flags, const void *head, size_t len)
{
    struct nl_msg *m = nlmsg_alloc_size(16384);

    if (!m || !nlmsg_put(m, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, NLM_F_REQUEST | flags) ||
        nlmsg_append(m, (void *)(uintptr_t)head, len, NLMSG_ALIGNTO) < 0)
        abort(); /* 16 KiB, as with xcalloc() */
    return m;
}

/* The text that the kernel puts behind a refusal. */
static void read_why(struct talk *t, const struct nlmsgerr *e)
{
    const struct nlmsghdr *m = (const void *)((const char *)e - NLMSG_HDRLEN);
    size_t skip = sizeof(*e);

    if (!(m->nlmsg_flags & NLM_F_ACK_TLVS))
        return;
    if (!(m->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > NLMSG_HDRLEN)
        skip += e->msg.nlmsg_len - NLMSG_HDRLEN;
    skip = NLMSG_ALIGN(skip);
    if (skip + NLMSG_HDRLEN > m->nlmsg_len)
        return;
    struct nlattr *first = (void *)((uintptr_t)e + skip);
    int left = (int)(m->nlmsg_len - NLMSG_HDRLEN - skip);
    struct nlattr *a = nla_find(first, left, NLMSGERR_ATTR_MSG);
    if (a)
        snprintf(t->why, sizeof(t->why), "%.*s", nla_len(a), (const char *)nla_data(a));
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
    struct talk *t = arg;

    (void)from;
    t->error = -e->error;
    t->done = true;
    read_why(t, e);
    return NL_STOP;
}

static int on_end(struct nl_msg *m, void *arg)
{
    struct talk *t = arg;

    (void)m;
    t->done = true;
    return NL_STOP;
}

static int on_message(struct nl_msg *m, void *arg)
{
    struct talk *t = arg;

    if (nlmsg_hdr(m)->nlmsg_flags & NLM_F_DUMP_INTR)
        t->interrupted = true;
    if (t->each)
        t->each(t->arg, nlmsg_hdr(m));
    return NL_OK;
}

static int open_talk(struct talk *t)
{
    t->socket = nl_socket_alloc();
    t->cb = nl_cb_alloc(NL_CB_DEFAULT);
    if (!t->socket || !t->cb)
        return ENOMEM;
    if (nl_connect(t->socket, NETLINK_ROUTE) < 0)
        return errno ? errno : EPROTO;
    int yes = 1, fd = nl_socket_get_fd(t->socket);
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &yes, sizeof(yes));
    nl_socket_set_msg_buf_size(t->socket, BUFFER);
    nl_cb_err(t->cb, NL_CB_CUSTOM, on_error, t);
    nl_cb_set(t->cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, t);
    nl_cb_set(t->cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, t);
    nl_cb_set(t->cb, NL_CB_VALID, NL_CB_CUSTOM, on_message, t);
    return 0;
}

static void close_talk(struct talk *t)
{
    nl_socket_free(t->socket);
    nl_cb_put(t->cb);
}

/* Send, and hear all of the answer. Frees the message. */
static int talk(struct talk *t, struct nl_msg *m, bool acknowledged)
{
    int failed = open_talk(t), rc = 0;

    if (!failed) {
        nlmsg_hdr(m)->nlmsg_flags |= acknowledged ? NLM_F_ACK : 0;
        nl_complete_msg(t->socket, m);
        if (nl_send(t->socket, m) < 0)
            failed = errno ? errno : EPROTO;
    }
    while (!failed && !t->done) {
        rc = nl_recvmsgs(t->socket, t->cb);
        if (rc == -NLE_DUMP_INTR)
            t->interrupted = t->done = true;
        else if (rc < 0 && !t->done)
            failed = EPROTO;
    }
    nlmsg_free(m);
    close_talk(t);
    return failed ? failed : t->error;
}

int rtnl_change(struct nl_msg *m, char why[RTNL_WHY])
{
    struct talk t = {0};
    int failed = talk(&t, m, true);

    if (why)
        memcpy(why, t.why, RTNL_WHY);
    return failed;
}

int rtnl_ask(struct nl_msg *m, rtnl_fn *each, void *arg, struct error *err)
{
    struct talk t = {.each = each, .arg = arg};
    int failed = talk(&t, m, true);

    return failed ? error_set(err, failed, "ask the kernel%s%s", *t.why ? ": " : "", t.why) : 0;
}

int rtnl_dump(int type, int family, rtnl_fn *each, void (*restart)(void *arg), void *arg,
              struct error *err)
{
    const struct rtmsg head = {.rtm_family = (unsigned char)family};
    int failed = EBUSY;

    for (unsigned tries = 0; tries < DUMP_TRIES; tries++) {
        struct talk t = {.each = each, .arg = arg};
        /* The largest of the heads; the others are it, cut off or filled up with zeroes. */
        struct nl_msg *m = rtnl_message(type, NLM_F_DUMP, &head, sizeof(head));
        if (type == RTM_GETLINK) {
            const struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
            nlmsg_free(m);
            m = rtnl_message(type, NLM_F_DUMP, &link, sizeof(link));
        }
        if (restart)
            restart(arg);
        failed = talk(&t, m, false);
        if (failed || !t.interrupted)
            break;
        failed = EBUSY;
    }
    return failed ? error_set(err, failed, "ask the kernel what there is in the network") : 0;
}
