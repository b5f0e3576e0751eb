/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several requests to rtnetlink in one write, over a socket that may be that of another network
 * namespace. The kernel carries them out in their order and answers each; who asks hears of the
 * first that it refused, in the words that were given for it.
 *
 *     cleanup_batch struct batch b = {.fd = socket};
 *     struct nl_msg *m = batch_add(&b, RTM_NEWLINK, NLM_F_CREATE, &head, sizeof(head), "create '%s'", n);
 *     nla_put_string(m, IFLA_IFNAME, n);
 *     if (batch_run(&b, err) < 0) …
 */
#ifndef PULT_NET_BATCH_H
#define PULT_NET_BATCH_H

#include <netlink/attr.h>
#include <netlink/msg.h>

#include "base/error.h"

#define BATCH_MOST 64u

struct batch {
    int fd; /* a socket of NETLINK_ROUTE */
    unsigned count;
    struct {
        struct nl_msg *message;
        char *what;
        int forgiven; /* an errno value that is no failure; 0: none */
    } all[BATCH_MOST];
};

/* A socket of the caller's namespace. */
int batch_socket(struct error *err);
/* One more request, with the fixed head of its type. */
struct nl_msg *batch_add(struct batch *b, int type, int flags, const void *head, size_t len,
                         const char *what, ...) __attribute__((format(printf, 6, 7)));
/* The one that was added last may fail like this. */
void batch_forgive(struct batch *b, int code);
/* Send all, hear all answers, and forget them. -1: one was refused; the error's code is why. */
int batch_run(struct batch *b, struct error *err);
void batch_clear(struct batch *b);
#define cleanup_batch __attribute__((cleanup(batch_clear)))

/* The number of an interface in the socket's namespace, 0: there is none. */
int batch_link_index(int fd, const char *name);
/*
 * What of an interface stays the same wherever it is and whatever it is called, and is nobody's to
 * set: of hardware the device and its own address, of others their kind. "": there is none.
 */
#define BATCH_IDENTITY 160
void batch_link_identity(int fd, int index, char out[BATCH_IDENTITY]);

#endif
