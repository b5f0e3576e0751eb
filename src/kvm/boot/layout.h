/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things lie in the guest's first MiB, and what the parts of the boot loader share.
 */
#ifndef PULT_KVM_BOOT_LAYOUT_H
#define PULT_KVM_BOOT_LAYOUT_H

#include "kvm/boot/boot.h"

#define BOOT_GDT          0x500u
#define BOOT_PVH_INFO     0x6000u
#define BOOT_ZERO_PAGE    0x7000u
#define BOOT_PAGE_TABLES  0x9000u /* PML4, PDPT, 4 PDs: six pages */
#define BOOT_CMDLINE      0x20000u
#define BOOT_CMDLINE_ROOM 0x10000u
#define BOOT_LOW_END      0x9fc00u /* conventional memory; a PC's EBDA follows */
#define BOOT_ACPI         0xe0000u /* where systems look for the RSDP */
#define BOOT_RESET        0xffff0u /* f000:fff0, where a PC begins, and systems jump to reset it */
#define BOOT_HIGH         0x100000u

/* One piece of the memory map. The types are those of the BIOS's E820 call. */
enum { BOOT_RAM = 1, BOOT_RESERVED = 2 };
struct boot_piece {
    uint64_t base, size;
    uint32_t type;
};
#define BOOT_PIECES 6

/* How a kernel file is loaded. */
struct boot_load {
    struct memory *memory;
    const struct boot_request *rq;
    struct boot_piece map[BOOT_PIECES];
    unsigned pieces;
    uint64_t initrd_base; /* set by boot_place_initrd() */
    struct cpu_entry *entry;
};

struct kernel_format {
    const char *name;
    /* Does the file's start say that it is one? If so, later complaints are errors. */
    bool (*is)(const uint8_t *head, size_t len);
    int (*check)(const struct boot_file *kernel, struct error *err);
    int (*load)(struct boot_load *b, struct error *err);
};

extern const struct kernel_format kernel_bzimage, kernel_elf;

/* Is the file still what boot_open() found? Not known (false) of one that came in another way. */
bool boot_unchanged(const struct boot_file *f);
/* Read exactly len bytes at off; an error where the file ends before. */
int boot_read(const struct boot_file *f, uint64_t off, void *data, size_t len, struct error *err);
/*
 * Load an ELF kernel that came out of the file b->rq->kernel, or is it. Its setup header, where it
 * has one, is in *image already; the rest of that is filled.
 */
struct image;
int boot_load_elf(struct boot_load *b, const struct boot_file *elf, struct image *image,
                  struct error *err);
/* Put the initrd as high as it goes: above kernel_end, not beyond last (an address). */
int boot_place_initrd(struct boot_load *b, uint64_t kernel_end, uint64_t last, struct error *err);
/* Write the command line, of at most limit bytes. */
int boot_put_cmdline(const struct boot_load *b, uint64_t limit, struct error *err);

/* Linux's zero page, without the setup header: memory map and the place of the RSDP. */
struct boot_params;
void boot_fill_params(const struct boot_load *b, struct boot_params *params);
/* The boot processor begins at ip in long mode with the zero page. */
void boot_enter_linux(struct boot_load *b, uint64_t ip);

#endif
