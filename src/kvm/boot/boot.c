/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all kernels need: files opened with care, page tables, memory map, initrd, command line,
 * ACPI tables; see boot.h. The formats are in bzimage.c and elf.c.
 */
#include "kvm/boot/boot.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "kvm/acpi/tables.h"
#include "kvm/boot/layout.h"

#define PAGE       4096ull
#define HEAD_BYTES 1024 /* enough to tell the formats apart */

static const struct kernel_format *const formats[] = {&kernel_bzimage, &kernel_elf};

static struct boot_identity identity_of(const struct stat *st)
{
    return (struct boot_identity){.dev = st->st_dev,
                                  .ino = st->st_ino,
                                  .size = (uint64_t)st->st_size,
                                  .mtime = st->st_mtim.tv_sec,
                                  .mtime_ns = st->st_mtim.tv_nsec,
                                  .ctime = st->st_ctim.tv_sec,
                                  .ctime_ns = st->st_ctim.tv_nsec};
}

int boot_open(struct boot_file *f, const char *path, struct error *err)
{
    struct stat st;
    /* Not to be held up by a fifo that somebody put there. */
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    *f = (struct boot_file){.path = path, .fd = -1};
    if (fd < 0)
        return error_set(err, errno, "open '%s'", path);
    if (fstat(fd, &st) < 0)
        return error_set(err, errno, "look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "open '%s' as a file", path);
    f->size = (uint64_t)st.st_size;
    f->id = identity_of(&st);
    f->fd = steal_fd(fd);
    return 0;
}

bool boot_unchanged(const struct boot_file *f)
{
    struct stat st;

    if (!f->id.ino || fstat(f->fd, &st) < 0)
        return false;
    const struct boot_identity now = identity_of(&st);
    return !memcmp(&now, &f->id, sizeof(now));
}

int boot_read(const struct boot_file *f, uint64_t off, void *data, size_t len, struct error *err)
{
    uint8_t *out = data;

    if (off > f->size || len > f->size - off)
        return error_set(err, 0, "'%s' ends before what its header promises", f->path);
    if (f->data) {
        memcpy(data, f->data + off, len);
        return 0;
    }
    while (len) {
        ssize_t n = pread(f->fd, out, len, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set(err, n < 0 ? errno : EIO, "read '%s'", f->path);
        out += n;
        off += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* The format of a file, or NULL with an error. */
static const struct kernel_format *find_format(const struct boot_file *kernel, struct error *err)
{
    uint8_t head[HEAD_BYTES];
    size_t len = min((uint64_t)sizeof(head), kernel->size);

    if (boot_read(kernel, 0, head, len, err) < 0)
        return NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
        if (formats[i]->is(head, len))
            return formats[i];
    error_set(err, 0,
              "'%s' is no kernel: neither a bzImage (/boot/vmlinuz-…) nor an x86-64 ELF vmlinux",
              kernel->path);
    return NULL;
}

int boot_check(const struct boot_file *kernel, struct error *err)
{
    const struct kernel_format *f = find_format(kernel, err);

    return f ? f->check(kernel, err) : -1;
}

/* GDT, and page tables that map the first 4 GiB one to one in pages of 2 MiB. */
static int put_cpu_tables(const struct memory *m, struct error *err)
{
    enum { PRESENT = 1, WRITABLE = 2, LARGE = 1 << 7, TABLES = 6, ENTRIES = 512 };
    uint64_t(*table)[ENTRIES] = memory_at(m, BOOT_PAGE_TABLES, TABLES * PAGE);

    if (!table || memory_write(m, BOOT_GDT, cpu_gdt, sizeof(cpu_gdt)) < 0)
        return error_set(err, 0, "the guest's memory is too small to boot a kernel");
    table[0][0] = (BOOT_PAGE_TABLES + PAGE) | PRESENT | WRITABLE;
    for (uint64_t i = 0; i < 4; i++)
        table[1][i] = (BOOT_PAGE_TABLES + (2 + i) * PAGE) | PRESENT | WRITABLE;
    for (uint64_t i = 0; i < 4ull * ENTRIES; i++)
        table[2 + i / ENTRIES][i % ENTRIES] = i << 21 | PRESENT | WRITABLE | LARGE;
    return 0;
}

/* Instead of a BIOS: reset by port 0xcf9 (legacy/bridge.h). */
static const uint8_t reset_code[] = {
    0xba, 0xf9, 0x0c, /* mov $0xcf9, %dx */
    0xb0, 0x06,       /* mov $6, %al */
    0xee,             /* out %al, %dx */
    0xfa, 0xf4,       /* cli; hlt */
    0xeb, 0xfd,       /* jmp to the hlt */
};

static void add_piece(struct boot_load *b, uint64_t base, uint64_t end, uint32_t type)
{
    if (end > base && b->pieces < BOOT_PIECES)
        b->map[b->pieces++] = (struct boot_piece){.base = base, .size = end - base, .type = type};
}

/* The memory map that the kernel is given. */
static void map_memory(struct boot_load *b)
{
    const struct memory *m = b->memory;

    add_piece(b, 0, BOOT_LOW_END, BOOT_RAM);
    add_piece(b, BOOT_LOW_END, 0xa0000, BOOT_RESERVED);
    add_piece(b, BOOT_ACPI, BOOT_HIGH, BOOT_RESERVED);
    add_piece(b, BOOT_HIGH, memory_low_end(m), BOOT_RAM);
    add_piece(b, MEMORY_ECAM, MEMORY_ECAM + MEMORY_ECAM_SIZE, BOOT_RESERVED);
    for (unsigned i = 1; i < m->count; i++)
        add_piece(b, m->slots[i].base, m->slots[i].base + m->slots[i].size, BOOT_RAM);
}

int boot_place_initrd(struct boot_load *b, uint64_t kernel_end, uint64_t last, struct error *err)
{
    const struct boot_file *f = &b->rq->initrd;

    if (f->fd < 0)
        return 0;
    uint64_t end = min(memory_low_end(b->memory), last < UINT64_MAX ? last + 1 : last);
    uint64_t size = f->size;
    if (end < kernel_end || size > end - kernel_end || ((end - size) & ~(PAGE - 1)) < kernel_end)
        return error_set(err, 0,
                         "initrd '%s' (%llu MiB) does not fit beside the kernel into the guest's "
                         "memory (%llu MiB); raise guest.memory",
                         f->path, (unsigned long long)(size >> 20),
                         (unsigned long long)(b->memory->size >> 20));
    b->initrd_base = (end - size) & ~(PAGE - 1);
    return memory_load(b->memory, b->initrd_base, f->fd, 0, size, f->path, err);
}

int boot_put_cmdline(const struct boot_load *b, uint64_t limit, struct error *err)
{
    size_t len = strlen(b->rq->cmdline);

    limit = min(limit, (uint64_t)BOOT_CMDLINE_ROOM - 1);
    if (len > limit)
        return error_set(err, 0, "the kernel's command line is %zu bytes long; '%s' takes %llu",
                         len, b->rq->kernel.path, (unsigned long long)limit);
    if (memory_write(b->memory, BOOT_CMDLINE, b->rq->cmdline, len + 1) < 0)
        return error_set(err, 0, "the guest's memory is too small to boot a kernel");
    return 0;
}

void boot_fill_params(const struct boot_load *b, struct boot_params *params)
{
    params->acpi_rsdp_addr = BOOT_ACPI;
    for (unsigned i = 0; i < b->pieces; i++)
        params->e820_table[i] = (struct boot_e820_entry){.addr = b->map[i].base,
                                                         .size = b->map[i].size,
                                                         .type = b->map[i].type};
    params->e820_entries = (uint8_t)b->pieces;

    params->hdr.type_of_loader = 0xff; /* one without a number */
    params->hdr.cmd_line_ptr = BOOT_CMDLINE;
    if (b->rq->initrd.fd >= 0) {
        params->hdr.ramdisk_image = (uint32_t)b->initrd_base;
        params->hdr.ramdisk_size = (uint32_t)b->rq->initrd.size;
    }
}

void boot_enter_linux(struct boot_load *b, uint64_t ip)
{
    b->entry->long_mode = true;
    b->entry->ip = ip;
    b->entry->arg = BOOT_ZERO_PAGE;
}

int boot_load(struct memory *m, const struct boot_request *rq, struct cpu_entry *entry,
              struct error *err)
{
    struct boot_load b = {.memory = m, .rq = rq, .entry = entry};
    const struct kernel_format *format = find_format(&rq->kernel, err);

    if (!format || put_cpu_tables(m, err) < 0)
        return -1;
    map_memory(&b);
    *entry = (struct cpu_entry){.page_table = BOOT_PAGE_TABLES, .gdt = BOOT_GDT};
    if (format->load(&b, err) < 0)
        return -1;
    if (acpi_put_tables(m, BOOT_ACPI, BOOT_RESET - BOOT_ACPI, &rq->cpus, rq->com2) < 0 ||
        memory_write(m, BOOT_RESET, reset_code, sizeof(reset_code)) < 0)
        return error_set(err, 0, "the guest's memory is too small for its ACPI tables");
    return 0;
}

int boot_bare(const struct memory *m, uint64_t gpa, const void *code, size_t len,
              struct cpu_entry *entry, struct error *err)
{
    if (put_cpu_tables(m, err) < 0)
        return -1;
    if (memory_write(m, gpa, code, len) < 0)
        return error_set(err, 0, "the guest's memory is too small for %zu bytes of code", len);
    *entry = (struct cpu_entry){.long_mode = true,
                                .ip = gpa,
                                .page_table = BOOT_PAGE_TABLES,
                                .gdt = BOOT_GDT};
    return 0;
}
