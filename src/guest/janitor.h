/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The janitor of a keeper that confines itself (confine.h): a process of its own that stays outside
 * and does what such a keeper cannot do any more: to write down how its guest ended, to remove
 * RUN/NAME, and to connect to the sockets there that wait for the guest.
 *
 *     keeper ── fork, before its engine starts ──► janitor: waits
 *       confined; the guest runs …
 *       janitor_connect("vsock_80") ─────────────►   connects to RUN/NAME/vsock_80
 *                                   descriptor ◄──
 *       janitor_end(how it ended) ───────────────►   writes HOME/guests/NAME/last, console.log,
 *                                                     retires RUN/NAME
 *       tells its clients, exits                 ◄── done
 *                                 (end of file) ──►   removes what is left, its cgroup too, exits
 *
 * It takes messages of one struct and nothing else, bounds every value, connects to nothing but
 * sockets whose name begins with JANITOR_SOCKETS, and reads the console's ring as anybody's file: a
 * keeper that its guest took over can lie about its own end only. If it dies without a word, the
 * janitor cleans up as the next pult process would.
 */
#ifndef PULT_GUEST_JANITOR_H
#define PULT_GUEST_JANITOR_H

#include "base/error.h"
#include "guest/store.h"

struct keeper;

#define JANITOR_SOCKETS "vsock_"

/* Start it. The caller has one thread, and owns *fd, the way to the janitor. */
int janitor_start(const struct keeper *k, int *fd, struct error *err);
/*
 * The guest is over: have that written down (`written`; else it never ran), and RUN/NAME retired.
 * Returns when that is done; -1: the janitor is gone.
 */
int janitor_end(int fd, const struct last_run *last, bool written, struct error *err);
/*
 * A stream connected to the socket of this name in RUN/NAME, that does not block. -1 with the code
 * of why: ENOENT and ECONNREFUSED where nobody listens, EAGAIN where too many wait. One thread at a
 * time.
 */
int janitor_connect(int fd, const char *name, struct error *err);

#endif
