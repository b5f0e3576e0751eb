/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel image: a kernel as it lies in memory before its first instruction, made once and kept.
 *
 *     CACHE/kernel-DEV-INODE    a sparse file in which everything lies at its guest address:
 *         0         struct image_header: of what it was made, entry points, where there is data
 *         1 MiB …   the kernel's pages; those that are all zero are holes
 *
 * What a kernel only reads (constants, tables) is mapped from there, copy-on-write: all VMs of that
 * kernel share it. What it writes to is copied at once, into huge pages: data, and code too, for
 * Linux patches nearly each page of its own when it boots (alternatives, retpolines, returns), and a
 * page that is copied when it is written costs the guest a fault of its own. An image is made of a kernel file
 * that had a certain inode, size and times; when these differ it is made anew. It appears by a
 * rename, so nobody sees half of one, and the file is never written to afterwards. At most
 * IMAGE_FILES are kept, those that were used last.
 *
 * An image is trusted as far as its file is the user's own, in a directory that nobody else can
 * write to; yet its header is checked as if it came from a stranger. Whatever goes wrong here, the
 * kernel is loaded in the plain way.
 */
#ifndef PULT_KVM_BOOT_IMAGE_H
#define PULT_KVM_BOOT_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kvm/boot/boot.h"

#define IMAGE_FILES  8
#define IMAGE_MAX    (1ull << 30) /* the highest address that an image reaches */
#define IMAGE_PIECES 64
#define IMAGE_RANGES 64           /* of what is only read */
#define IMAGE_SHARED (1ull << 20) /* less than that in one piece is copied all the same */

/* What a kernel is besides its pages. */
struct image {
    uint64_t entry; /* in long mode; 0: none */
    uint64_t pvh;   /* in 32-bit mode by PVH; 0: none */
    uint64_t end;   /* of the memory that it needs, data and zeros */
};

/* A part of a kernel file, and where it goes. */
struct image_segment {
    uint64_t gpa, len; /* memory; beyond file_len it is zero */
    uint64_t file_off, file_len;
};

/* Memory that the kernel only reads. */
struct image_range {
    uint64_t gpa, len;
};

/* All that an image is made of. */
struct image_plan {
    const struct image_segment *segments;
    const struct image_range *constant;
    unsigned count, constants;
    struct image image;
};

/*
 * Find the image of this file in the cache, and lay it over the guest's memory. Returns true with
 * *image filled, false where there is none or it cannot be laid there.
 */
bool image_load(const char *cache, const struct boot_file *of, struct memory *m,
                struct image *image);
/*
 * Make one out of segments of `from`, which is `of` or was unpacked from it. 0, or -1 with the
 * reason, which is only for the log.
 */
int image_save(const char *cache, const struct boot_file *of, const struct boot_file *from,
               const struct image_plan *plan, struct error *err);

#endif
