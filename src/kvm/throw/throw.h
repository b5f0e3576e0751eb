/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Throwaway VMs of this machine: a kernel that is installed here, on a copy-on-write view of this
 * machine's files.
 *
 *     definition                        made of it
 *       vm.rootfs   host:/, or DIR   ─►  a share "root", read-only; the guest's changes stay in
 *                                        its memory. Of host:/, what `pult run` hides is empty
 *       vm.kernel   or the newest here
 *       vm.modules  or the kernel's  ─►  what it needs to get so far, in an initramfs
 *       vm.workdir  DIR[,rw]         ─►  a share "work": copy-on-write, or the host's own
 *       vm.command  or a shell       ─►  words for the first process (init/init.c)
 *
 * The initramfs is made in memory at each start. The command's status comes by a port (report.h).
 *
 * And VMs that boot from their disks, vm.rootfs = disk, which is what a firmware and a boot loader
 * would do for them: the kernel is one of this machine as well, the initramfs finds the root file system
 * on a disk, and its own init is run there, or the command. The order in which the disks are tried is
 * that of bootindex=.
 */
#ifndef PULT_KVM_THROW_THROW_H
#define PULT_KVM_THROW_THROW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "base/error.h"

struct guest_def;
struct virtio_bus;

#define THROW_DISK "disk" /* vm.rootfs */

conf_value_fn throw_is_rootfs, throw_is_workdir, throw_is_command;

/* Does the definition want one? */
bool throw_wanted(const struct guest_def *def);
/* … on a disk of its own? */
bool throw_from_disk(const struct guest_def *def);
/* … for a command, and not for the init of a disk? */
bool throw_for_command(const struct guest_def *def);

/* What it is made of. Empty strings are never left: NULL where there is none. */
struct throw_plan {
    char *kernel;  /* its path */
    char *release; /* "6.1.0-56-amd64"; NULL: the kernel does not say */
    char *modules; /* the directory of its modules; NULL: there is none, all must be built in */
};
int throw_plan(const struct guest_def *def, struct throw_plan *p, struct error *err);
void throw_plan_clear(struct throw_plan *p);
#define cleanup_plan __attribute__((cleanup(throw_plan_clear)))

/* What is at the other end of the console. */
struct throw_console {
    bool terminal;
    unsigned cols, rows;
};

/* The initramfs, as a file in memory: its descriptor. */
int throw_initramfs(const struct guest_def *def, const struct throw_plan *p,
                    const struct throw_console *con, struct error *err);
/* Put its shares on the bus. */
int throw_add(struct virtio_bus *bus, const struct guest_def *def, struct error *err);

/* ---- the parts ---- */

/* The first process. */
const void *throw_init(size_t *size);

/* An archive in the "newc" format of cpio(5), which a kernel takes as its initramfs. */
struct cpio {
    char *data;
    size_t len, room;
    unsigned files;
};
void cpio_add(struct cpio *c, const char *name, unsigned mode, const void *data, size_t len);
void cpio_end(struct cpio *c); /* it is whole */
void cpio_clear(struct cpio *c);

/* A word for the first process: its letter, its text, its NUL. */
void throw_word(struct cpio *to, char letter, const char *text);

/* vm.rootfs = disk: is there one; the words and the modules of file systems for it. */
int throw_disk_check(const struct guest_def *def, struct error *err);
int throw_disk_fill(struct cpio *c, struct cpio *words, const struct guest_def *def,
                    const char *modules, struct error *err);

/* Modules that a kernel needs for these, each after those it depends on. */
struct module {
    char *name; /* "fuse.ko" */
    char *data;
    size_t len;
};
struct modules {
    struct module *list;
    size_t count;
};
/* names: NULL-terminated. Those that are built in are left out. */
int modules_read(const char *dir, const char *const *names, struct modules *out, struct error *err);
/* The same, and those that the kernel does not have are left out too. */
int modules_read_some(const char *dir, const char *const *names, struct modules *out,
                      struct error *err);
void modules_clear(struct modules *m);

#endif
