/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine: putting it together, holding it and ending it; see machine.h.
 */
#include "kvm/machine.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "kvm/disks.h"
#include "kvm/host.h"
#include "kvm/irq.h"

/* Where VMX keeps pages of its own in the guest's address space: in the hole, out of the way. */
#define IDENTITY_MAP_ADDR 0xfffbc000ull
#define TSS_ADDR          0xfffbd000ul

#define RESET_MS 5000 /* for what a disk has under way */
#define PAUSE_MS 2000 /* a freeze waits so long in its owner's loop */
#define LOOK_MS  50

#define PANIC_LOOKS   3   /* in a row that find all still */
#define PVPANIC_LOOKS 300 /* where nothing but pvpanic tells: panic=N may yet reboot it */

/* ---- ending ---- */

/* Make every vCPU thread pass its gate. */
static void kick_all(struct machine *m)
{
    for (unsigned i = 0; i < m->cpus; i++)
        vcpu_kick(&m->vcpus[i]);
}

/* The first ending counts. */
static void end_with(struct machine *m, enum guest_end how, const char *reason)
{
    pthread_mutex_lock(&m->lock);
    if (!m->over) {
        m->ending.how = how;
        snprintf(m->ending.reason, sizeof(m->ending.reason), "%s", reason);
        m->over = true;
        m->hold = true;
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    kick_all(m);
}

void machine_end(struct machine *m, enum guest_end how)
{
    end_with(m, how, "");
}

void machine_crash(struct machine *m, const char *fmt, ...)
{
    char reason[sizeof(m->ending.reason)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(reason, sizeof(reason), fmt, ap);
    va_end(ap);
    end_with(m, ENDED_CRASH, reason);
}

void machine_triple_fault(struct machine *m, unsigned vcpu)
{
    if (!m->spoke && !pm_is_used(&m->pm)) {
        machine_crash(m, "triple fault on vcpu %u", vcpu);
        return;
    }
    log_once("triple fault on vcpu %u: it is reset", vcpu);
    machine_end(m, ENDED_REBOOT);
}

bool machine_ended(struct machine *m, struct machine_ending *ending)
{
    pthread_mutex_lock(&m->lock);
    bool ended = m->over && m->active == 0;
    *ending = m->ending;
    pthread_mutex_unlock(&m->lock);
    return ended;
}

/* A device passes on what the guest asked of the machine as a whole. */
static void power_request(void *arg, enum power_request what)
{
    struct machine *m = arg;

    switch (what) {
    case POWER_OFF:
        machine_end(m, ENDED_EXIT);
        break;
    case POWER_RESET:
        machine_end(m, ENDED_REBOOT);
        break;
    case POWER_PANICKED:
        if (!atomic_exchange(&m->pvpanicked, true))
            eventfd_write(m->event_fd, 1);
        break;
    }
}

/* The first process of a throwaway VM says how its command ended. */
static void report_exit(void *arg, uint8_t status)
{
    struct machine *m = arg;

    pthread_mutex_lock(&m->lock);
    if (!m->over)
        m->ending.status = status;
    pthread_mutex_unlock(&m->lock);
    machine_end(m, ENDED_EXIT);
}

static void report_ready(void *arg)
{
    struct machine *m = arg;

    m->ready(m->console_arg);
}

/* COM1's wire: the console, with the panic watch reading along. */
static size_t console_put(void *arg, const void *data, size_t len)
{
    struct machine *m = arg;
    size_t n = m->console->put(m->console_arg, data, len);

    m->spoke |= n > 0;
    if (n && panic_watch_feed(&m->panic[0], data, n))
        eventfd_write(m->event_fd, 1);
    return n;
}

void machine_printed(struct machine *m, const void *data, size_t len)
{
    if (len && panic_watch_feed(&m->panic[1], data, len))
        eventfd_write(m->event_fd, 1);
}

static void console_input_ready(void *arg)
{
    struct machine *m = arg;

    m->console->input_ready(m->console_arg);
}

static const struct serial_line com1_line = {console_put, console_input_ready};

/* ---- holding ---- */

/* Let all vCPUs park, and wait until they have. */
static int hold_vcpus(struct machine *m, unsigned ms, struct error *err)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;

    pthread_mutex_lock(&m->lock);
    m->pause = true;
    m->hold = true;
    pthread_mutex_unlock(&m->lock);
    kick_all(m);

    pthread_mutex_lock(&m->lock);
    int rc = 0;
    while (m->parked < m->active && !rc)
        rc = pthread_cond_timedwait(&m->changed, &m->lock, &until);
    unsigned busy = m->active - m->parked;
    pthread_mutex_unlock(&m->lock);
    if (!rc)
        return 0;
    machine_resume(m);
    return error_set(err, 0, "%u of %u vcpus did not stop within %u ms: try again", busy, m->cpus,
                     ms);
}

int machine_pause(struct machine *m, struct error *err)
{
    if (hold_vcpus(m, PAUSE_MS, err) < 0)
        return -1;
    if (workers_pause(&m->workers, PAUSE_MS, err) < 0) {
        machine_resume(m);
        return -1;
    }
    /* EINVAL: the guest does not use KVM's clock, and needs not be told. */
    for (unsigned i = 0; i < m->cpus; i++)
        ioctl(m->vcpus[i].fd, KVM_KVMCLOCK_CTRL, 0);
    return 0;
}

int machine_quiesce(struct machine *m, struct error *err)
{
    const bool paused = m->workers.pause;

    if (hold_vcpus(m, PAUSE_MS, err) < 0)
        return -1;
    workers_resume(&m->workers); /* of a frozen machine too: they have to finish something */
    if (virtio_hold_all(&m->virtio, RESET_MS, err) == 0 &&
        workers_pause(&m->workers, PAUSE_MS, err) == 0)
        return 0;
    if (paused)
        workers_pause(&m->workers, PAUSE_MS, NULL);
    else
        machine_resume(m);
    return -1;
}

void machine_resume(struct machine *m)
{
    virtio_release_all(&m->virtio);
    workers_resume(&m->workers);
    pthread_mutex_lock(&m->lock);
    m->pause = false;
    m->hold = m->over;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

/* ---- panic ---- */

/* Did either console come to this state? NULL: no. */
static const struct panic_watch *panic_said(const struct machine *m, int state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(m->panic); i++)
        if (m->panic[i].state == state)
            return &m->panic[i];
    return NULL;
}

bool machine_panic_suspected(const struct machine *m)
{
    return panic_said(m, PANIC_HALTED) || (m->pvpanicked && !panic_said(m, PANIC_REBOOTS));
}

/* The liveliest of what the vCPUs show. */
static enum vcpu_sign look_at_all(struct machine *m, bool again)
{
    enum vcpu_sign sign = VCPU_STILL;

    for (unsigned i = 0; i < m->cpus; i++)
        sign = max(sign, vcpu_look(&m->vcpus[i], again));
    return sign;
}

bool machine_look_for_panic(struct machine *m)
{
    if (!machine_panic_suspected(m)) {
        m->panic_looks = m->still_looks = 0;
        return false;
    }
    m->panic_looks++;
    if (hold_vcpus(m, LOOK_MS, NULL) < 0) {
        m->still_looks = 0;
        return true;
    }
    enum vcpu_sign sign = look_at_all(m, m->still_looks > 0);
    m->still_looks = sign == VCPU_STILL ? m->still_looks + 1 : sign == VCPU_MOVED;
    if (sign == VCPU_LIVES) {
        m->panic_looks = 0;
        m->pvpanicked = false;
    }
    if (m->still_looks < PANIC_LOOKS ||
        (!panic_said(m, PANIC_HALTED) && m->panic_looks < PVPANIC_LOOKS)) {
        machine_resume(m);
        return machine_panic_suspected(m);
    }
    const char *text = m->panic[0].text[0] ? m->panic[0].text : m->panic[1].text;
    machine_crash(m, "kernel panic%s%s", text[0] ? ": " : "", text);
    return false;
}

/* ---- starting ---- */

int machine_start(struct machine *m, const struct cpu_entry *entry, struct error *err)
{
    if (entry && (pci_assign(&m->pci, err) < 0 || cpu_enter(m->vcpus[0].fd, entry, err) < 0))
        return -1;
    m->active = m->cpus; /* before the first may end the machine */
    for (unsigned i = 0; i < m->cpus; i++) {
        const cpu_set_t *where = m->affinity && CPU_COUNT(&m->affinity[i]) ? &m->affinity[i] : NULL;
        if (vcpu_start(&m->vcpus[i], where, err) < 0) {
            pthread_mutex_lock(&m->lock);
            m->active -= m->cpus - i;
            pthread_mutex_unlock(&m->lock);
            return -1;
        }
    }
    m->workers.confinement = m->confinement;
    if (!m->workers.running && workers_start(&m->workers, err) < 0)
        return -1;
    if (!entry)
        virtio_release_all(&m->virtio);
    return 0;
}

/* ---- building ---- */

static int add_memory(struct machine *m, struct error *err)
{
    for (unsigned i = 0; i < m->memory.count; i++) {
        const struct memory_slot *s = &m->memory.slots[i];
        struct kvm_userspace_memory_region region = {
            .slot = i,
            .guest_phys_addr = s->base,
            .memory_size = s->size,
            .userspace_addr = (uint64_t)(uintptr_t)s->host,
        };
        if (ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
            return error_set(err, errno, "give the machine its memory");
    }
    return 0;
}

static int open_kvm(struct machine *m, struct error *err)
{
    m->kvm = kvm_open(err);
    if (m->kvm < 0)
        return -1;
    const struct kvm_cap *missing = kvm_missing_cap(m->kvm);
    return missing
               ? error_set(err, 0, "this host's KVM lacks %s, which a machine needs", missing->name)
               : 0;
}

/* The VM being made: KVM waits some milliseconds there for a thread of the kernel's. */
struct making {
    int kvm, vm, code;
    pthread_t thread;
    bool threaded;
};

static void *make_vm(void *arg)
{
    struct making *making = arg;

    do
        making->vm = ioctl(making->kvm, KVM_CREATE_VM, 0);
    while (making->vm < 0 && errno == EINTR);
    making->code = errno;
    return NULL;
}

/* In a thread of its own that hears no signals, if there is one to be had. */
static void begin_vm(struct making *making, int kvm)
{
    sigset_t all, old;

    *making = (struct making){.kvm = kvm, .vm = -1};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    making->threaded = pthread_create(&making->thread, NULL, make_vm, making) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!making->threaded)
        make_vm(making);
}

/* Wait for it. */
static int end_vm(struct making *making, struct machine *m, struct error *err)
{
    uint64_t identity = IDENTITY_MAP_ADDR;

    if (making->threaded)
        pthread_join(making->thread, NULL);
    m->vm = making->vm;
    if (m->vm < 0)
        return error_set(err, making->code, "create a virtual machine");
    if (ioctl(m->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
        ioctl(m->vm, KVM_SET_TSS_ADDR, TSS_ADDR) < 0)
        return error_set(err, errno, "lay out the virtual machine");
    return 0;
}

/* The guest's memory, with what is in it from the start. */
static int make_memory(struct machine *m, const struct machine_config *config, struct error *err)
{
    if (memory_create_as(&m->memory, &config->memory, err) < 0)
        return -1;
    memory_place_window(&m->memory, kvm_address_bits());
    return config->fill ? config->fill(config->fill_arg, &m->memory, err) : 0;
}

#define LINE(m, n) ((struct irq_line){.set = irq_set, .arg = &(m)->irq, .gsi = (n)})

/* The devices with no descriptors of their own, as they are after power-on. */
static void init_devices(struct machine *m)
{
    const struct power power = {power_request, m};

    serial_init(&m->com1, LINE(m, SERIAL_COM1_GSI), &com1_line, m);
    if (m->com2_line)
        serial_init(&m->com2, LINE(m, SERIAL_COM2_GSI), m->com2_line, m->com2_arg);
    i8042_init(&m->i8042, power);
    pm_init(&m->pm, LINE(m, PM_SCI_GSI), power);
    m->pvpanic.power = power;
    m->report = (struct report){report_exit, report_ready, m};
    m->bridge = (struct bridge){.power = power, .pci = &m->pci};
}

static int add_devices(struct machine *m, struct error *err)
{
    const struct {
        uint16_t port, count;
        const struct bus_ops *ops;
        void *dev;
    } places[] = {
        {SERIAL_COM1, SERIAL_PORTS, &serial_ops, &m->com1},
        {RTC_PORT, RTC_PORTS, &rtc_ops, &m->rtc},
        {I8042_DATA, 1, &i8042_data_ops, &m->i8042},
        {I8042_COMMAND, 1, &i8042_command_ops, &m->i8042},
        {PM_BASE, PM_PORTS, &pm_ops, &m->pm},
        {PVPANIC_PORT, 1, &pvpanic_ops, &m->pvpanic},
        {BRIDGE_PORT, BRIDGE_PORTS, &bridge_ops, &m->bridge},
    };

    init_devices(m);
    if (rtc_init(&m->rtc, LINE(m, RTC_GSI), err) < 0)
        return -1;
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
        if (bus_add(&m->pio, places[i].port, places[i].count, places[i].ops, places[i].dev, err) <
            0)
            return -1;
    if (m->com2_line && bus_add(&m->pio, SERIAL_COM2, SERIAL_PORTS, &serial_ops, &m->com2, err) < 0)
        return -1;
    if (m->ready && bus_add(&m->pio, REPORT_PORT, REPORT_PORTS, &report_ops, &m->report, err) < 0)
        return -1;
    return pci_add_to_bus(&m->pci, &m->mmio, err);
}

static int create_vcpus(struct machine *m, struct error *err)
{
    cleanup_free struct kvm_cpuid2 *features = cpu_features(m->kvm, err);

    if (!features)
        return -1;
    for (unsigned i = 0; i < m->cpus; i++)
        if (vcpu_create(&m->vcpus[i], m, i, features, err) < 0)
            return -1;
    return 0;
}

/*
 * Everything in the order KVM wants it: vCPUs come after the interrupt controllers, and these
 * after the memory, which would else wait some 7 ms for them (a grace period of SRCU).
 */
static int build(struct machine *m, const struct machine_config *config, struct error *err)
{
    struct making making;

    m->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->event_fd < 0)
        return error_set(err, errno, "create the machine's event descriptor");
    if (open_kvm(m, err) < 0)
        return -1;
    begin_vm(&making, m->kvm);
    int rc = make_memory(m, config, err);
    if (end_vm(&making, m, rc < 0 ? NULL : err) < 0 || rc < 0)
        return -1;
    pci_init(&m->pci, &irq_wires, &m->irq, m->memory.window, m->memory.window_size);
    if (add_memory(m, err) < 0 || irq_create(&m->irq, m->vm, err) < 0 ||
        workers_create(&m->workers, err) < 0 || add_devices(m, err) < 0)
        return -1;
    m->virtio = (struct virtio_bus){.pci = &m->pci, .memory = &m->memory, .workers = &m->workers};
    return create_vcpus(m, err);
}

int machine_create(const struct machine_config *config, struct machine **out, struct error *err)
{
    struct machine *m = xcalloc(1, sizeof(*m));
    pthread_condattr_t attr;

    *out = NULL;
    m->kvm = m->vm = m->event_fd = m->rtc.timer_fd = -1;
    m->pio.top = UINT16_MAX;
    m->mmio.top = UINT64_MAX;
    bus_count(&m->pio, config->exits);
    bus_count(&m->mmio, config->exits);
    m->kicks = count_find(config->exits, "kick");
    m->confinement = config->confinement;
    m->console = config->console;
    m->console_arg = config->console_arg;
    m->com2_line = config->com2;
    m->com2_arg = config->com2_arg;
    m->ready = config->ready;
    m->disk_full = config->disk_full;
    m->topology = config->topology;
    m->cpus = topology_cpus(&m->topology);
    m->vcpus = xcalloc(m->cpus, sizeof(m->vcpus[0]));
    if (config->affinity) {
        m->affinity = xcalloc(m->cpus, sizeof(m->affinity[0]));
        memcpy(m->affinity, config->affinity, m->cpus * sizeof(m->affinity[0]));
    }
    for (unsigned i = 0; i < m->cpus; i++)
        m->vcpus[i].fd = -1;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->changed, &attr);
    pthread_condattr_destroy(&attr);

    if (build(m, config, err) < 0) {
        machine_destroy(m);
        return -1;
    }
    *out = m;
    return 0;
}

/* Wait for the threads, whose machine is over, and close the vCPUs. */
static void destroy_vcpus(struct machine *m)
{
    /* None is joined before all have left: one of them may be about to kick the others. */
    pthread_mutex_lock(&m->lock);
    while (m->active)
        pthread_cond_wait(&m->changed, &m->lock);
    pthread_mutex_unlock(&m->lock);
    for (unsigned i = 0; i < m->cpus; i++)
        if (m->vcpus[i].started)
            pthread_join(m->vcpus[i].thread, NULL);
    for (unsigned i = 0; i < m->cpus; i++)
        vcpu_destroy(&m->vcpus[i]);
}

/*
 * Devices come to rest first and let go of KVM's machine, which is then made anew: what a guest
 * left in it is gone for certain.
 */
int machine_reset(struct machine *m, struct error *err)
{
    struct making making;

    destroy_vcpus(m);
    if (virtio_reset_all(&m->virtio, RESET_MS, err) < 0)
        return -1;
    pci_reset(&m->pci);
    irq_destroy(&m->irq);
    close(m->vm);
    m->vm = -1;
    for (unsigned i = 0; i < m->memory.count; i++)
        memory_discard(&m->memory, m->memory.slots[i].base, m->memory.slots[i].size);
    memset(m->panic, 0, sizeof(m->panic));
    m->pvpanicked = m->spoke = false;
    m->panic_looks = m->still_looks = 0;
    m->hold = m->pause = m->over = false;
    m->ending = (struct machine_ending){0};
    begin_vm(&making, m->kvm);
    if (end_vm(&making, m, err) < 0 || add_memory(m, err) < 0 ||
        irq_create(&m->irq, m->vm, err) < 0)
        return -1;
    init_devices(m);
    rtc_reset(&m->rtc);
    return create_vcpus(m, err);
}

void machine_destroy(struct machine *m)
{
    if (!m)
        return;
    machine_end(m, ENDED_KILLED);
    destroy_vcpus(m);
    workers_stop(&m->workers);
    virtio_remove_all(&m->virtio);
    disks_close(m->disks);
    pci_destroy(&m->pci);
    workers_destroy(&m->workers);
    irq_destroy(&m->irq);
    rtc_destroy(&m->rtc);
    if (m->vm >= 0)
        close(m->vm);
    if (m->kvm >= 0)
        close(m->kvm);
    if (m->event_fd >= 0)
        close(m->event_fd);
    memory_destroy(&m->memory);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    free(m->affinity);
    free(m->vcpus);
    free(m);
}
