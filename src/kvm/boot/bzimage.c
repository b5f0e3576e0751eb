/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bzImage: Linux's own format, entered by its 64-bit entry (Documentation/arch/x86/boot.rst).
 *
 *     0      boot sector ┐ setup_sects + 1 sectors; the setup header is at 0x1f1
 *            setup code  ┘ 16-bit code: not used
 *     …      the compressed kernel: to pref_address, entered at its start + 0x200
 *
 * The kernel unpacks itself in place and wants init_size bytes from there on.
 */
#include <asm/bootparam.h>
#include <stddef.h>
#include <string.h>

#include "base/util.h"
#include "kvm/boot/layout.h"

#define SECTOR        512u
#define HEADER_OFFSET 0x1f1u
#define MAGIC_OFFSET  0x202u
#define BOOT_FLAG     0xaa55
#define HEADER_MAGIC  0x53726448 /* "HdrS" */
#define VERSION_64BIT 0x020c     /* the protocol that brought xloadflags */
#define ENTRY_64BIT   0x200
#define SETUP_SECTS   4 /* what 0 stands for */

_Static_assert(offsetof(struct boot_params, hdr) == HEADER_OFFSET, "the zero page's header");

static bool bzimage_is(const uint8_t *head, size_t len)
{
    uint32_t magic;
    uint16_t flag;

    if (len < MAGIC_OFFSET + sizeof(magic))
        return false;
    memcpy(&magic, head + MAGIC_OFFSET, sizeof(magic));
    memcpy(&flag, head + HEADER_OFFSET + offsetof(struct setup_header, boot_flag), sizeof(flag));
    return flag == BOOT_FLAG && magic == HEADER_MAGIC;
}

/* Read the header: as long as it says itself to be, the rest is zero. */
static int read_header(const struct boot_file *f, struct setup_header *h, struct error *err)
{
    uint8_t raw[sizeof(*h)] = {0}, jump;

    if (boot_read(f, MAGIC_OFFSET - 1, &jump, 1, err) < 0) /* a short jump's distance */
        return -1;
    size_t len = min(MAGIC_OFFSET + jump - HEADER_OFFSET, sizeof(raw));
    if (boot_read(f, HEADER_OFFSET, raw, len, err) < 0)
        return -1;
    memcpy(h, raw, sizeof(*h));
    if (h->version < VERSION_64BIT || !(h->xloadflags & XLF_KERNEL_64))
        return error_set(err, 0,
                         "'%s' is a kernel without 64-bit entry: a 32-bit one, or older than 3.8",
                         f->path);
    if (!(h->loadflags & LOADED_HIGH))
        return error_set(err, 0, "'%s' is a zImage, which wants to be loaded low", f->path);
    return 0;
}

static int bzimage_check(const struct boot_file *kernel, struct error *err)
{
    struct setup_header h;

    return read_header(kernel, &h, err);
}

static int bzimage_load(struct boot_load *b, struct error *err)
{
    const struct boot_file *f = &b->rq->kernel;
    struct boot_params *params = memory_at(b->memory, BOOT_ZERO_PAGE, sizeof(*params));
    struct setup_header h;

    if (!params)
        return error_set(err, 0, "the guest's memory is too small to boot a kernel");
    if (read_header(f, &h, err) < 0)
        return -1;

    uint64_t setup = ((h.setup_sects ? h.setup_sects : SETUP_SECTS) + 1ull) * SECTOR;
    if (setup >= f->size)
        return error_set(err, 0, "'%s' ends before what its header promises", f->path);
    uint64_t size = f->size - setup, base = h.pref_address;
    if (h.syssize && h.syssize * 16ull < size) /* a signature may follow */
        size = h.syssize * 16ull;

    uint64_t room = max((uint64_t)h.init_size, size), end = memory_low_end(b->memory);
    if (base < BOOT_HIGH || base > end || room > end - base)
        return error_set(err, 0,
                         "'%s' needs %llu MiB of memory at %llu MiB, and the guest has %llu MiB; "
                         "raise guest.memory",
                         f->path, (unsigned long long)(room >> 20),
                         (unsigned long long)(base >> 20),
                         (unsigned long long)(b->memory->size >> 20));
    if (memory_load(b->memory, base, f->fd, setup, size, f->path, err) < 0)
        return -1;
    if (boot_place_initrd(b, base + room, h.initrd_addr_max, err) < 0)
        return -1;
    if (boot_put_cmdline(b, h.cmdline_size, err) < 0)
        return -1;

    memset(params, 0, sizeof(*params));
    params->hdr = h;
    params->hdr.code32_start = (uint32_t)base;
    boot_fill_params(b, params);
    boot_enter_linux(b, base + ENTRY_64BIT);
    return 0;
}

const struct kernel_format kernel_bzimage = {
    .name = "bzImage",
    .is = bzimage_is,
    .check = bzimage_check,
    .load = bzimage_load,
};
