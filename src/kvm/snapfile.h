/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a snapshot that are the machine's.
 *
 *     state    struct snapfile_head, then machine_state(): checked whole before anything is done
 *     memory   the RAM as it lies behind the first slot, without pages of zeroes (sparse), then a
 *              page that says that it is all there and which state it belongs to
 *
 * Memory is written by a copy of this process (fork), to which the kernel gives the RAM of that
 * moment, copy-on-write, whoever changes it afterwards: vCPUs, our threads, io_uring, vhost. So the
 * guest stands still only for the fork, and no page is written twice. Where RAM is no private
 * memory (a memfd, huge pages out of a pool), the guest must stand still until all is written.
 *
 * System calls: the loop's thread forks (clone, madvise, pipe2, getrandom, wait4); its child makes
 * prctl, dup2, close_range, pwrite64, fdatasync, write and exit_group.
 *
 * It is mapped copy-on-write to go on from: pages are read when they are touched.
 *
 * A file is the administrator's, but may be damaged, or somebody else's: nothing in it is believed.
 */
#ifndef PULT_KVM_SNAPFILE_H
#define PULT_KVM_SNAPFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "kvm/memory.h"

#define SNAPFILE_PAGE 4096u
#define SNAPFILE_MOST \
    (64u << 20) /* bytes of state: that of 64 vCPUs and all devices is below 2 MiB */

struct snapfile_head {
    char magic[8];
    uint32_t version;
    uint32_t crc;    /* of all of the file, this being 0: zlib's CRC-32 */
    uint64_t length; /* of the state behind it */
    uint64_t memory; /* bytes of RAM */
    int64_t when_ns; /* CLOCK_REALTIME */
    uint8_t id[16];  /* the memory's too */
};

/* Write `state` to an empty file: all of head but magic, version, crc and length is the caller's. */
int snapfile_write_state(int fd, struct snapfile_head *head, const void *state, size_t len,
                         struct error *err);
/* Read it and check it. The caller frees *state. path is for messages. */
int snapfile_read_state(int fd, const char *path, struct snapfile_head *head, uint8_t **state,
                        struct error *err);

/* Can the machine run while its memory is being written? */
bool snapfile_is_live(const struct memory *m);

/* What the writing process says through its pipe, whole. */
struct snapfile_word {
    uint64_t done; /* bytes of RAM */
    int32_t error; /* an errno value; 0: none */
    bool whole;    /* it is all on the disk, the state too */
};
/*
 * Begin to write a machine's memory, which stands still, to an empty file. Returns the pid of a
 * child, whose words come from *words until it ends.
 */
pid_t snapfile_begin(const struct memory *m, const struct snapfile_head *head, int memory_fd,
                     int state_fd, int *words, struct error *err);

/* Is this the memory that belongs to a state? */
int snapfile_check_memory(int fd, const char *path, const struct snapfile_head *head,
                          struct error *err);
/* Put it behind the guest's memory, which was never touched. The machine has as much. */
int snapfile_map_memory(struct memory *m, int fd, const char *path, struct error *err);

#endif
