/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading kernels, good ones and bad ones, into guest memory; the ACPI tables; the panic watch.
 * Needs no KVM.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "kvm/acpi/tables.h"
#include "kvm/boot/boot.h"
#include "kvm/boot/layout.h"
#include "kvm/panic.h"
#include "kvm/words.h"
#include "scratch.h"

#define MIB (1ull << 20)

static struct memory memory;
static struct error err;

static int setup(void **state)
{
    (void)state;
    return memory_create(&memory, 64 * MIB, &err);
}

static int teardown(void **state)
{
    (void)state;
    memory_destroy(&memory);
    return 0;
}

/* A file with these bytes, of `size` bytes in all. */
static struct boot_file file(const void *data, size_t len, uint64_t size)
{
    struct boot_file f = {.path = "kernel", .fd = memfd_create("kernel", MFD_CLOEXEC)};

    assert_true(f.fd >= 0);
    assert_int_equal(pwrite(f.fd, data, len, 0), len);
    assert_int_equal(ftruncate(f.fd, (off_t)size), 0);
    f.size = size;
    return f;
}

static int load(struct boot_file kernel, struct boot_file initrd, const char *cmdline, bool avoid,
                struct cpu_entry *entry)
{
    struct boot_request rq = {.kernel = kernel,
                              .initrd = initrd,
                              .cmdline = cmdline,
                              .cpus = {1, 4, 1},
                              .avoid_32bit = avoid};
    int rc = boot_load(&memory, &rq, entry, &err);

    close(kernel.fd);
    if (initrd.fd >= 0)
        close(initrd.fd);
    return rc;
}

static const struct boot_file none = {.fd = -1};

/* ---- memory ---- */

static void test_memory(void **state)
{
    struct memory m;

    (void)state;
    assert_int_equal(memory_create(&m, 5 * 1024 * MIB, &err), 0);
    assert_int_equal(memory_low_end(&m), MEMORY_HOLE);
    assert_int_equal(memory_most(32), MEMORY_HOLE);
    assert_int_equal(memory_most(39), 512 * 1024 * MIB - (MEMORY_HIGH - MEMORY_HOLE));
    assert_non_null(memory_at(&m, 0, MEMORY_HOLE));
    assert_null(memory_at(&m, 0, MEMORY_HOLE + 1));
    assert_non_null(memory_at(&m, MEMORY_HOLE, 0));
    assert_null(memory_at(&m, MEMORY_HOLE, 1));
    assert_null(memory_at(&m, MEMORY_HOLE - 1, 2));
    assert_null(memory_at(&m, MEMORY_HIGH - 1, 2));
    assert_ptr_equal(memory_at(&m, MEMORY_HIGH, 1), (char *)memory_at(&m, 0, 1) + MEMORY_HOLE);
    uint64_t end = MEMORY_HIGH + 5 * 1024 * MIB - MEMORY_HOLE;
    assert_non_null(memory_at(&m, end - 1, 1));
    assert_null(memory_at(&m, end - 1, 2));
    assert_null(memory_at(&m, end + 1, 0));
    assert_null(memory_at(&m, UINT64_MAX, 1));
    assert_null(memory_at(&m, 1, UINT64_MAX));
    assert_int_equal(memory_write(&m, end - 2, "abc", 3), -1);
    memory_destroy(&m);
    memory_destroy(&m);
}

/* ---- bzImage ---- */

#define SETUP_BYTES 1024u

/* The least bzImage that is one: 2 sectors of setup, then `size` bytes of kernel. */
static void make_bzimage(uint8_t *image, struct setup_header **h)
{
    memset(image, 0, SETUP_BYTES);
    *h = (struct setup_header *)(void *)(image + 0x1f1);
    image[0x201] = (uint8_t)(sizeof(**h) + 0x1f1 - 0x202);
    **h = (struct setup_header){
        .setup_sects = 1,
        .syssize = 4096 / 16,
        .boot_flag = 0xaa55,
        .jump = (uint16_t)(0xeb | image[0x201] << 8),
        .header = 0x53726448,
        .version = 0x20f,
        .loadflags = LOADED_HIGH,
        .initrd_addr_max = 0x7fffffff,
        .kernel_alignment = 2 * MIB,
        .relocatable_kernel = 1,
        .xloadflags = XLF_KERNEL_64,
        .cmdline_size = 255,
        .pref_address = 16 * MIB,
        .init_size = 8 * MIB,
    };
}

static void test_bzimage(void **state)
{
    _Alignas(16) uint8_t image[SETUP_BYTES + 4096];
    struct setup_header *h;
    struct cpu_entry entry;

    (void)state;
    make_bzimage(image, &h);
    memset(image + SETUP_BYTES, 0x5a, 4096);
    assert_int_equal(load(file(image, sizeof(image), sizeof(image) + 100),
                          file("initrd", 6, 3 * MIB + 5), "console=ttyS0", false, &entry),
                     0);
    assert_true(entry.long_mode);
    assert_int_equal(entry.ip, 16 * MIB + 0x200);
    assert_int_equal(entry.arg, BOOT_ZERO_PAGE);
    assert_int_equal(*(uint8_t *)memory_at(&memory, 16 * MIB + 4095, 1), 0x5a);
    assert_int_equal(*(uint8_t *)memory_at(&memory, 16 * MIB + 4096, 1), 0);

    const struct boot_params *p = memory_at(&memory, BOOT_ZERO_PAGE, sizeof(*p));
    assert_int_equal(p->hdr.type_of_loader, 0xff);
    assert_int_equal(p->hdr.code32_start, 16 * MIB);
    assert_int_equal(p->hdr.ramdisk_size, 3 * MIB + 5);
    assert_int_equal(p->hdr.ramdisk_image % 4096, 0);
    assert_true(p->hdr.ramdisk_image >= 24 * MIB);
    assert_true(p->hdr.ramdisk_image + p->hdr.ramdisk_size <= 64 * MIB);
    assert_memory_equal(memory_at(&memory, p->hdr.ramdisk_image, 6), "initrd", 6);
    assert_string_equal(memory_at(&memory, p->hdr.cmd_line_ptr, 14), "console=ttyS0");
    assert_int_equal(p->acpi_rsdp_addr, BOOT_ACPI);
    assert_int_equal(p->e820_entries, 5);
    assert_int_equal(p->e820_table[3].addr, MIB);
    assert_int_equal(p->e820_table[3].size, 63 * MIB);
    assert_int_equal(p->e820_table[4].addr, MEMORY_ECAM); /* without it Linux leaves it alone */
    assert_int_equal(p->e820_table[4].size, MEMORY_ECAM_SIZE);
    assert_int_equal(p->e820_table[4].type, BOOT_RESERVED);
    assert_memory_equal(memory_at(&memory, BOOT_ACPI, 8), "RSD PTR ", 8);
}

static void test_bzimage_initrd_limit(void **state)
{
    _Alignas(16) uint8_t image[SETUP_BYTES + 4096] = {0};
    struct setup_header *h;
    struct cpu_entry entry;

    (void)state;
    make_bzimage(image, &h);
    h->initrd_addr_max = 32 * MIB - 1;
    assert_int_equal(load(file(image, sizeof(image), sizeof(image)), file("i", 1, 4096), "", false,
                          &entry),
                     0);
    const struct boot_params *p = memory_at(&memory, BOOT_ZERO_PAGE, sizeof(*p));
    assert_int_equal(p->hdr.ramdisk_image, 32 * MIB - 4096);

    h->initrd_addr_max = 20 * MIB; /* inside the kernel */
    assert_int_equal(load(file(image, sizeof(image), sizeof(image)), file("i", 1, 4096), "", false,
                          &entry),
                     -1);
    assert_non_null(strstr(err.text, "does not fit"));
}

/* What can be wrong with a header, and what is said of it. */
static void test_bzimage_bad(void **state)
{
    static const struct {
        size_t offset, len;
        uint64_t value;
        const char *say;
    } cases[] = {
        {offsetof(struct setup_header, version), 2, 0x20b, "without 64-bit entry"},
        {offsetof(struct setup_header, xloadflags), 2, 0, "without 64-bit entry"},
        {offsetof(struct setup_header, loadflags), 1, 0, "zImage"},
        {offsetof(struct setup_header, pref_address), 8, UINT64_MAX, "raise guest.memory"},
        {offsetof(struct setup_header, pref_address), 8, 0, "raise guest.memory"},
        {offsetof(struct setup_header, init_size), 4, UINT32_MAX, "raise guest.memory"},
        {offsetof(struct setup_header, setup_sects), 1, 255, "ends before"},
        {offsetof(struct setup_header, boot_flag), 2, 0, "no kernel"},
        {offsetof(struct setup_header, header), 4, 0, "no kernel"},
        {offsetof(struct setup_header, cmdline_size), 4, 3, "command line"},
    };
    _Alignas(16) uint8_t image[SETUP_BYTES + 4096];
    struct setup_header *h;
    struct cpu_entry entry;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        make_bzimage(image, &h);
        memcpy((uint8_t *)h + cases[i].offset, &cases[i].value, cases[i].len);
        assert_int_equal(load(file(image, sizeof(image), sizeof(image)), none, "four", false,
                              &entry),
                         -1);
        if (!strstr(err.text, cases[i].say))
            fail_msg("case %u says: %s", i, err.text);
    }
    /* Cut off at every length. */
    make_bzimage(image, &h);
    for (size_t len = 0; len <= SETUP_BYTES; len += 7)
        assert_int_equal(load(file(image, len, len), none, "", false, &entry), -1);
}

/* ---- ELF ---- */

struct elf_image {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[2];
    struct {
        Elf64_Nhdr nh;
        char name[4];
        uint64_t entry;
    } note;
    uint8_t code[64];
};

static void make_elf(struct elf_image *e)
{
    memset(e, 0, sizeof(*e));
    memcpy(e->eh.e_ident, ELFMAG, SELFMAG);
    e->eh.e_ident[EI_CLASS] = ELFCLASS64;
    e->eh.e_ident[EI_DATA] = ELFDATA2LSB;
    e->eh.e_machine = EM_X86_64;
    e->eh.e_type = ET_EXEC;
    e->eh.e_phoff = offsetof(struct elf_image, ph);
    e->eh.e_phnum = 2;
    e->eh.e_phentsize = sizeof(e->ph[0]);
    e->eh.e_entry = 2 * MIB + 8;
    e->ph[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                            .p_offset = offsetof(struct elf_image, code),
                            .p_paddr = 2 * MIB,
                            .p_filesz = sizeof(e->code),
                            .p_memsz = MIB};
    e->ph[1] = (Elf64_Phdr){.p_type = PT_NOTE,
                            .p_offset = offsetof(struct elf_image, note),
                            .p_filesz = sizeof(e->note)};
    e->note.nh = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 8, .n_type = 18};
    memcpy(e->note.name, "Xen", 4);
    e->note.entry = 2 * MIB + 16;
    memset(e->code, 0x90, sizeof(e->code));
}

static void test_elf(void **state)
{
    struct elf_image e;
    struct cpu_entry entry;

    (void)state;
    make_elf(&e);
    assert_int_equal(load(file(&e, sizeof(e), sizeof(e)), file("initrd", 6, 5000), "x", false,
                          &entry),
                     0);
    assert_false(entry.long_mode);
    assert_int_equal(entry.ip, 2 * MIB + 16);
    const uint32_t *info = memory_at(&memory, entry.arg, 64);
    assert_int_equal(info[0], 0x336ec578);
    assert_int_equal(info[3], 1); /* modules */
    uint64_t module;
    memcpy(&module, info + 4, 8);
    const uint64_t *initrd = memory_at(&memory, module, 32);
    assert_memory_equal(memory_at(&memory, initrd[0], 6), "initrd", 6);
    assert_int_equal(initrd[1], 5000);

    assert_int_equal(load(file(&e, sizeof(e), sizeof(e)), none, "x", true, &entry), 0);
    assert_true(entry.long_mode);
    assert_int_equal(entry.ip, 2 * MIB + 8);
    assert_int_equal(entry.arg, BOOT_ZERO_PAGE);
    const struct boot_params *p = memory_at(&memory, BOOT_ZERO_PAGE, sizeof(*p));
    assert_int_equal(p->hdr.header, 0x53726448);
    assert_int_equal(p->hdr.cmd_line_ptr, BOOT_CMDLINE);

    e.eh.e_entry = 0; /* of two entries it takes the one that is there */
    assert_int_equal(load(file(&e, sizeof(e), sizeof(e)), none, "x", true, &entry), 0);
    assert_false(entry.long_mode);
    e.ph[1].p_type = PT_NULL;
    assert_int_equal(load(file(&e, sizeof(e), sizeof(e)), none, "x", true, &entry), -1);
    assert_non_null(strstr(err.text, "entry point"));
    e.eh.e_entry = 3 * MIB - 1;
    assert_int_equal(load(file(&e, sizeof(e), sizeof(e)), none, "x", false, &entry), 0);
    assert_true(entry.long_mode);
}

static void test_elf_bad(void **state)
{
#define AT(f) offsetof(struct elf_image, f), sizeof(((struct elf_image *)0)->f)
    static const struct {
        size_t offset, len;
        uint64_t value;
        const char *say;
    } cases[] = {
        {AT(eh.e_machine), EM_AARCH64, "not for x86-64"},
        {AT(eh.e_type), ET_REL, "not one to be executed"},
        {AT(eh.e_phnum), 0, "no program headers"},
        {AT(eh.e_phnum), 65535, "no program headers"},
        {AT(eh.e_phentsize), 1, "no program headers"},
        {AT(eh.e_phoff), UINT64_MAX - 8, "ends before"},
        {AT(ph[0].p_type), PT_NULL, "nothing to load"},
        {AT(ph[0].p_paddr), 0x7000, "where none can be"},
        {AT(ph[0].p_paddr), UINT64_MAX - 5, "where none can be"},
        {AT(ph[0].p_paddr), 64 * MIB, "raise guest.memory"},
        {AT(ph[0].p_memsz), UINT64_MAX, "where none can be"},
        {AT(ph[0].p_memsz), 63 * MIB, "raise guest.memory"},
        {AT(ph[0].p_memsz), 1, "where none can be"},
        {AT(ph[0].p_offset), UINT64_MAX - 3, "ends before"},
        {AT(ph[0].p_filesz), MIB, "ends before"},
        {AT(ph[1].p_offset), UINT64_MAX - 3, "ends before"},
        {AT(ph[1].p_filesz), UINT64_MAX, "ends before"},
    };
    struct elf_image e;
    struct cpu_entry entry;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        make_elf(&e);
        memcpy((uint8_t *)&e + cases[i].offset, &cases[i].value, cases[i].len);
        if (load(file(&e, sizeof(e), sizeof(e)), none, "", true, &entry) == 0)
            fail_msg("case %u was loaded", i);
        if (!strstr(err.text, cases[i].say))
            fail_msg("case %u says: %s", i, err.text);
    }
    for (size_t len = 0; len < sizeof(e); len += 3) {
        make_elf(&e);
        assert_int_equal(load(file(&e, len, len), none, "", true, &entry), -1);
    }
}

/* Notes that lie about their sizes lead nowhere. */
static void test_elf_notes(void **state)
{
    static const uint32_t sizes[] = {0, 1, 3, 5, 12, 4096, UINT32_MAX - 3, UINT32_MAX};
    struct elf_image e;
    struct cpu_entry entry;

    (void)state;
    for (unsigned n = 0; n < ARRAY_SIZE(sizes); n++)
        for (unsigned d = 0; d < ARRAY_SIZE(sizes); d++) {
            make_elf(&e);
            e.note.nh.n_namesz = sizes[n];
            e.note.nh.n_descsz = sizes[d];
            assert_int_equal(load(file(&e, sizeof(e), sizeof(e)), none, "", false, &entry), 0);
            assert_true(entry.long_mode);
        }
    make_elf(&e);
    e.note.entry = 1;
    assert_int_equal(load(file(&e, sizeof(e), sizeof(e)), none, "", false, &entry), -1);
}

/* ---- files ---- */

static void test_files(void **state)
{
    struct boot_file f;

    (void)state;
    assert_int_equal(boot_open(&f, "missing", &err), -1);
    assert_non_null(strstr(err.text, "open 'missing'"));
    assert_int_equal(boot_open(&f, "/", &err), -1);
    assert_non_null(strstr(err.text, "Is a directory"));
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(boot_open(&f, "fifo", &err), -1);
    scratch_write("empty", "");
    assert_int_equal(boot_open(&f, "empty", &err), 0);
    assert_int_equal(boot_check(&f, &err), -1);
    close(f.fd);
    scratch_write("text", "#!/bin/sh\necho this is no kernel\n");
    assert_int_equal(boot_open(&f, "text", &err), 0);
    assert_int_equal(boot_check(&f, &err), -1);
    assert_non_null(strstr(err.text, "'text' is no kernel"));
    close(f.fd);
}

/* ---- ACPI ---- */

static uint8_t sum(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint8_t s = 0;

    while (len--)
        s = (uint8_t)(s + *p++);
    return s;
}

static void test_acpi(void **state)
{
    const struct cpu_topology most = topology_flat(64);

    (void)state;
    memory_place_window(&memory, 39);
    assert_int_equal(memory.window, 4096 * MIB);
    for (unsigned cpus = 1; cpus <= 64; cpus += 63) {
        const struct cpu_topology flat = topology_flat(cpus);
        assert_int_equal(acpi_put_tables(&memory, BOOT_ACPI, BOOT_HIGH - BOOT_ACPI, &flat, false),
                         0);
        const uint8_t *rsdp = memory_at(&memory, BOOT_ACPI, 36);
        assert_int_equal(sum(rsdp, 20), 0);
        assert_int_equal(sum(rsdp, 36), 0);
        uint64_t at;
        memcpy(&at, rsdp + 24, 8);
        uint64_t todo[4] = {at};
        const uint8_t *xsdt = memory_at(&memory, at, 60);
        memcpy(todo + 1, xsdt + 36, 24);
        static const char *const names[] = {"XSDT", "FACP", "APIC", "MCFG"};
        for (unsigned i = 0; i < 4; i++) {
            uint32_t len;
            const uint8_t *t = memory_at(&memory, todo[i], 36);
            assert_memory_equal(t, names[i], 4);
            memcpy(&len, t + 4, 4);
            assert_true(todo[i] + len <= BOOT_HIGH);
            assert_int_equal(sum(t, len), 0);
            if (i == 2)
                assert_int_equal(len, 44 + 12 + 2 * 10 + 6 + 8 * cpus);
            if (i == 3)
                assert_memory_equal(t + 44, &(uint64_t){MEMORY_ECAM}, 8);
        }
        uint32_t dsdt, len;
        memcpy(&dsdt, (uint8_t *)memory_at(&memory, todo[1], 276) + 40, 4);
        const uint8_t *d = memory_at(&memory, dsdt, 36);
        assert_memory_equal(d, "DSDT", 4);
        memcpy(&len, d + 4, 4);
        assert_int_equal(sum(d, len), 0);
        d = memory_at(&memory, dsdt, len);
        const uint64_t window[] = {memory.window, memory.window + memory.window_size - 1,
                                   memory.window_size};
        for (unsigned i = 0; i < 3; i++) /* the guest's numbers are in it */
            assert_non_null(memmem(d, len, &window[i], 8));
    }
    assert_int_equal(acpi_put_tables(&memory, BOOT_ACPI, 600, &most, false), -1);
    assert_int_equal(acpi_put_tables(&memory, 64 * MIB - 64, 1 << 20, &most, true), -1);
}

/* ---- panic ---- */

static bool feed(struct panic_watch *w, const char *text)
{
    bool halted = false;

    while (*text)
        halted = panic_watch_feed(w, text++, 1);
    return halted;
}

#define PANIC_LINE "[    1.0] Kernel panic - not syncing: Attempted to kill init!\r\n"
#define TRACE_LINE "[    1.0] Call Trace:\r\n"
#define END_LINE   "[    1.0] ---[ end Kernel panic - not syncing: Attempted to kill init! ]---\r\n"

static void test_panic_watch(void **state)
{
    struct panic_watch w = {0};
    char long_line[1000];

    (void)state;
    assert_false(feed(&w, "hello\r\n" TRACE_LINE));
    assert_false(feed(&w, PANIC_LINE TRACE_LINE));
    assert_int_equal(w.state, PANIC_SAID);
    assert_true(feed(&w, END_LINE));
    assert_string_equal(w.text, "Attempted to kill init!");
    assert_true(feed(&w, "\r\n"));
    assert_false(feed(&w, "$ ")); /* it was only a log that somebody read */
    assert_int_equal(w.state, PANIC_NONE);

    assert_false(feed(&w, END_LINE)); /* an end without a beginning */
    assert_false(feed(&w, PANIC_LINE "[    1.0] Rebooting in 5 seconds..\r\n" END_LINE));
    assert_int_equal(w.state, PANIC_REBOOTS);

    memset(long_line, 'x', sizeof(long_line) - 1);
    long_line[sizeof(long_line) - 1] = '\0';
    feed(&w, "Kernel panic - not syncing: ");
    feed(&w, long_line);
    assert_false(feed(&w, "\n"));
    assert_int_equal(w.state, PANIC_SAID);
    assert_true(strlen(w.text) < sizeof(w.text));
}

/* pult's words of the command line, and what the admin's say against them. */
static void test_words(void **state)
{
    static const struct {
        struct words_request rq;
        const char *line;
    } cases[] = {
        {{NULL, .quick = true}, "cryptomgr.notests console=ttyS0 quiet"},
        {{NULL}, "console=ttyS0 quiet"},
        {{"a b", .quick = true}, "cryptomgr.notests console=ttyS0 a b"},
        {{"a b", .virtio = true}, "console=hvc0 earlyprintk=ttyS0 a b"},
        {{"a console=tty0", .quick = true}, "cryptomgr.notests a console=tty0"},
        {{"a netconsole=x"}, "console=ttyS0 a netconsole=x"},
        {{"fips=1", .quick = true}, "console=ttyS0 fips=1"},
        {{"nofips=1", .quick = true}, "cryptomgr.notests console=ttyS0 nofips=1"},
        {{"a cryptomgr.panic_on_fail", .quick = true}, "console=ttyS0 a cryptomgr.panic_on_fail"},
        {{"a", .command = true, .quick = true},
         "cryptomgr.notests console=ttyS0 quiet loglevel=1 a"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_free char *line = words_line(&cases[i].rq);
        assert_string_equal(line, cases[i].line);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        T(test_bzimage),
        T(test_bzimage_initrd_limit),
        T(test_bzimage_bad),
        T(test_elf),
        T(test_elf_bad),
        T(test_elf_notes),
        scratch_test(test_files),
        T(test_acpi),
        cmocka_unit_test(test_panic_watch),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
