/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bzImage: Linux's own format, entered by its 64-bit entry (Documentation/arch/x86/boot.rst).
 *
 *     0      boot sector ┐ setup_sects + 1 sectors; the setup header is at 0x1f1
 *            setup code  ┘ 16-bit code: not used
 *     …      the compressed kernel: to pref_address, entered at its start + 0x200
 *
 * The kernel unpacks itself in place and wants init_size bytes from there on. Or we do that: at
 * payload_offset of the compressed part lies an ELF vmlinux, packed, and behind it a table for
 * moving it, which only the kernel's own unpacker uses. So it runs where it was linked to. We tell
 * it that all the same it may put its own mappings (of all memory, of modules) at random places.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "kvm/boot/image.h"
#include "kvm/boot/layout.h"
#include "kvm/boot/unpack.h"

#define SECTOR        512u
#define HEADER_OFFSET 0x1f1u
#define MAGIC_OFFSET  0x202u
#define BOOT_FLAG     0xaa55
#define HEADER_MAGIC  0x53726448 /* "HdrS" */
#define VERSION_64BIT 0x020c     /* the protocol that brought xloadflags */
#define ENTRY_64BIT   0x200
#define SETUP_SECTS   4 /* what 0 stands for */

#define PACKED_MAX   (256ull << 20) /* the largest kernels are a tenth of that */
#define UNPACKED_MAX (512ull << 20)

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

/* Where the setup sectors end. */
static uint64_t setup_size(const struct setup_header *h)
{
    return ((h->setup_sects ? h->setup_sects : SETUP_SECTS) + 1ull) * SECTOR;
}

/* Everything but the kernel itself, which ends at kernel_end and is entered at ip. */
static int finish(struct boot_load *b, const struct setup_header *h, uint64_t kernel_end,
                  uint64_t base, uint64_t ip, struct error *err)
{
    struct boot_params *params = memory_at(b->memory, BOOT_ZERO_PAGE, sizeof(*params));

    if (!params)
        return error_set(err, 0, "the guest's memory is too small to boot a kernel");
    if (boot_place_initrd(b, kernel_end, h->initrd_addr_max, err) < 0 ||
        boot_put_cmdline(b, h->cmdline_size, err) < 0)
        return -1;
    memset(params, 0, sizeof(*params));
    params->hdr = *h;
    params->hdr.code32_start = (uint32_t)base;
    boot_fill_params(b, params);
    boot_enter_linux(b, ip);
    return 0;
}

/* The kernel as it came. */
static int load_packed(struct boot_load *b, const struct setup_header *h, struct error *err)
{
    const struct boot_file *f = &b->rq->kernel;
    uint64_t setup = setup_size(h);

    if (setup >= f->size)
        return error_set(err, 0, "'%s' ends before what its header promises", f->path);
    uint64_t size = f->size - setup, base = h->pref_address;
    if (h->syssize && h->syssize * 16ull < size) /* a signature may follow */
        size = h->syssize * 16ull;

    uint64_t room = max((uint64_t)h->init_size, size), end = memory_low_end(b->memory);
    if (base < BOOT_HIGH || base > end || room > end - base)
        return error_set(err, 0,
                         "'%s' needs %llu MiB of memory at %llu MiB, and the guest has %llu MiB; "
                         "raise guest.memory",
                         f->path, (unsigned long long)(room >> 20),
                         (unsigned long long)(base >> 20),
                         (unsigned long long)(b->memory->size >> 20));
    if (memory_load(b->memory, base, f->fd, setup, size, f->path, err) < 0)
        return -1;
    return finish(b, h, base + room, base, base + ENTRY_64BIT, err);
}

/*
 * Read the payload. *data is freed by the caller. Returns 0 where there is none that we can unpack:
 * it may still be one for the kernel itself.
 */
static int read_payload(const struct boot_file *f, const struct setup_header *h, uint8_t **data,
                        struct error *err)
{
    uint64_t at = setup_size(h) + h->payload_offset, len = h->payload_length;

    if (!len || len > PACKED_MAX)
        return 0;
    if (at > f->size || len > f->size - at)
        return error_set(err, 0, "'%s' ends before what its header promises", f->path);
    *data = malloc(len);
    if (!*data)
        return error_set(err, ENOMEM, "unpack '%s'", f->path);
    if (boot_read(f, at, *data, len, err) < 0)
        return -1;
    return unpack_name(*data, len) != NULL;
}

/* Unpack the payload and load it. 1: done; 0: this has to be left to the kernel. */
static int unpack_elf(struct boot_load *b, const struct setup_header *h, const uint8_t *payload,
                      struct image *image, struct error *err)
{
    const struct boot_file *f = &b->rq->kernel;
    uint64_t room = min((uint64_t)h->init_size, UNPACKED_MAX); /* it is as much as is unpacked */
    int rc = 0;

    if (!room)
        return 0;
    uint8_t *out = mmap(NULL, room, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (out == MAP_FAILED)
        return error_set(err, errno, "unpack '%s'", f->path);
    int64_t n = unpack(payload, h->payload_length, out, room, err);
    const struct boot_file elf = {.path = f->path,
                                  .fd = -1,
                                  .size = n < 0 ? 0 : (uint64_t)n,
                                  .data = out};
    if (n < 0) {
        error_wrap(err, "unpack '%s'", f->path);
        rc = error_hint(err, "vm.unpack = 0 leaves that to the kernel");
    } else if (n > SELFMAG && !memcmp(out, ELFMAG, SELFMAG)) {
        rc = boot_load_elf(b, &elf, image, err) < 0 ? -1 : 1;
    }
    munmap(out, room);
    return rc;
}

/* The kernel as an image, from the cache or unpacked now. 1: done; 0: not possible. */
static int load_image(struct boot_load *b, const struct setup_header *h, struct image *image,
                      struct error *err)
{
    const struct boot_file *f = &b->rq->kernel;
    cleanup_free uint8_t *payload = NULL;

    if (b->rq->cache && image_load(b->rq->cache, f, b->memory, image))
        return image->entry != 0;
    int rc = read_payload(f, h, &payload, err);
    if (rc > 0)
        rc = unpack_elf(b, h, payload, image, err);
    return rc > 0 ? image->entry != 0 : rc;
}

/* Does the command line ask for no random addresses? */
static bool says_nokaslr(const char *cmdline)
{
    for (const char *p = cmdline; (p = strstr(p, "nokaslr")); p++)
        if ((p == cmdline || p[-1] == ' ') && (p[7] == '\0' || p[7] == ' '))
            return true;
    return false;
}

static int bzimage_load(struct boot_load *b, struct error *err)
{
    struct setup_header h;
    struct image image = {0};

    if (read_header(&b->rq->kernel, &h, err) < 0)
        return -1;
    int rc = b->rq->unpack ? load_image(b, &h, &image, err) : 0;
    if (rc < 0)
        return -1;
    if (!rc)
        return load_packed(b, &h, err);
    h.loadflags &= (uint8_t)~KASLR_FLAG;
    if (!says_nokaslr(b->rq->cmdline))
        h.loadflags |= KASLR_FLAG;
    return finish(b, &h, image.end, h.pref_address, image.entry, err);
}

const struct kernel_format kernel_bzimage = {
    .name = "bzImage",
    .is = bzimage_is,
    .check = bzimage_check,
    .load = bzimage_load,
};
