/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System calls that a profile says `notify` of: the process waits in the kernel, and a program
 * elsewhere, the proxy, says what it gets; see notify.c.
 */
#ifndef PULT_LXC_NOTIFY_H
#define PULT_LXC_NOTIFY_H

#include "base/error.h"
#include "lxc/seccomp.h"

struct container;

/* A value of lxc.seccomp.notify.proxy: unix:PATH, or unix:@NAME. */
int notify_is_proxy(const char *value, struct error *err);
/* In the container: install the filter, and hand what is heard of it to the keeper by this socket. */
int notify_install(const struct filter *f, int sock, struct error *err);
/* In the keeper: have the proxy answer what comes by it. Takes fd. */
void notify_watch(struct container *c, int fd);
/* The same, once a command of `pult exec` has sent it. Takes sock. */
void notify_await(struct container *c, int sock);
void notify_drop(struct container *c);

#endif
