/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF kernels: an unpacked vmlinux, or anything that carries a PVH note.
 *
 * Segments go to their physical addresses. With the note XEN_ELFNOTE_PHYS32_ENTRY the kernel is
 * entered in 32-bit mode with a start info (Xen's docs/misc/pvh.pandoc), which more systems than
 * Linux know; without it, or where 32-bit code is hopeless, at its ELF entry in long mode with a
 * zero page, as Linux's 64-bit boot protocol wants.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "kvm/boot/image.h"
#include "kvm/boot/layout.h"

#define MAX_SEGMENTS      64
#define MAX_SECTIONS      256
#define MAX_NOTES         (64u << 10)
#define IMAGE_WORTH       (1u << 20) /* smaller kernels are as fast read as mapped */
#define NOTE_PHYS32_ENTRY 18
#define INITRD_LAST       0x37ffffffu /* Linux's limit where no header says another */
#define PAGE_SIZE         4096u
#define CMDLINE_LIMIT     2047u /* Linux's COMMAND_LINE_SIZE on x86, less the NUL */
#define KERNEL_ALIGNMENT  0x1000000u

/* What a PVH kernel is given, in EBX. */
#define PVH_MAGIC 0x336ec578
struct pvh_info {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, cmdline, rsdp, memory_map;
    uint32_t memory_pieces, reserved;
};
struct pvh_module {
    uint64_t base, size, cmdline, reserved;
};
struct pvh_piece {
    uint64_t base, size;
    uint32_t type, reserved;
};
struct pvh_block {
    struct pvh_info info;
    struct pvh_module initrd;
    struct pvh_piece map[BOOT_PIECES];
};

static bool elf_is(const uint8_t *head, size_t len)
{
    return len >= SELFMAG && !memcmp(head, ELFMAG, SELFMAG);
}

/* Is it a file that can be run on this kind of CPU, with program headers? */
static int check_header(const struct boot_file *f, const Elf64_Ehdr *eh, struct error *err)
{
    if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
        eh->e_machine != EM_X86_64)
        return error_set(err, 0, "'%s' is an ELF file, but not for x86-64", f->path);
    if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN)
        return error_set(err, 0, "'%s' is an ELF file, but not one to be executed", f->path);
    if (eh->e_phentsize != sizeof(Elf64_Phdr) || !eh->e_phnum || eh->e_phnum > MAX_SEGMENTS)
        return error_set(err, 0, "'%s' has no program headers to load it by", f->path);
    return 0;
}

/* Does a segment lie where a kernel's can, and wholly in the file? */
static int check_segment(const struct boot_file *f, const Elf64_Phdr *p, struct error *err)
{
    if (p->p_type != PT_LOAD)
        return 0;
    if (p->p_filesz > p->p_memsz || p->p_memsz > UINT64_MAX - p->p_paddr || p->p_paddr < BOOT_HIGH)
        return error_set(err, 0, "'%s' is no kernel: a segment lies at %#llx, where none can be",
                         f->path, (unsigned long long)p->p_paddr);
    if (p->p_offset > f->size || p->p_filesz > f->size - p->p_offset)
        return error_set(err, 0, "'%s' ends before what its header promises", f->path);
    return 0;
}

/* The file's header, and its segments' headers, checked; the caller frees them. NULL on failure. */
static Elf64_Phdr *read_headers(const struct boot_file *f, Elf64_Ehdr *eh, struct error *err)
{
    if (boot_read(f, 0, eh, sizeof(*eh), err) < 0 || check_header(f, eh, err) < 0)
        return NULL;
    cleanup_free Elf64_Phdr *phdrs = xcalloc(eh->e_phnum, sizeof(*phdrs));
    if (boot_read(f, eh->e_phoff, phdrs, eh->e_phnum * sizeof(*phdrs), err) < 0)
        return NULL;
    for (unsigned i = 0; i < eh->e_phnum; i++)
        if (check_segment(f, &phdrs[i], err) < 0)
            return NULL;
    return steal_ptr(phdrs);
}

static int elf_check(const struct boot_file *kernel, struct error *err)
{
    Elf64_Ehdr eh;
    cleanup_free Elf64_Phdr *phdrs = read_headers(kernel, &eh, err);

    return phdrs ? 0 : -1;
}

/* Search a note segment for the PVH entry: 0 where there is none. */
static int find_pvh(const struct boot_file *f, const Elf64_Phdr *ph, uint64_t *ip,
                    struct error *err)
{
    size_t len = min(ph->p_filesz, (uint64_t)MAX_NOTES), off = 0;
    cleanup_free uint8_t *notes = xcalloc(1, len + 1);

    if (boot_read(f, ph->p_offset, notes, len, err) < 0)
        return -1;
    while (len - off >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr nh;
        memcpy(&nh, notes + off, sizeof(nh));
        off += sizeof(nh);
        uint64_t name = (nh.n_namesz + 3ull) & ~3ull, desc = (nh.n_descsz + 3ull) & ~3ull;
        if (name + desc > len - off)
            break;
        if (nh.n_type == NOTE_PHYS32_ENTRY && nh.n_namesz == 4 && !memcmp(notes + off, "Xen", 4) &&
            (nh.n_descsz == 4 || nh.n_descsz == 8))
            memcpy(ip, notes + off + name, nh.n_descsz);
        off += name + desc;
    }
    return 0;
}

/* Where the segments go and end, and what the notes say. Returns how many, or -1. */
static int plan(const struct boot_file *f, const Elf64_Ehdr *eh, const Elf64_Phdr *phdrs,
                struct image_segment segments[MAX_SEGMENTS], struct image *image, struct error *err)
{
    int count = 0;

    image->end = image->pvh = 0;
    for (unsigned i = 0; i < eh->e_phnum; i++) {
        const Elf64_Phdr *p = &phdrs[i];
        if (p->p_type == PT_NOTE && find_pvh(f, p, &image->pvh, err) < 0)
            return -1;
        if (p->p_type != PT_LOAD)
            continue;
        segments[count++] = (struct image_segment){.gpa = p->p_paddr,
                                                   .len = p->p_memsz,
                                                   .file_off = p->p_offset,
                                                   .file_len = p->p_filesz};
        image->end = max(image->end, p->p_paddr + p->p_memsz);
    }
    if (!image->end)
        return error_set(err, 0, "'%s' has nothing to load in it", f->path);
    return count;
}

/* Is ip a place where something is loaded? */
static bool is_loaded(const struct image_segment *segments, int count, uint64_t ip)
{
    for (int i = 0; i < count; i++)
        if (ip >= segments[i].gpa && ip - segments[i].gpa < segments[i].len)
            return true;
    return false;
}

/* Keep the entries that are there; of the two it needs one. */
static int find_entries(const struct boot_load *b, const struct boot_file *f, uint64_t entry,
                        const struct image_segment *segments, int count, struct image *image,
                        struct error *err)
{
    uint64_t pvh = image->pvh;

    image->entry = is_loaded(segments, count, entry) ? entry : 0;
    image->pvh = is_loaded(segments, count, pvh) ? pvh : 0;
    bool by_pvh = pvh && !(b->rq->avoid_32bit && image->entry);
    if (by_pvh ? image->pvh : image->entry)
        return 0;
    return error_set(err, 0, "'%s' is no kernel: its entry point %#llx is outside of it", f->path,
                     (unsigned long long)(by_pvh ? pvh : entry));
}

/* Do all segments lie in the guest's RAM? */
static int check_places(const struct boot_load *b, const struct boot_file *f,
                        const struct image_segment *segments, int count, struct error *err)
{
    for (int i = 0; i < count; i++) {
        const struct image_segment *s = &segments[i];
        if (!memory_at(b->memory, s->gpa, s->len))
            return error_set(err, 0,
                             "'%s' wants memory up to %llu MiB, and the guest has %llu MiB; raise "
                             "guest.memory",
                             f->path, (unsigned long long)((s->gpa + s->len) >> 20),
                             (unsigned long long)(b->memory->size >> 20));
    }
    return 0;
}

/* Is a section only read: neither code nor data, nor in a segment of both, which is freed? */
static bool is_constant(const Elf64_Shdr *s, const Elf64_Phdr *p)
{
    if ((p->p_flags & PF_W) && (p->p_flags & PF_X))
        return false;
    return (s->sh_flags & SHF_ALLOC) && !(s->sh_flags & SHF_EXECINSTR) &&
           (!(s->sh_flags & SHF_WRITE) || !(p->p_flags & PF_W)) && s->sh_type != SHT_NOBITS &&
           s->sh_offset >= p->p_offset && s->sh_offset - p->p_offset <= p->p_filesz &&
           s->sh_size <= p->p_filesz - (s->sh_offset - p->p_offset);
}

/* One more range, or more of the last one: what lies between two sections is nobody's. */
static unsigned add_constant(struct image_range *out, unsigned n, uint64_t gpa, uint64_t len)
{
    if (n && gpa >= out[n - 1].gpa && gpa - out[n - 1].gpa <= out[n - 1].len + PAGE_SIZE) {
        out[n - 1].len = max(out[n - 1].len, gpa + len - out[n - 1].gpa);
        return n;
    }
    if (n == IMAGE_RANGES)
        return n;
    out[n] = (struct image_range){gpa, len};
    return n + 1;
}

/* What the sections tell of memory that the kernel only reads: nothing where there are none. */
static unsigned find_constant(const struct boot_file *f, const Elf64_Ehdr *eh,
                              const Elf64_Phdr *phdrs, struct image_range out[IMAGE_RANGES])
{
    cleanup_free Elf64_Shdr *sections = xcalloc(MAX_SECTIONS, sizeof(*sections));
    unsigned n = 0;

    if (eh->e_shentsize != sizeof(*sections) || eh->e_shnum > MAX_SECTIONS ||
        boot_read(f, eh->e_shoff, sections, eh->e_shnum * sizeof(*sections), NULL) < 0)
        return 0;
    for (unsigned i = 0; i < eh->e_shnum; i++) {
        const Elf64_Shdr *s = &sections[i];
        for (unsigned k = 0; k < eh->e_phnum; k++)
            if (phdrs[k].p_type == PT_LOAD && is_constant(s, &phdrs[k]))
                n = add_constant(out, n, phdrs[k].p_paddr + (s->sh_offset - phdrs[k].p_offset),
                                 s->sh_size);
    }
    return n;
}

/* Keep a kernel of this size for the next time, and take it from there. */
static bool load_by_image(struct boot_load *b, const struct boot_file *elf, const Elf64_Ehdr *eh,
                          const Elf64_Phdr *phdrs, const struct image_segment *segments, int count,
                          struct image *image)
{
    struct image_range constant[IMAGE_RANGES];
    const struct boot_file *of = &b->rq->kernel;
    uint64_t size = 0;
    struct error why;

    for (int i = 0; i < count; i++)
        size += segments[i].file_len;
    if (!b->rq->cache || !of->id.ino || size < IMAGE_WORTH)
        return false;
    const struct image_plan plan = {
        .segments = segments,
        .count = (unsigned)count,
        .constant = constant,
        .constants = find_constant(elf, eh, phdrs, constant),
        .image = *image,
    };
    if (image_save(b->rq->cache, of, elf, &plan, &why) == 0)
        return image_load(b->rq->cache, of, b->memory, image);
    log_line("keep the unpacked kernel '%s': %s", of->path, why.text);
    return false;
}

int boot_load_elf(struct boot_load *b, const struct boot_file *elf, struct image *image,
                  struct error *err)
{
    struct image_segment segments[MAX_SEGMENTS] = {0};
    Elf64_Ehdr eh;
    cleanup_free Elf64_Phdr *phdrs = read_headers(elf, &eh, err);
    int count = phdrs ? plan(elf, &eh, phdrs, segments, image, err) : -1;

    if (count < 0 || check_places(b, elf, segments, count, err) < 0 ||
        find_entries(b, elf, eh.e_entry, segments, count, image, err) < 0)
        return -1;
    if (load_by_image(b, elf, &eh, phdrs, segments, count, image))
        return 0;
    for (int i = 0; i < count; i++) {
        const struct image_segment *s = &segments[i];
        if (boot_read(elf, s->file_off, memory_at(b->memory, s->gpa, s->file_len), s->file_len,
                      err) < 0)
            return -1;
    }
    return 0;
}

/* Enter by PVH: 32-bit, with a start info. */
static int enter_pvh(struct boot_load *b, uint64_t ip, struct error *err)
{
    struct pvh_block *block = memory_at(b->memory, BOOT_PVH_INFO, sizeof(*block));

    if (!block)
        return error_set(err, 0, "the guest's memory is too small to boot a kernel");
    memset(block, 0, sizeof(*block));
    block->info = (struct pvh_info){
        .magic = PVH_MAGIC,
        .version = 1, /* the one with a memory map */
        .cmdline = BOOT_CMDLINE,
        .rsdp = BOOT_ACPI,
        .memory_map = BOOT_PVH_INFO + offsetof(struct pvh_block, map),
        .memory_pieces = b->pieces,
    };
    if (b->rq->initrd.fd >= 0) {
        block->info.modules = 1;
        block->info.module_list = BOOT_PVH_INFO + offsetof(struct pvh_block, initrd);
        block->initrd = (struct pvh_module){.base = b->initrd_base, .size = b->rq->initrd.size};
    }
    for (unsigned i = 0; i < b->pieces; i++)
        block->map[i] = (struct pvh_piece){.base = b->map[i].base,
                                           .size = b->map[i].size,
                                           .type = b->map[i].type};
    b->entry->long_mode = false;
    b->entry->ip = ip;
    b->entry->arg = BOOT_PVH_INFO;
    return 0;
}

/* Enter as Linux's 64-bit protocol says, with a zero page whose header we make up. */
static int enter_long(struct boot_load *b, uint64_t ip, struct error *err)
{
    struct boot_params *params = memory_at(b->memory, BOOT_ZERO_PAGE, sizeof(*params));

    if (!params)
        return error_set(err, 0, "the guest's memory is too small to boot a kernel");
    memset(params, 0, sizeof(*params));
    params->hdr.boot_flag = 0xaa55;
    params->hdr.header = 0x53726448; /* "HdrS" */
    params->hdr.kernel_alignment = KERNEL_ALIGNMENT;
    params->hdr.cmdline_size = CMDLINE_LIMIT;
    boot_fill_params(b, params);
    boot_enter_linux(b, ip);
    return 0;
}

static int elf_load(struct boot_load *b, struct error *err)
{
    const struct boot_file *f = &b->rq->kernel;
    struct image image = {0};

    if (!(b->rq->cache && image_load(b->rq->cache, f, b->memory, &image)) &&
        boot_load_elf(b, f, &image, err) < 0)
        return -1;
    if (boot_place_initrd(b, image.end, INITRD_LAST, err) < 0 ||
        boot_put_cmdline(b, CMDLINE_LIMIT, err) < 0)
        return -1;
    if (image.pvh && !(b->rq->avoid_32bit && image.entry))
        return enter_pvh(b, image.pvh, err);
    return enter_long(b, image.entry, err);
}

const struct kernel_format kernel_elf = {
    .name = "ELF",
    .is = elf_is,
    .check = elf_check,
    .load = elf_load,
};
