/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A keeper's sandbox: what it takes away from itself once everything is open that its guest will
 * need, and before the guest's first instruction. docs/threat-model.md says what each is for.
 *
 *     privileges    no_new_privs; root becomes a user that owns nothing, without capabilities
 *     namespaces    mounts (the root is an empty, read-only directory), network (no interface),
 *                   IPC, UTS; of an ordinary user inside a user namespace
 *     Landlock      no file can be opened, wherever a directory's descriptor may have come from
 *     seccomp       an allow-list for the process, and a shorter one for each kind of thread
 *
 * Each of these holds without the others. What a host does not permit (a container, an old kernel)
 * is said in the log and by `pult doctor`, and the rest is done; without seccomp there is no start.
 *
 * A call that is on no list fails with EPERM: should we have forgotten one, the guest goes on.
 * What only an intruder would call (another program, a trace, a mount, …) ends the process.
 *
 * Shared folders. A guest that has some keeps these directories, and file calls on them:
 *     root          each becomes a view (a mount without a place) that `..` does not lead out of,
 *                   read-only if the folder is; the capabilities that files need are kept, and the
 *                   name of root if files are made in it
 *     a user        keeps the host's mounts, for in a user namespace all owners would be nobody
 *     both          Landlock lets these directories be used and no other
 */
#ifndef PULT_GUEST_CONFINE_H
#define PULT_GUEST_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/*
 * The users that root's keepers become: this and the process's number, so each is another. Above
 * what systemd gives to containers, and nobody else's.
 */
#define CONFINE_UID 0x70000000u

/* System calls that are allowed, by number, ended with CONFINE_END. */
#define CONFINE_END (-1)
struct confine_list {
    const int *calls;
    const unsigned long *ioctls; /* requests that ioctl may make, ended with 0; NULL: no ioctl */
};

/* A list as a program for the kernel. */
struct confine_filter;
/* Make one out of lists, of which the last is followed by NULL. Freed with confine_filter_free(). */
struct confine_filter *confine_compile(const struct confine_list *const *lists, struct error *err);
/* The same for a thread of a process that has one: it bounds no arguments, as that does. */
struct confine_filter *confine_compile_thread(const struct confine_list *list, struct error *err);
void confine_filter_free(struct confine_filter *f);
/* What the kernel is given: for tests. */
struct sock_fprog;
const struct sock_fprog *confine_program(const struct confine_filter *f);
/* The calling thread, and those that it starts, may do only what the filter allows. */
int confine_thread(const struct confine_filter *f, struct error *err);
/* The calling thread gives up what its process kept for shared folders. */
void confine_drop_capabilities(void);

/* A directory whose files stay in reach. */
struct confine_tree {
    int fd; /* of the directory; the number stays, the way out of it goes */
    bool writable;
    bool named; /* Landlock lets it be used: not for what only leads to open files */
};

struct confine_plan {
    const char *dir;                 /* any directory: hidden by the empty root made on it */
    const struct confine_list *more; /* for any of the engine's threads, besides confine_keeper */
    const struct confine_tree *trees;
    size_t tree_count;
};

/* Confine the calling process, which has one thread. */
int confine_process(const struct confine_plan *plan, struct error *err);

/* What a keeper's loop does. */
extern const struct confine_list confine_keeper;

struct doctor;
/* Report which parts of it this host permits. */
void confine_doctor(struct doctor *d);

#endif
