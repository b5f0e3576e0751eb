/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conversations with rtnetlink: one request and its acknowledgement, or all objects of a type. Each
 * is about the network namespace of the caller.
 */
#ifndef PULT_NET_RTNL_H
#define PULT_NET_RTNL_H

#include <netlink/attr.h>
#include <netlink/msg.h>

#include "base/error.h"

/* A message of a type (RTM_…) with its head, for the caller to put attributes behind. */
struct nl_msg *rtnl_message(int type, int flags, const void *head, size_t len);

/*
 * Send a request, free it, and wait for the answer. Returns 0, or the errno value of the refusal;
 * why, if not NULL, is set to what the kernel says besides ("").
 */
#define RTNL_WHY 128
int rtnl_change(struct nl_msg *m, char why[RTNL_WHY]);

typedef void rtnl_fn(void *arg, const struct nlmsghdr *m);
/* The one message that answers a request (which is freed). -1 with the kernel's errno in err. */
int rtnl_ask(struct nl_msg *m, rtnl_fn *each, void *arg, struct error *err);
/* All objects: type RTM_GET…. Should the table change meanwhile: `restart` (arg), and anew. */
int rtnl_dump(int type, int family, rtnl_fn *each, void (*restart)(void *arg), void *arg,
              struct error *err);

#endif
