/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Putting a kernel into a guest's memory, without firmware.
 *
 * Low memory as the guest finds it (numbers in layout.h):
 *
 *     0x00500   GDT                            0x09000   page tables: 4 GiB, one to one
 *     0x06000   PVH start info and its lists   0x20000   command line
 *     0x07000   zero page (boot_params)        0xe0000   ACPI tables, the RSDP first
 *     0xffff0   code that resets the machine
 *     1 MiB     the kernel, where it asks to be      …   initrd, at the top below the hole
 *
 * Two file formats are known, each a const struct kernel_format. A bzImage can be entered as it is,
 * and then unpacks itself and moves itself to a random place; or it is unpacked here (unpack.h),
 * and entered as an ELF kernel at the place that it was linked for. Kernels that came as ELF, in
 * either way, are kept as images that VMs share (image.h). Everything here is a function of
 * open files and guest memory; the files are distrusted: what they say of sizes and places is
 * checked before it is used.
 */
#ifndef PULT_KVM_BOOT_BOOT_H
#define PULT_KVM_BOOT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kvm/cpu.h"
#include "kvm/memory.h"

/* An open file, as it was then. */
struct boot_identity {
    uint64_t dev, ino, size;
    int64_t mtime, mtime_ns, ctime, ctime_ns;
};

/* A kernel or an initrd (fd -1: none). */
struct boot_file {
    const char *path; /* for messages */
    int fd;
    uint64_t size;
    const uint8_t *data;     /* not NULL: it is no file but this */
    struct boot_identity id; /* as of boot_open() */
    int *image;              /* not NULL: where its image (image.h) stays open for the next boot */
};

struct boot_request {
    char *found; /* the kernel's path, where it was looked for and nobody else keeps it */
    struct boot_file kernel, initrd;
    bool unpack;       /* a kernel that is packed in a bzImage is unpacked here */
    const char *cache; /* a directory for kernel images, see image.h; NULL: none */
    const char *cmdline;
    struct cpu_topology cpus; /* for the ACPI tables */
    bool com2;                /* the same */
    bool avoid_32bit;         /* this KVM runs 32-bit code badly */
};

/* Open a regular file for reading. The caller closes f->fd. */
int boot_open(struct boot_file *f, const char *path, struct error *err);
/* Is this a kernel that can be booted? Reads its header only. */
int boot_check(const struct boot_file *kernel, struct error *err);
/* Load all of it, write the tables, and say where the boot processor begins. */
int boot_load(struct memory *m, const struct boot_request *rq, struct cpu_entry *entry,
              struct error *err);

/* No kernel but a piece of flat 64-bit code, put at gpa and entered there. */
int boot_bare(const struct memory *m, uint64_t gpa, const void *code, size_t len,
              struct cpu_entry *entry, struct error *err);

#endif
