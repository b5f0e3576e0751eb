/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status page: what a keeper tells everybody about its guest, in one small file that it maps
 * shared and clients pread (RUN/NAME/status). Looking at a guest costs one system call and wakes
 * nobody. A sequence lock makes a snapshot whole; after a change of state the keeper writes to the
 * file what is there already, so that who watches with inotify knows.
 *
 * A reader trusts nothing in it: a VM's keeper may have been taken over by its guest. That is why
 * readers do not map it (a page cut short would kill them), and why status_read() bounds every
 * value and terminates every string.
 */
#ifndef PULT_GUEST_STATUS_H
#define PULT_GUEST_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum guest_state {
    GUEST_STOPPED,
    GUEST_STARTING,
    GUEST_RUNNING,
    GUEST_FROZEN,
    GUEST_STOPPING,
    GUEST_CRASHED, /* not running; the last run did not end as it should */
    GUEST_BROKEN,  /* the definition cannot be read */
    GUEST_STATES
};

const char *state_name(enum guest_state s);                                /* "running" */
int state_parse(const char *name, enum guest_state *s, struct error *err); /* any case */
bool state_alive(enum guest_state s);                                      /* a keeper exists */

/* How a guest ended. */
enum guest_end {
    ENDED_EXIT,   /* by itself: powered off, or its init exited; with an exit status */
    ENDED_REBOOT, /* wants to be started again */
    ENDED_KILLED, /* we ended it, as asked */
    ENDED_SIGNAL, /* its init died of a signal that nobody asked for; status is 128 + signal */
    ENDED_CRASH,  /* panic, triple fault, engine failure: the reason says it */
};

/* Where a figure comes from: a file that a client keeps open and reads again with pread. */
enum figure_kind {
    FIGURE_NONE,
    FIGURE_NUMBER,     /* the file is one number: bytes, or nanoseconds for the CPU */
    FIGURE_CPU_STAT,   /* cgroup v2 cpu.stat: usage_usec */
    FIGURE_PROC_STAT,  /* /proc/PID/stat: utime + stime */
    FIGURE_PROC_STATM, /* /proc/PID/statm: resident pages */
    FIGURE_IO_STAT,    /* cgroup v2 io.stat: rbytes=, wbytes= of all devices */
    FIGURE_BLKIO,      /* cgroup v1 blkio.throttle.io_service_bytes: Read, Write of all devices */
    FIGURE_NET_DEV,    /* /proc/PID/net/dev: all interfaces but lo */
    FIGURE_PROC_IO,    /* /proc/PID/io: read_bytes, write_bytes */
    FIGURE_PAGE,       /* the counters in this page */
    FIGURE_KINDS
};
enum { FIGURE_CPU, FIGURE_MEMORY, FIGURE_DISK, FIGURE_NET, FIGURES };

struct figure_source {
    uint32_t kind; /* enum figure_kind */
    char path[220];
};

/* What an engine counts by cause: a VM's exits, by what they were served by. */
#define STATUS_COUNTERS 24
struct status_counter {
    char name[24]; /* set once, before a count is added; "" ends the list */
    uint64_t count;
};

struct status_page {
    uint32_t magic, version;
    uint32_t seq; /* odd: being written */
    uint32_t state;
    int32_t keeper_pid;
    int32_t guest_pid;     /* what the list shows: the container's init, the VM's keeper */
    uint64_t started_ns;   /* CLOCK_BOOTTIME of the start */
    uint64_t cpu_base_ns;  /* what FIGURE_CPU said then: more than 0 after a reboot of a VM */
    uint64_t memory_limit; /* bytes; 0: none */
    uint32_t vcpus;        /* of a VM; 0: not counted */
    uint32_t cols, rows;   /* size of the console */
    uint32_t root_uid;     /* what root of a container is outside … */
    uint32_t ids;          /* … and of how many ids it is the first; 0: not a container */
    char engine[16];       /* engine.type */
    char name[64];
    char note[160]; /* what a reader should know of this state, such as a reason */
    struct figure_source figures[FIGURES];
    uint64_t disk_read, disk_written, net_rx, net_tx; /* bytes; FIGURE_PAGE; added to atomically */
    struct status_counter exits[STATUS_COUNTERS];     /* since the keeper's start; atomically too */
    uint64_t memory_used;      /* as the guest itself says, atomically; 0: it does not */
    uint64_t memory_ballooned; /* of the limit, given back; a reader finds it taken off the limit */
};

#define STATUS_FILE "status"

/* Writer's side: the keeper's loop thread only (the counters at the end: any thread). */
struct status {
    struct status_page *page; /* mapped; engines may write figures and guest_pid before RUNNING */
    int fd;
};
/* Create an empty page: the first file of a runtime directory, by which it is known to be one. */
int status_create(int run_dir_fd, struct error *err);
int status_open(struct status *s, int run_dir_fd, struct error *err);
void status_begin(struct status *s);
void status_commit(struct status *s); /* ends status_begin() and tells watchers */
void status_close(struct status *s);

/* Reader's side: a whole snapshot, or -1 when the file is foreign or being torn all the time. */
int status_read(int fd, struct status_page *out);

#endif
