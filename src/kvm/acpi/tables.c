/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Building the ACPI tables (ACPI specification 6.4, chapter 5). Each is a packed struct as the
 * specification draws it; its checksum makes all its bytes add up to zero.
 */
#include "kvm/acpi/tables.h"

#include <stddef.h>
#include <string.h>

#include "base/util.h"
#include "kvm/irq.h"
#include "kvm/legacy/pm.h"
#include "kvm/legacy/bridge.h"
#include "kvm/legacy/rtc.h"
#include "kvm/machine.h"

#include "kvm/dsdt.h" /* generated: dsdt_aml_code[] */

#define PACKED __attribute__((packed))

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision;
    char creator_id[4];
    uint32_t creator_revision;
} PACKED;

struct acpi_address {
    uint8_t space, bits, offset, access;
    uint64_t address;
} PACKED;

struct acpi_rsdp {
    char signature[8];
    uint8_t checksum;
    char oem_id[6];
    uint8_t revision;
    uint32_t rsdt, length;
    uint64_t xsdt;
    uint8_t extended_checksum, reserved[3];
} PACKED;

struct acpi_xsdt {
    struct acpi_header h;
    uint64_t tables[3];
} PACKED;

/* The fixed hardware's description; the fields that are left out of use are zero. */
struct acpi_fadt {
    struct acpi_header h;
    uint32_t facs, dsdt;
    uint8_t int_model, pm_profile;
    uint16_t sci;
    uint32_t smi_command;
    uint8_t acpi_enable, acpi_disable, s4bios, pstate_control;
    uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
    uint8_t pm1_event_len, pm1_control_len, pm2_control_len, pm_timer_len;
    uint8_t gpe0_len, gpe1_len, gpe1_base, cst_control;
    uint16_t c2_latency, c3_latency, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_arch;
    uint8_t reserved;
    uint32_t flags;
    struct acpi_address reset;
    uint8_t reset_value;
    uint16_t arm_boot_arch;
    uint8_t minor;
    uint64_t x_facs, x_dsdt;
    struct acpi_address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control,
        x_pm_timer, x_gpe0, x_gpe1, sleep_control, sleep_status;
    uint64_t hypervisor;
} PACKED;

_Static_assert(sizeof(struct acpi_fadt) == 276, "FADT revision 6");

struct acpi_facs {
    char signature[4];
    uint32_t length, hardware_signature, waking_vector, global_lock, flags;
    uint64_t x_waking_vector;
    uint8_t version, reserved[31];
} PACKED;

_Static_assert(sizeof(struct acpi_facs) == 64, "FACS");

struct madt_lapic {
    uint8_t type, length, processor, apic;
    uint32_t flags;
} PACKED;

struct madt_ioapic {
    uint8_t type, length, id, reserved;
    uint32_t address, gsi_base;
} PACKED;

struct madt_override {
    uint8_t type, length, bus, irq;
    uint32_t gsi;
    uint16_t flags;
} PACKED;

struct madt_lapic_nmi {
    uint8_t type, length, processor;
    uint16_t flags;
    uint8_t lint;
} PACKED;

struct acpi_madt {
    struct acpi_header h;
    uint32_t lapic, flags;
    struct madt_ioapic ioapic;
    struct madt_override timer, sci;
    struct madt_lapic_nmi nmi;
    struct madt_lapic cpus[MACHINE_CPUS]; /* as many as there are */
} PACKED;

struct acpi_mcfg {
    struct acpi_header h;
    uint8_t reserved[8];
    uint64_t base;
    uint16_t segment;
    uint8_t first_bus, last_bus;
    uint32_t reserved2;
} PACKED;

_Static_assert(sizeof(struct acpi_mcfg) == 60, "MCFG with one segment");

enum {
    SPACE_IO = 1,

    FADT_WBINVD = 1 << 0,
    FADT_C1 = 1 << 2,
    FADT_NO_SLEEP_BUTTON = 1 << 5, /* the power button, bit 4 clear, is a fixed one */
    FADT_NO_RTC_WAKE = 1 << 6,
    FADT_RESET_REGISTER = 1 << 10,
    FADT_HEADLESS = 1 << 12,
    BOOT_LEGACY_DEVICES = 1 << 0, /* there are devices to be found without enumeration: COM1 */
    BOOT_NO_VGA = 1 << 2,         /* bit 1 clear: no keyboard controller to be probed */

    MADT_PC_AT = 1,
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LAPIC_NMI = 4,
    MADT_ALL_CPUS = 0xff,
    MADT_LEVEL_HIGH = 0xd,
};

/* One after the other from a place in guest memory on. */
struct writer {
    const struct memory *memory;
    uint64_t at, end;
    bool full;
};

static uint8_t checksum(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)-sum;
}

/* Write one thing; returns where it went. */
static uint64_t put(struct writer *w, const void *data, size_t len)
{
    uint64_t at = (w->at + 63) & ~63ull; /* as the FACS wants it */

    if (at > w->end || len > w->end - at || memory_write(w->memory, at, data, len) < 0)
        w->full = true;
    w->at = at + len;
    return at;
}

static struct acpi_header header(const char *signature, uint8_t revision, size_t length)
{
    struct acpi_header h = {.revision = revision, .length = (uint32_t)length, .oem_revision = 1};

    memcpy(h.signature, signature, 4);
    memcpy(h.oem_id, "PULT  ", 6);
    memcpy(h.oem_table_id, "PULTVM  ", 8);
    memcpy(h.creator_id, "PULT", 4);
    h.creator_revision = 1;
    return h;
}

static uint64_t put_table(struct writer *w, struct acpi_header *h)
{
    h->checksum = checksum(h, h->length);
    return put(w, h, h->length);
}

static struct acpi_address io_port(uint16_t port, unsigned bytes)
{
    return (struct acpi_address){.space = SPACE_IO,
                                 .bits = (uint8_t)(bytes * 8),
                                 .access = bytes == 1   ? 1
                                           : bytes == 2 ? 2
                                                        : 3,
                                 .address = port};
}

/*
 * The PM timer is there, and not told of (ACPI 6.4, 4.8.3.3: it is optional). Linux would wait for it for
 * some 5 ms to see if it counts, and then watch the TSC by it, twice a second.
 */
static uint64_t put_fadt(struct writer *w, uint64_t facs, uint64_t dsdt)
{
    struct acpi_fadt f = {
        .h = header("FACP", 6, sizeof(f)),
        .facs = (uint32_t)facs,
        .dsdt = (uint32_t)dsdt,
        .x_dsdt = dsdt,
        .sci = PM_SCI_GSI,
        .pm1a_event = PM_BASE + PM_EVENT,
        .pm1a_control = PM_BASE + PM_CONTROL,
        .pm1_event_len = PM_EVENT_LEN,
        .pm1_control_len = 2,
        .c2_latency = 0xffff, /* no such state */
        .c3_latency = 0xffff,
        .century = RTC_REG_CENTURY,
        .boot_arch = BOOT_LEGACY_DEVICES | BOOT_NO_VGA,
        .flags = FADT_WBINVD | FADT_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_RTC_WAKE |
                 FADT_RESET_REGISTER | FADT_HEADLESS,
        .reset = io_port(RESET_PORT, 1),
        .reset_value = RESET_VALUE,
        .minor = 4,
        .x_pm1a_event = io_port(PM_BASE + PM_EVENT, PM_EVENT_LEN),
        .x_pm1a_control = io_port(PM_BASE + PM_CONTROL, 2),
    };

    memcpy(&f.hypervisor, "PULT    ", 8);
    return put_table(w, &f.h);
}

static uint64_t put_madt(struct writer *w, const struct cpu_topology *cpus)
{
    unsigned count = min(topology_cpus(cpus), (unsigned)MACHINE_CPUS);
    struct acpi_madt m = {
        .h = header("APIC", 4, offsetof(struct acpi_madt, cpus) + count * sizeof(m.cpus[0])),
        .lapic = IRQ_LAPIC_ADDR,
        .flags = MADT_PC_AT,
        .ioapic = {MADT_IOAPIC, sizeof(m.ioapic), .id = 0, .address = IRQ_IOAPIC_ADDR},
        .timer = {MADT_OVERRIDE, sizeof(m.timer), .irq = 0, .gsi = 2},
        .sci = {MADT_OVERRIDE, sizeof(m.sci), .irq = PM_SCI_GSI, .gsi = PM_SCI_GSI,
                .flags = MADT_LEVEL_HIGH},
        .nmi = {MADT_LAPIC_NMI, sizeof(m.nmi), .processor = MADT_ALL_CPUS, .lint = 1},
    };

    /* No id needs the entry for x2APIC ids (from 255 on), see topology.h. */
    for (unsigned i = 0; i < count; i++)
        m.cpus[i] = (struct madt_lapic){MADT_LAPIC, sizeof(m.cpus[0]), .processor = (uint8_t)i,
                                        .apic = (uint8_t)topology_apic_id(cpus, i), .flags = 1};
    return put_table(w, &m.h);
}

/* PCI firmware specification 3.2, 4.1.2. */
static uint64_t put_mcfg(struct writer *w)
{
    struct acpi_mcfg m = {.h = header("MCFG", 1, sizeof(m)), .base = MEMORY_ECAM};

    return put_table(w, &m.h);
}

/*
 * Give one of the DSDT's numbers its value. `Name (NAME, 0x…)` is, in AML, the name, 0x0e (a
 * number of 64 bits) and the number.
 */
static void set_number(uint8_t *dsdt, size_t len, const char *name, uint64_t value)
{
    for (size_t i = 0; i + 5 + sizeof(value) <= len; i++) {
        if (memcmp(dsdt + i, name, 4) == 0 && dsdt[i + 4] == 0x0e) {
            memcpy(dsdt + i + 5, &value, sizeof(value));
            return;
        }
    }
}

static uint64_t put_dsdt(struct writer *w, bool com2)
{
    const struct memory *m = w->memory;
    uint8_t dsdt[sizeof(dsdt_aml_code)];
    struct acpi_header *h = (void *)dsdt;

    memcpy(dsdt, dsdt_aml_code, sizeof(dsdt));
    set_number(dsdt, sizeof(dsdt), "PWLO", m->window);
    set_number(dsdt, sizeof(dsdt), "PWHI", m->window + m->window_size - 1);
    set_number(dsdt, sizeof(dsdt), "PWLN", m->window_size);
    set_number(dsdt, sizeof(dsdt), "HSC2", com2);
    h->checksum = 0;
    return put_table(w, h);
}

int acpi_put_tables(const struct memory *m, uint64_t gpa, uint64_t room,
                    const struct cpu_topology *cpus, bool com2)
{
    struct writer w = {.memory = m, .at = gpa + sizeof(struct acpi_rsdp), .end = gpa + room};
    struct acpi_facs facs = {.signature = "FACS", .length = sizeof(facs), .version = 2};
    struct acpi_xsdt xsdt = {.h = header("XSDT", 1, sizeof(xsdt))};
    struct acpi_rsdp rsdp = {.revision = 2, .length = sizeof(rsdp)};

    uint64_t facs_at = put(&w, &facs, sizeof(facs));
    uint64_t dsdt_at = put_dsdt(&w, com2);
    xsdt.tables[0] = put_fadt(&w, facs_at, dsdt_at);
    xsdt.tables[1] = put_madt(&w, cpus);
    xsdt.tables[2] = put_mcfg(&w);

    memcpy(rsdp.signature, "RSD PTR ", 8);
    memcpy(rsdp.oem_id, "PULT  ", 6);
    rsdp.xsdt = put_table(&w, &xsdt.h);
    rsdp.checksum = checksum(&rsdp, offsetof(struct acpi_rsdp, length)); /* ACPI 1.0's part */
    rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
    if (memory_write(m, gpa, &rsdp, sizeof(rsdp)) < 0)
        w.full = true;
    return w.full ? -1 : 0;
}
