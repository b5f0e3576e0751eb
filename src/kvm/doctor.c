/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings about this host's KVM, see doctor.h.
 *
 * The deep look boots a guest of a few bytes (probe.S), which asks a port how far to count, counts,
 * and asks again. The port is a device here, so all clocks are read on this side: how long until
 * the first question, how many questions a second when it counts to one, and how long a long
 * count takes.
 */
#include "kvm/doctor.h"

#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/confine.h"
#include "guest/engine.h"
#include "kvm/boot/boot.h"
#include "kvm/host.h"
#include "kvm/machine.h"

#define PROBE_PORT   0x700
#define PROBE_CODE   0x100000ull
#define PROBE_MEMORY (2ull << 20)
#define PROBE_MS     10000

#define EXITS_NS    100000000ull /* ask for so long */
#define COUNT_NS    100000000ull /* and count for about so long */
#define COUNT_FIRST 20000u

static const uint8_t probe_code[] = {
#include "kvm/probe.inc"
};

/* What the port saw. Only the one vCPU's thread touches it until the machine has ended. */
struct probe {
    struct machine *machine;
    uint64_t started, first, last; /* ns */
    uint64_t asked;
    uint32_t count; /* the last answer */
    double exits_per_second, instructions_per_second;
    enum { PROBE_EXITS, PROBE_COUNTS, PROBE_DONE } phase;
};

/* Asked while exits are counted: go on until the time is up, then start counting. */
static uint32_t answer_exits(struct probe *p, uint64_t now)
{
    if (!p->first)
        p->first = now;
    p->asked++;
    if (now - p->first < EXITS_NS)
        return 1;
    p->exits_per_second = (double)p->asked * 1e9 / (double)(now - p->first);
    p->phase = PROBE_COUNTS;
    p->last = now;
    p->count = COUNT_FIRST;
    return p->count;
}

/* A count came to its end: was it long enough to be measured? */
static uint32_t answer_count(struct probe *p, uint64_t now)
{
    uint64_t took = max(now - p->last, (uint64_t)1);

    if (took < COUNT_NS / 4 && p->count < UINT32_MAX / 8) {
        p->count *= 8;
        p->last = now;
        return p->count;
    }
    p->instructions_per_second = 2.0 * p->count * 1e9 / (double)took;
    p->phase = PROBE_DONE;
    machine_end(p->machine, ENDED_EXIT);
    return 0;
}

static uint64_t probe_read(void *dev, uint64_t offset, unsigned size)
{
    struct probe *p = dev;
    uint64_t now = now_mono_ns();

    (void)offset, (void)size;
    if (p->phase == PROBE_EXITS)
        return answer_exits(p, now);
    return p->phase == PROBE_COUNTS ? answer_count(p, now) : 0;
}

static void probe_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)dev, (void)offset, (void)size, (void)value;
}

static const struct bus_ops probe_ops = {
    .name = "probe",
    .width = 4,
    .read = probe_read,
    .write = probe_write,
};

static size_t no_put(void *arg, const void *data, size_t len)
{
    (void)arg, (void)data;
    return len;
}

static void no_ready(void *arg)
{
    (void)arg;
}

static const struct serial_line no_line = {no_put, no_ready};

/* Boot the guest and let it be asked out. */
static int run_probe(struct probe *p, struct error *err)
{
    const struct machine_config config = {.memory.size = PROBE_MEMORY,
                                          .topology = topology_flat(1),
                                          .console = &no_line};
    struct cpu_entry entry;
    struct machine *m;
    int rc = -1;

    p->started = now_mono_ns();
    if (machine_create(&config, &m, err) < 0)
        return -1;
    p->machine = m;
    if (boot_bare(&m->memory, PROBE_CODE, probe_code, sizeof(probe_code), &entry, err) == 0 &&
        bus_add(&m->pio, PROBE_PORT, 4, &probe_ops, p, err) == 0 &&
        machine_start(m, &entry, err) == 0) {
        struct pollfd ended = {.fd = m->event_fd, .events = POLLIN};
        struct machine_ending ending;
        while (poll(&ended, 1, PROBE_MS) < 0 && errno == EINTR)
            ;
        if (!machine_ended(m, &ending))
            error_set(err, ETIMEDOUT, "boot a test guest");
        else if (ending.how != ENDED_EXIT)
            error_set(err, 0, "boot a test guest: %s", ending.reason);
        else
            rc = 0;
    }
    machine_destroy(m);
    return rc;
}

/* A number for people: "812", "31 thousand", "1.9 million", … */
static void say_number(double n, char out[32])
{
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1e9, " billion"}, {1e6, " million"}, {1e3, " thousand"}, {1, ""}};
    unsigned i = 0;

    while (i + 1 < ARRAY_SIZE(units) && n < units[i].unit)
        i++;
    snprintf(out, 32, n / units[i].unit < 10 ? "%.1f%s" : "%.0f%s", n / units[i].unit,
             units[i].name);
}

static void report_probe(struct doctor *d)
{
    struct probe p = {.phase = PROBE_EXITS};
    struct error err;
    char exits[32], instructions[32];

    if (run_probe(&p, &err) < 0) {
        doctor_line(d, FINDING_BAD, "vm test", NULL, "%s", err.text);
        return;
    }
    say_number(p.exits_per_second, exits);
    say_number(p.instructions_per_second, instructions);
    doctor_line(
        d, FINDING_OK, "vm test", NULL,
        "first guest instruction after %.1f ms; %s exits and %s guest instructions a second",
        (double)(p.first - p.started) / 1e6, exits, instructions);
}

static void report_caps(struct doctor *d, int kvm)
{
    unsigned missing = 0;

    for (const struct kvm_cap *c = kvm_caps; c->name; c++) {
        if (ioctl(kvm, KVM_CHECK_EXTENSION, c->cap) > 0)
            continue;
        missing++;
        doctor_line(d, FINDING_BAD, "kvm", "run a newer kernel on this host",
                    "it lacks %s, which a virtual machine needs", c->name);
    }
    if (!missing)
        doctor_line(d, FINDING_OK, "kvm", NULL,
                    KVM_DEVICE " is there and permitted; up to %u CPUs "
                               "in a VM",
                    kvm_max_cpus(kvm));
}

void kvm_doctor(struct doctor *d, bool deep)
{
    struct error err;
    cleanup_close int kvm = kvm_open(&err);

    if (kvm < 0) {
        doctor_line(d, FINDING_BAD, "kvm", kvm_remedy(&err), "%s", err.text);
        return;
    }
    report_caps(d, kvm);
    confine_doctor(d);
    if (kvm_kind() == KVM_HARDWARE)
        doctor_line(d, FINDING_OK, "virtualization", NULL, "by hardware (svm or vmx)");
    else
        doctor_line(d, FINDING_NOTE, "virtualization",
                    "use a host with svm or vmx; to try VMs on this one: make lab",
                    "emulated: the CPU shows neither svm nor vmx, so kernel code of a guest runs "
                    "at a few million instructions a second, and no stock kernel comes up");
    if (deep)
        report_probe(d);
}
