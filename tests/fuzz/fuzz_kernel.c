/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel files, bzImage, packed in every way, and ELF, with headers that promise too much, and
 * kept images of kernels that somebody changed: nothing is written outside of the guest's memory,
 * and a kernel that is taken is entered inside of it.
 */
#include "fuzz/feed.h"

#include <asm/bootparam.h>
#include <bzlib.h>
#include <elf.h>
#include <fcntl.h>
#include <lz4.h>
#include <lzma.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "kvm/boot/image.h"
#include "kvm/boot/layout.h"

#define MEMORY  (4u << 20)
#define PAYLOAD 0x410u /* in a bzImage: with one sector of setup */
#define PACKED  0x1800u

static const uint64_t places[] = {
    0x100000,    0x200000,   0x3ff000,           0x400000,  0,      0xfffff, 0x500, 0xd0000000,
    0x100000000, UINT64_MAX, UINT64_MAX - 0xfff, INT64_MAX, 0x1000, 64,      1,
};

/* A number that a loader may stumble over. */
static uint64_t place(struct feed *f)
{
    uint64_t x = feed_rarely(f, 4) ? feed_u64(f) : feed_pick(f, places);
    return feed_rarely(f, 4) ? x + feed_byte(f) - 128 : x;
}

static size_t generate_bzimage(struct feed *f, uint8_t *out, size_t payload)
{
    struct setup_header h = {
        .setup_sects = feed_rarely(f, 4) ? feed_byte(f) : 1,
        .boot_flag = 0xaa55,
        .header = 0x53726448,
        .version = feed_rarely(f, 6) ? (uint16_t)feed_below(f, 65536) : 0x20f,
        .loadflags = feed_rarely(f, 6) ? feed_byte(f) : LOADED_HIGH,
        .xloadflags = feed_rarely(f, 6) ? feed_byte(f) : XLF_KERNEL_64,
        .syssize = feed_rarely(f, 2) ? (uint32_t)place(f) : 0,
        .initrd_addr_max = feed_rarely(f, 3) ? (uint32_t)place(f) : 0x7fffffff,
        .cmdline_size = feed_rarely(f, 3) ? (uint32_t)place(f) : 2047,
        .pref_address = feed_rarely(f, 2) ? place(f) : 0x100000,
        .init_size = feed_rarely(f, 2) ? (uint32_t)place(f) : 0x10000,
        .payload_offset = feed_rarely(f, 8) ? (uint32_t)place(f) : 0x10,
        .payload_length = feed_rarely(f, 8) ? (uint32_t)place(f) : (uint32_t)payload,
    };
    memcpy(out + 0x1f1, &h, sizeof h);
    out[0x200] = 0xeb; /* jmp */
    out[0x201] = feed_rarely(f, 4) ? feed_byte(f) : 0x6a;
    return payload ? PAYLOAD + payload : 0x400 + feed_below(f, 0x1000);
}

static size_t generate_elf(struct feed *f, uint8_t *out)
{
    unsigned n = feed_below(f, 5);
    Elf64_Ehdr eh = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = feed_rarely(f, 8) ? feed_byte(f) : ET_EXEC,
        .e_machine = feed_rarely(f, 8) ? feed_byte(f) : EM_X86_64,
        .e_entry = feed_rarely(f, 2) ? place(f) : 0x100000,
        .e_phoff = feed_rarely(f, 6) ? place(f) : sizeof eh,
        .e_phentsize = feed_rarely(f, 12) ? feed_byte(f) : sizeof(Elf64_Phdr),
        .e_phnum = feed_rarely(f, 12) ? (uint16_t)feed_below(f, 65536) : (uint16_t)n,
    };
    memcpy(out, &eh, sizeof eh);
    for (unsigned i = 0; i < n; i++) {
        Elf64_Phdr p = {
            .p_type = feed_rarely(f, 3) ? PT_NOTE : PT_LOAD,
            .p_offset = feed_rarely(f, 3) ? place(f) : 0x400,
            .p_paddr = feed_rarely(f, 3) ? place(f) : 0x100000 + i * 0x1000u,
            .p_filesz = feed_rarely(f, 3) ? place(f) : 0x100,
            .p_memsz = feed_rarely(f, 3) ? place(f) : 0x1000,
        };
        memcpy(out + sizeof eh + i * sizeof p, &p, sizeof p);
    }
    /* Notes, of which one may be the PVH entry. */
    uint32_t note[] = {
        feed_rarely(f, 3) ? (uint32_t)place(f) : 4,
        feed_rarely(f, 3) ? (uint32_t)place(f) : 4,
        feed_rarely(f, 3) ? feed_byte(f) : 18,
        0x006e6558 /* "Xen" */,
        feed_rarely(f, 3) ? (uint32_t)place(f) : 0x100000,
        0,
    };
    memcpy(out + 0x400, note, sizeof note);
    memcpy(out + 0x400 + sizeof note, note, sizeof note);
    return 0x400 + feed_below(f, 0x400);
}

/* Pack in some way, into at most PACKED bytes. */
static size_t pack(struct feed *f, const uint8_t *in, size_t len, uint8_t *out)
{
    unsigned room = PACKED;
    size_t n = 0;
    lzma_options_lzma o;
    z_stream z = {.next_in = (uint8_t *)in,
                  .avail_in = (unsigned)len,
                  .next_out = out,
                  .avail_out = room};

    switch (feed_below(f, 6)) {
    case 0:
        must(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
        deflate(&z, Z_FINISH);
        deflateEnd(&z);
        return z.total_out;
    case 1:
        BZ2_bzBuffToBuffCompress((char *)out, &room, (char *)in, (unsigned)len, 1, 0, 0);
        return room;
    case 2:
        lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, in, len, out, &n, room);
        return n;
    case 3: {
        lzma_stream s = LZMA_STREAM_INIT;
        lzma_lzma_preset(&o, 0);
        must(lzma_alone_encoder(&s, &o) == LZMA_OK);
        s.next_in = in;
        s.avail_in = len;
        s.next_out = out;
        s.avail_out = room;
        while (lzma_code(&s, LZMA_FINISH) == LZMA_OK)
            ;
        n = s.total_out;
        lzma_end(&s);
        return n;
    }
    case 4: {
        memcpy(out, "\x02\x21\x4c\x18", 4);
        int block = LZ4_compress_default((const char *)in, (char *)out + 8, (int)len, PACKED - 8);
        memcpy(out + 4, &block, 4);
        return 8 + (size_t)block;
    }
    default:
        n = ZSTD_compress(out, room, in, len, 1);
        return ZSTD_isError(n) ? 0 : n;
    }
}

/* A bzImage with an ELF kernel in it. */
static size_t generate_packed(struct feed *f, uint8_t *out)
{
    static uint8_t elf[0x1000];

    memset(elf, 0, sizeof elf);
    size_t len = feed_rarely(f, 16) ? feed_bytes(f, elf, sizeof elf) : generate_elf(f, elf);
    size_t n = pack(f, elf, len, out + PAYLOAD);
    for (int i = feed_rarely(f, 3) ? 3 : 0; i > 0 && n; i--)
        out[PAYLOAD + feed_below(f, n)] = feed_byte(f);
    return generate_bzimage(f, out, n);
}

/* A directory for images, gone when the last of this process ends. */
static const char *cache(void)
{
    static char dir[] = "/tmp/pult-fuzz.XXXXXX";
    static bool made;

    if (!made)
        must(mkdtemp(dir) != NULL);
    made = true;
    return dir;
}

static void remove_cache(void)
{
    rmdir(cache());
}

/* Keep an image of a file, change it here and there, and take it. */
static void try_image(struct feed *f, struct memory *m, struct boot_file *kernel)
{
    static bool once;
    struct image image = {.entry = 0x100000, .end = 0x300000};
    const struct image_segment segments[] = {
        {.gpa = 0x100000 + feed_below(f, 0x2000), .len = 0x1000, .file_len = kernel->size},
        {.gpa = 0x200000, .len = 0x100000, .file_len = feed_below(f, kernel->size + 1)},
    };
    const struct image_range constant = {.gpa = 0x200000 + feed_below(f, 0x2000),
                                         .len = 0xfe000 + feed_below(f, 0x4000)};
    const struct image_plan plan = {segments, &constant, 2, feed_rarely(f, 2) ? 0 : 1, image};
    struct stat st;
    struct error err;
    char name[128];

    if (!once)
        atexit(remove_cache);
    once = true;
    must(fstat(kernel->fd, &st) == 0);
    kernel->id = (struct boot_identity){st.st_dev,         st.st_ino,          (uint64_t)st.st_size,
                                        st.st_mtim.tv_sec, st.st_mtim.tv_nsec, st.st_ctim.tv_sec,
                                        st.st_ctim.tv_nsec};
    if (image_save(cache(), kernel, kernel, &plan, &err) < 0)
        return;
    snprintf(name, sizeof name, "%s/kernel-%llx-%llx", cache(), (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    int fd = open(name, O_RDWR | O_CLOEXEC);
    must(fd >= 0);
    for (int i = feed_rarely(f, 8) ? 0 : 3; i > 0; i--) {
        uint64_t x = place(f);
        unsigned at = feed_below(f, 160);
        must(pwrite(fd, &x, feed_rarely(f, 2) ? 8 : 1, at) > 0);
    }
    if (feed_rarely(f, 8))
        must(ftruncate(fd, feed_below(f, 0x400000)) == 0);
    close(fd);
    memset(&image, 0, sizeof image);
    if (image_load(cache(), kernel, m, &image)) {
        must(image.entry || image.pvh);
        must(image.end <= MEMORY && image.entry < image.end && image.pvh < image.end);
    }
    unlink(name);
    kernel->id.ino = 0;
}

/* Put bytes into a file. */
static int fill(int *fd, const void *data, size_t len)
{
    if (*fd < 0)
        *fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(*fd >= 0 && ftruncate(*fd, 0) == 0 && pwrite(*fd, data, len, 0) == (ssize_t)len);
    return *fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory m;
    static int kernel = -1, initrd = -1;
    static uint8_t file[0x2000];
    struct feed f = {data, size};

    if (m.count == 0) { /* from the heap, so that the sanitizer sees a step outside */
        m.size = MEMORY;
        m.count = 1;
        m.slots[0] = (struct memory_slot){.size = MEMORY, .host = malloc(MEMORY)};
        m.config.shared = true; /* nothing is mapped over it */
        must(m.slots[0].host != NULL);
    }
    memset(file, 0, sizeof file);
    size_t len = feed_rarely(&f, 2)   ? generate_packed(&f, file)
                 : feed_rarely(&f, 2) ? generate_elf(&f, file)
                                      : generate_bzimage(&f, file, 0);
    for (int i = feed_rarely(&f, 4) ? 4 : 0; i > 0; i--)
        file[feed_below(&f, 0x500)] = feed_byte(&f);
    len = feed_rarely(&f, 4) ? feed_below(&f, len) : len;
    if (feed_rarely(&f, 16))
        len = feed_bytes(&f, file, sizeof file);

    struct error err = {0};
    struct cpu_entry entry = {0};
    struct boot_request rq = {
        .kernel = {"kernel", fill(&kernel, file, len), len},
        .initrd = {.path = "initrd", .fd = -1},
        .cmdline = feed_rarely(&f, 2) ? "quiet" : "",
        .cpus = topology_flat(1 + feed_below(&f, 64)),
        .avoid_32bit = feed_below(&f, 2),
        .unpack = !feed_rarely(&f, 3),
    };
    if (feed_rarely(&f, 24))
        try_image(&f, &m, &rq.kernel);
    if (feed_rarely(&f, 2)) {
        size_t n = feed_below(&f, sizeof file);
        rq.initrd = (struct boot_file){"initrd", fill(&initrd, file, n), n};
        if (feed_rarely(&f, 3))
            rq.initrd.size = place(&f);
    }
    int checked = boot_check(&rq.kernel, &err);
    if (boot_load(&m, &rq, &entry, &err) < 0) {
        must(*err.text != '\0');
        return 0;
    }
    must(checked == 0);
    must(entry.ip >= BOOT_HIGH && entry.ip < MEMORY);
    must(entry.page_table == BOOT_PAGE_TABLES && entry.gdt == BOOT_GDT);
    return 0;
}
