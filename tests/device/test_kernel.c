/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packed kernels: every packing, good, cut off, damaged and swollen; and the images that are kept
 * of them, which VMs share. Needs no KVM.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <asm/bootparam.h>
#include <bzlib.h>
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "kvm/boot/boot.h"
#include "kvm/boot/image.h"
#include "kvm/boot/layout.h"
#include "kvm/boot/unpack.h"
#include "scratch.h"

#define MIB    (1ull << 20)
#define MEMORY (64 * MIB)
#define ROOM   (16u << 20)
#define SETUP  1024u

static struct memory memory;
static struct error err;

/* ---- the kernel ---- */

/* Two segments: 2 MiB of noise at 16 MiB, and 1 MiB of it at 19 MiB + 100 with 4 MiB of zeros. */
#define TEXT_GPA  (16 * MIB)
#define TEXT_LEN  (2 * MIB)
#define CODE_LEN  (MIB / 4) /* the rest of it are constants */
#define DATA_GPA  (19 * MIB + 100)
#define DATA_LEN  (1 * MIB)
#define DATA_ALL  (5 * MIB)
#define ELF_TEXT  4096u
#define ELF_BYTES (ELF_TEXT + TEXT_LEN + DATA_LEN + 300)

static uint8_t elf[ELF_BYTES];

static uint8_t noise(uint64_t i)
{
    return (uint8_t)(i * 2654435761u >> 13 | 1);
}

static void make_elf(void)
{
    Elf64_Ehdr eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                     .e_type = ET_EXEC,
                     .e_machine = EM_X86_64,
                     .e_entry = TEXT_GPA,
                     .e_phoff = sizeof(eh),
                     .e_phentsize = sizeof(Elf64_Phdr),
                     .e_phnum = 2,
                     .e_shoff = sizeof(eh) + 2 * sizeof(Elf64_Phdr),
                     .e_shentsize = sizeof(Elf64_Shdr),
                     .e_shnum = 4};
    const Elf64_Phdr ph[] = {
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_X,
         .p_offset = ELF_TEXT,
         .p_paddr = TEXT_GPA,
         .p_filesz = TEXT_LEN,
         .p_memsz = TEXT_LEN},
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_W,
         .p_offset = ELF_TEXT + TEXT_LEN,
         .p_paddr = DATA_GPA,
         .p_filesz = DATA_LEN,
         .p_memsz = DATA_ALL},
    };

    /* Linux's constants are marked as writable, in a segment that is not. */
    const Elf64_Shdr sh[] = {
        {.sh_type = SHT_NULL},
        {.sh_type = SHT_PROGBITS,
         .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
         .sh_offset = ELF_TEXT,
         .sh_size = CODE_LEN},
        {.sh_type = SHT_PROGBITS,
         .sh_flags = SHF_ALLOC | SHF_WRITE,
         .sh_offset = ELF_TEXT + CODE_LEN,
         .sh_size = TEXT_LEN - CODE_LEN},
        {.sh_type = SHT_PROGBITS,
         .sh_flags = SHF_ALLOC | SHF_WRITE,
         .sh_offset = ELF_TEXT + TEXT_LEN,
         .sh_size = DATA_LEN},
    };

    memcpy(elf, &eh, sizeof(eh));
    memcpy(elf + sizeof(eh), ph, sizeof(ph));
    memcpy(elf + sizeof(eh) + sizeof(ph), sh, sizeof(sh));
    for (uint64_t i = ELF_TEXT; i < ELF_BYTES; i++)
        elf[i] = noise(i);
    memset(elf + ELF_TEXT + MIB, 0, MIB / 2); /* a hole in the text */
}

static bool is_in_memory(const struct memory *m)
{
    const uint8_t *zeros = memory_at(m, DATA_GPA + DATA_LEN, DATA_ALL - DATA_LEN);

    return !memcmp(memory_at(m, TEXT_GPA, TEXT_LEN), elf + ELF_TEXT, TEXT_LEN) &&
           !memcmp(memory_at(m, DATA_GPA, DATA_LEN), elf + ELF_TEXT + TEXT_LEN, DATA_LEN) &&
           zeros[0] == 0 && !memcmp(zeros, zeros + 1, DATA_ALL - DATA_LEN - 1);
}

/* ---- packing ---- */

static size_t pack_gzip(const uint8_t *in, size_t len, uint8_t *out)
{
    z_stream s = {.next_in = (uint8_t *)in,
                  .avail_in = (uInt)len,
                  .next_out = out,
                  .avail_out = ROOM};

    assert_int_equal(deflateInit2(&s, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
    return s.total_out;
}

static size_t pack_bzip2(const uint8_t *in, size_t len, uint8_t *out)
{
    unsigned n = ROOM;

    assert_int_equal(BZ2_bzBuffToBuffCompress((char *)out, &n, (char *)in, (unsigned)len, 1, 0, 0),
                     BZ_OK);
    return n;
}

static size_t run_lzma(lzma_stream *s, lzma_ret rc, const uint8_t *in, size_t len, uint8_t *out)
{
    assert_int_equal(rc, LZMA_OK);
    s->next_in = in;
    s->avail_in = len;
    s->next_out = out;
    s->avail_out = ROOM;
    assert_int_equal(lzma_code(s, LZMA_FINISH), LZMA_STREAM_END);
    lzma_end(s);
    return s->total_out;
}

/* With the filter for code and the sum that Linux uses. */
static size_t pack_xz(const uint8_t *in, size_t len, uint8_t *out)
{
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_options_lzma o;

    lzma_lzma_preset(&o, 0);
    const lzma_filter filters[] = {{LZMA_FILTER_X86, NULL},
                                   {LZMA_FILTER_LZMA2, &o},
                                   {LZMA_VLI_UNKNOWN, NULL}};
    return run_lzma(&s, lzma_stream_encoder(&s, filters, LZMA_CHECK_CRC32), in, len, out);
}

static size_t pack_lzma(const uint8_t *in, size_t len, uint8_t *out)
{
    lzma_stream s = LZMA_STREAM_INIT;
    lzma_options_lzma o;

    lzma_lzma_preset(&o, 0);
    return run_lzma(&s, lzma_alone_encoder(&s, &o), in, len, out);
}

static size_t pack_lz4(const uint8_t *in, size_t len, uint8_t *out)
{
    static const uint8_t magic[] = {0x02, 0x21, 0x4c, 0x18};
    size_t n = sizeof(magic);

    memcpy(out, magic, sizeof(magic));
    for (size_t at = 0; at < len; at += 8 << 20) {
        uint32_t block = (uint32_t)LZ4_compress_default((const char *)in + at, (char *)out + n + 4,
                                                        (int)min(len - at, (size_t)8 << 20),
                                                        (int)(ROOM - n - 4));
        assert_true(block > 0);
        memcpy(out + n, &block, 4);
        n += 4 + block;
    }
    return n;
}

static size_t pack_zstd(const uint8_t *in, size_t len, uint8_t *out)
{
    size_t n = ZSTD_compress(out, ROOM, in, len, 1);

    assert_false(ZSTD_isError(n));
    return n;
}

static const struct {
    const char *name;
    size_t (*pack)(const uint8_t *in, size_t len, uint8_t *out);
} packings[] = {
    {"gzip", pack_gzip}, {"bzip2", pack_bzip2}, {"lzma", pack_lzma},
    {"xz", pack_xz},     {"lz4", pack_lz4},     {"zstd", pack_zstd},
};

/* Pack, with the size appended as Linux does (gzip has it at its own end). */
static size_t pack(unsigned how, const uint8_t *in, size_t len, uint8_t *out)
{
    uint32_t size = (uint32_t)len;
    size_t n = packings[how].pack(in, len, out);

    if (how > 0) {
        memcpy(out + n, &size, 4);
        n += 4;
    }
    return n;
}

/* ---- the file around it ---- */

/* A bzImage with this payload, in the file "kernel". `change` may spoil the header. */
static void write_bzimage(const uint8_t *payload, size_t len, void (*change)(struct setup_header *))
{
    cleanup_free uint8_t *image = xcalloc(1, SETUP + 100 + len);
    struct setup_header h = {
        .setup_sects = 1,
        .boot_flag = 0xaa55,
        .jump = 0x6aeb,
        .header = 0x53726448,
        .version = 0x20f,
        .loadflags = LOADED_HIGH,
        .initrd_addr_max = 0x7fffffff,
        .xloadflags = XLF_KERNEL_64,
        .cmdline_size = 255,
        .pref_address = TEXT_GPA,
        .init_size = 16 * MIB,
        .payload_offset = 100,
        .payload_length = (uint32_t)len,
    };

    if (change)
        change(&h);
    memcpy(image + 0x1f1, &h, sizeof(h));
    memcpy(image + SETUP + 100, payload, len);
    cleanup_close int fd = open("new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write_all(fd, image, SETUP + 100 + len), 0);
    assert_int_equal(rename("new", "kernel"), 0);
}

static struct cpu_entry entry;

/* Load the file "kernel" into fresh memory. */
static int load(const char *cache, const char *cmdline)
{
    struct boot_request rq = {
        .initrd.fd = -1, .unpack = true, .cache = cache, .cmdline = cmdline, .cpus = {1, 1, 1}};

    memory_destroy(&memory);
    assert_int_equal(memory_create(&memory, MEMORY, &err), 0);
    assert_int_equal(boot_open(&rq.kernel, "kernel", &err), 0);
    assert_int_equal(boot_check(&rq.kernel, &err), 0);
    int rc = boot_load(&memory, &rq, &entry, &err);
    close(rq.kernel.fd);
    return rc;
}

static const struct setup_header *header(void)
{
    return &((struct boot_params *)memory_at(&memory, BOOT_ZERO_PAGE, sizeof(struct boot_params)))
                ->hdr;
}

static int setup(void **state)
{
    make_elf();
    return scratch_make(state);
}

static int teardown(void **state)
{
    memory_destroy(&memory);
    return scratch_remove(state);
}

/* ---- packings ---- */

static void test_packings(void **state)
{
    cleanup_free uint8_t *payload = xcalloc(1, ROOM);

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(packings); i++) {
        size_t len = pack(i, elf, sizeof(elf), payload);
        assert_string_equal(unpack_name(payload, len), packings[i].name);
        write_bzimage(payload, len, NULL);
        if (load(NULL, "quiet") < 0)
            fail_msg("%s: %s", packings[i].name, err.text);
        assert_true(entry.long_mode);
        assert_int_equal(entry.ip, TEXT_GPA);
        assert_int_equal(entry.arg, BOOT_ZERO_PAGE);
        assert_true(is_in_memory(&memory));
        assert_int_equal(header()->version, 0x20f);
        assert_int_equal(header()->loadflags, LOADED_HIGH | KASLR_FLAG);
    }
    assert_int_equal(load(NULL, "nokaslrx quiet nokaslr"), 0);
    assert_int_equal(header()->loadflags, LOADED_HIGH);
    assert_int_equal(load(NULL, "nokaslrx anokaslr"), 0);
    assert_int_equal(header()->loadflags, LOADED_HIGH | KASLR_FLAG);
}

/* Cut off anywhere: it is an error, or all of the kernel was there. */
static void test_cut(void **state)
{
    cleanup_free uint8_t *payload = xcalloc(1, ROOM), *out = xcalloc(1, ELF_BYTES);

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(packings); i++) {
        size_t len = pack(i, elf, sizeof(elf), payload);
        for (size_t cut = 0; cut < len; cut += cut < 64 ? 5 : len / 17) {
            cleanup_free uint8_t *tight = malloc(cut + 1); /* for the address sanitizer */
            memcpy(tight, payload, cut);
            int64_t n = unpack(tight, cut, out, ELF_BYTES, &err);
            if (n >= 0 && i != 4) /* lz4 has no end; the ELF headers tell */
                fail_msg("%s, cut at %zu of %zu", packings[i].name, cut, len);
        }
        write_bzimage(payload, len / 2, NULL);
        assert_int_equal(load(NULL, ""), -1);
        assert_non_null(strstr(err.text, "'kernel'"));
    }
}

/* Damaged anywhere: never a crash, never beyond the room there is. */
static void test_damaged(void **state)
{
    cleanup_free uint8_t *payload = xcalloc(1, ROOM), *out = xcalloc(1, ELF_BYTES + 16);

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(packings); i++) {
        size_t len = pack(i, elf, sizeof(elf), payload);
        for (size_t at = 0; at < len; at += at < 32 ? 1 : len / 11) {
            payload[at] ^= 0x41;
            unpack(payload, len, out, ELF_BYTES, &err);
            for (unsigned k = 0; k < 16; k++)
                assert_int_equal(out[ELF_BYTES + k], 0);
            payload[at] ^= 0x41;
        }
    }
}

static void small_init_size(struct setup_header *h)
{
    h->init_size = 2 * MIB;
}

/* More comes out than the header promises: it is stopped there. */
static void test_bombs(void **state)
{
    const size_t size = 20 * MIB;
    cleanup_free uint8_t *payload = xcalloc(1, ROOM);
    uint8_t *zeros =
        mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(packings); i++) {
        write_bzimage(payload, pack(i, zeros, size, payload), small_init_size);
        assert_int_equal(load(NULL, ""), -1);
        if (!strstr(err.text, "more than the 2 MiB"))
            fail_msg("%s: %s", packings[i].name, err.text);
        assert_non_null(strstr(err.text, "vm.unpack = 0"));
        write_bzimage(payload, pack(i, elf, sizeof(elf), payload), small_init_size);
        assert_int_equal(load(NULL, ""), -1);
    }
    munmap(zeros, size);

    /* A dictionary of 4 GiB. */
    size_t len = pack(2, elf, sizeof(elf), payload);
    memset(payload + 1, 0, 2);
    memset(payload + 3, 0xff, 2);
    assert_int_equal(unpack(payload, len, payload + 8 * MIB, 8 * MIB, &err), -1);
    assert_non_null(strstr(err.text, "memory"));
}

static void no_payload(struct setup_header *h)
{
    h->payload_length = 0;
}

static void far_payload(struct setup_header *h)
{
    h->payload_offset = UINT32_MAX - 5;
}

static void long_payload(struct setup_header *h)
{
    h->payload_length = 100 * MIB;
}

/* What cannot be unpacked is entered as it is; what lies about its sizes is refused. */
static void test_unknown(void **state)
{
    cleanup_free uint8_t *payload = xcalloc(1, ROOM);

    (void)state;
    write_bzimage((const uint8_t *)"\x89LZO and so on", 14, NULL);
    assert_int_equal(load(NULL, ""), 0);
    assert_int_equal(entry.ip, TEXT_GPA + 0x200);
    size_t len = pack(0, (const uint8_t *)"no ELF, but some other thing", 28, payload);
    write_bzimage(payload, len, NULL);
    assert_int_equal(load(NULL, ""), 0);
    assert_int_equal(entry.ip, TEXT_GPA + 0x200);
    write_bzimage(payload, len, no_payload);
    assert_int_equal(load(NULL, ""), 0);
    write_bzimage(payload, len, far_payload);
    assert_int_equal(load(NULL, ""), -1);
    assert_non_null(strstr(err.text, "ends before"));
    write_bzimage(payload, len, long_payload);
    assert_int_equal(load(NULL, ""), -1);
    assert_non_null(strstr(err.text, "ends before"));
}

/* ---- images ---- */

/* The number of files in the cache, and the name of one. */
static unsigned cached(char name[256])
{
    cleanup_closedir DIR *d = opendir("cache");
    unsigned n = 0;

    for (const struct dirent *e; d && (e = readdir(d));) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        n++;
        if (name)
            snprintf(name, 256, "cache/%.200s", e->d_name);
    }
    return n;
}

static void write_kernel(void)
{
    cleanup_free uint8_t *payload = xcalloc(1, ROOM);

    write_bzimage(payload, pack(4, elf, sizeof(elf), payload), NULL);
}

/* Made once, used from then on; another file is another image. */
static void test_image(void **state)
{
    struct stat before, after;
    char name[256];

    (void)state;
    write_kernel();
    assert_int_equal(load("cache", ""), 0);
    assert_true(is_in_memory(&memory));
    assert_int_equal(memory.file_base, TEXT_GPA + CODE_LEN);
    assert_int_equal(memory.file_end, TEXT_GPA + TEXT_LEN);
    assert_int_equal(cached(name), 1);
    stat(name, &before);
    assert_int_equal(before.st_mode & 0777, 0600);
    assert_true((uint64_t)before.st_blocks * 512 < 4 * MIB); /* no zeros */

    assert_int_equal(load("cache", ""), 0);
    assert_true(is_in_memory(&memory));
    assert_int_equal(entry.ip, TEXT_GPA);
    stat(name, &after);
    assert_int_equal(before.st_ino, after.st_ino);

    /* The same file with something else in it. */
    elf[ELF_TEXT + 5] ^= 1;
    assert_int_equal(rename("kernel", "old"), 0);
    write_kernel();
    cleanup_close int from = open("kernel", O_RDONLY | O_CLOEXEC);
    cleanup_close int to = open("old", O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(sendfile(to, from, NULL, 64 * MIB) > 0);
    assert_int_equal(rename("old", "kernel"), 0);
    assert_int_equal(load("cache", ""), 0);
    assert_true(is_in_memory(&memory));
    assert_int_equal(cached(name), 1);
    stat(name, &after);
    assert_int_not_equal(before.st_ino, after.st_ino);

    /* A guest writes: the image stays what it was. */
    memset(memory_at(&memory, TEXT_GPA, TEXT_LEN), 0xee, TEXT_LEN);
    assert_int_equal(load("cache", ""), 0);
    assert_true(is_in_memory(&memory));
}

/* An ELF kernel gets an image too, if it is large. */
static void test_image_of_elf(void **state)
{
    (void)state;
    cleanup_close int fd = open("kernel", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write_all(fd, elf, sizeof(elf)), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(load("cache", ""), 0);
        assert_true(is_in_memory(&memory));
        assert_true(memory.file_end > 0);
        assert_int_equal(cached(NULL), 1);
        assert_int_equal(entry.ip, TEXT_GPA);
    }
    assert_int_equal(load(NULL, ""), 0);
    assert_true(is_in_memory(&memory));
    assert_int_equal(memory.file_end, 0);
}

/* Sum up a field of the mappings of the cache's files, in kB. */
static unsigned long smaps(const char *field)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    bool ours = false;
    unsigned long sum = 0, kb;
    char line[512], format[64];

    snprintf(format, sizeof(format), "%s: %%lu kB", field);
    while (fgets(line, sizeof(line), f)) {
        if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
            ours = strstr(line, "cache/kernel-") != NULL;
        if (ours && sscanf(line, format, &kb) == 1)
            sum += kb;
    }
    fclose(f);
    return sum;
}

/* Two guests of one kernel have what it only reads once, until they write to it all the same. */
static void test_sharing(void **state)
{
    struct memory first;

    (void)state;
    write_kernel();
    assert_int_equal(load("cache", ""), 0);
    first = memory;
    memory = (struct memory){0};
    assert_int_equal(load("cache", ""), 0);
    assert_true(is_in_memory(&first) && is_in_memory(&memory)); /* both have read all of it */
    /* (A cache on a tmpfs is never clean.) */
    unsigned long rss = smaps("Rss"), pss = smaps("Pss");
    unsigned long shared = smaps("Shared_Clean") + smaps("Shared_Dirty");
    assert_true(rss >= 2 * 1250 && rss <= 2 * 1300);
    assert_true(shared >= rss - 64);
    assert_true(pss <= rss / 2 + 64);
    memset(memory_at(&first, TEXT_GPA, CODE_LEN), 1, CODE_LEN);
    assert_int_equal(smaps("Anonymous"), 0);
    memset(memory_at(&first, TEXT_GPA + CODE_LEN, MIB / 2), 1, MIB / 2);
    assert_int_equal(smaps("Anonymous"), 512);
    memory_destroy(&first);
}

/* Whatever is wrong with the cache, the kernel is loaded. */
static void test_bad_cache(void **state)
{
    char name[256];
    uint8_t page[4096];

    (void)state;
    write_kernel();
    assert_int_equal(load("/proc/nowhere", ""), 0);
    assert_true(is_in_memory(&memory));
    assert_int_equal(mkdir("open", 0700), 0);
    assert_int_equal(chmod("open", 0777), 0); /* anybody could put an image there */
    assert_int_equal(load("open", ""), 0);
    assert_true(is_in_memory(&memory));
    assert_int_equal(rmdir("open"), 0);

    /* Every byte of the header counts, or does no harm. */
    assert_int_equal(load("cache", ""), 0);
    assert_int_equal(cached(name), 1);
    for (unsigned i = 0; i < 200; i += 7) {
        cleanup_close int fd = open(name, O_RDWR | O_CLOEXEC);
        assert_int_equal(pread(fd, page, sizeof(page), 0), sizeof(page));
        page[i] ^= 0xff;
        assert_int_equal(pwrite(fd, page, sizeof(page), 0), sizeof(page));
        assert_int_equal(load("cache", ""), 0);
        assert_true(entry.ip >= MIB && entry.ip < MEMORY);
    }
    assert_int_equal(truncate(name, 18 * MIB), 0);
    assert_int_equal(load("cache", ""), 0);
    assert_true(is_in_memory(&memory));

    /* A link, or a file that others may write to, is not taken. */
    assert_int_equal(rename(name, "elsewhere"), 0);
    cleanup_free char *target = xasprintf("%s/elsewhere", (const char *)*state);
    assert_int_equal(symlink(target, name), 0);
    assert_int_equal(load("cache", ""), 0);
    assert_true(is_in_memory(&memory));
    assert_int_equal(chmod(name, 0666), 0);
    assert_int_equal(load("cache", ""), 0);
    assert_true(is_in_memory(&memory));
}

/* At most so many are kept, those that were used last; litter goes. */
static void test_room(void **state)
{
    const struct timespec old[2] = {{.tv_sec = time(NULL) - 7200}, {.tv_sec = time(NULL) - 7200}};

    (void)state;
    assert_int_equal(mkdir("cache", 0700), 0);
    for (unsigned i = 0; i < IMAGE_FILES + 3; i++) {
        cleanup_free char *name = xasprintf("cache/kernel-1-%u", i);
        cleanup_close int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        futimens(fd, old);
    }
    close(open("cache/.kernel-1-1.77", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    close(open("cache/.kernel-1-2.77", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    close(open("cache/other", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    utimensat(AT_FDCWD, "cache/.kernel-1-1.77", old, 0);
    write_kernel();
    assert_int_equal(load("cache", ""), 0);
    assert_true(is_in_memory(&memory));
    assert_int_equal(cached(NULL), IMAGE_FILES + 2);
    assert_int_equal(access("cache/.kernel-1-1.77", F_OK), -1);
    assert_int_equal(access("cache/.kernel-1-2.77", F_OK), 0);
    assert_int_equal(access("cache/other", F_OK), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_packings), T(test_cut),          T(test_damaged), T(test_bombs),     T(test_unknown),
        T(test_image),    T(test_image_of_elf), T(test_sharing), T(test_bad_cache), T(test_room),
    };
    return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
