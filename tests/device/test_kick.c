/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 60 s
 *
 * Virtio on this host's /dev/kvm: that a guest's kick and a device's interrupt are KVM's business,
 * without an exit. The test sets the device up as its driver; then a guest of a few instructions
 * makes chains available, kicks, and waits for each to be used. It takes no interrupt, so that
 * what was delivered can be seen in its LAPIC.
 */
#include "wires.h"

#include <linux/kvm.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "device/driver.h"
#include "kvm/boot/boot.h"
#include "kvm/host.h"
#include "kvm/machine.h"
#include "kvm/virtio/rng.h"

#define CODE   0x100000u
#define ORDERS 0x200000u
#define ROUNDS 1000u
#define IRR    0x200u /* of the LAPIC (SDM 3A, 10.8.4): 256 bits, 32 in each 16 bytes */

/* What the guest is told, at ORDERS. */
struct orders {
    uint64_t rounds; /* 0: wait */
    uint64_t notify, avail_idx, used_idx;
    _Atomic uint64_t done;
};

/* The guest: enables its LAPIC, and does as it is told. */
extern const uint8_t guest_code[], guest_end[];
__asm__(".pushsection .rodata\n"
        "guest_code:\n"
        "    mov $0x200000, %ebx\n"
        "    mov $0xfee000f0, %edx\n"
        "    movl $0x1ff, (%rdx)\n"
        "1:  mov (%rbx), %rcx\n"
        "    test %rcx, %rcx\n"
        "    jz 1b\n"
        "    mov 8(%rbx), %r8\n"
        "    mov 16(%rbx), %r9\n"
        "    mov 24(%rbx), %r10\n"
        "2:  incw (%r9)\n"
        "    movw $0, (%r8)\n"
        "3:  mov (%r9), %ax\n"
        "    cmp %ax, (%r10)\n"
        "    jne 3b\n"
        "    incq 32(%rbx)\n"
        "    dec %rcx\n"
        "    jnz 2b\n"
        "4:  cli\n"
        "    hlt\n"
        "    jmp 4b\n"
        "guest_end:\n"
        ".popsection\n");

static struct machine *machine;
static struct board board;
static struct driver drv;

static size_t no_put(void *arg, const void *data, size_t len)
{
    (void)arg, (void)data;
    return len;
}

static void no_ready(void *arg)
{
    (void)arg;
}

static const struct serial_line no_console = {no_put, no_ready};

static int setup(void **state)
{
    const struct machine_config config = {.memory.size = 16 << 20,
                                          .topology = topology_flat(1),
                                          .console = &no_console};
    struct cpu_entry entry;
    struct error err;

    (void)state;
    /* cppcheck-suppress comparePointers; the two ends of one thing */
    const size_t size = (size_t)(guest_end - guest_code);
    if (machine_create(&config, &machine, &err) < 0 || rng_add(&machine->virtio, &err) < 0 ||
        boot_bare(&machine->memory, CODE, guest_code, size, &entry, &err) < 0 ||
        machine_start(machine, &entry, &err) < 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    board_of_machine(&board, machine);
    return driver_probe(&drv, &board, 1) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    machine_destroy(machine);
    machine = NULL;
    return 0;
}

/* Let the guest go, and be its device's loop until it is done. */
static void run_guest(void)
{
    struct orders *o = memory_at(&machine->memory, ORDERS, sizeof(*o));
    struct pollfd p = {.fd = machine_loop_fd(machine), .events = POLLIN};
    const uint64_t until = now_mono_ns() + 20000000000ull;

    o->done = 0;
    o->notify = drv.queues[0].notify;
    o->avail_idx = drv.queues[0].avail_at + 2;
    o->used_idx = drv.queues[0].used_at + 2;
    __atomic_store_n(&o->rounds, ROUNDS, __ATOMIC_RELEASE);
    while (o->done < ROUNDS) {
        if (now_mono_ns() > until)
            fail_msg("the guest is stuck in round %llu", (unsigned long long)o->done);
        if (poll(&p, 1, 100) == 1)
            machine_loop(machine);
    }
}

/* Is an interrupt of this number waiting in the vCPU's LAPIC? The machine is paused. */
static bool is_requested(unsigned vector)
{
    struct kvm_lapic_state s;
    uint32_t bits;

    assert_int_equal(ioctl(machine->vcpus[0].fd, KVM_GET_LAPIC, &s), 0);
    memcpy(&bits, s.regs + IRR + vector / 32 * 16, sizeof(bits));
    return bits >> vector % 32 & 1;
}

/* The same, soon: what was pending is delivered by a thread of the kernel's. */
static void await_request(unsigned vector)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    for (unsigned i = 0; i < 10000 && !is_requested(vector); i++)
        nanosleep(&moment, NULL);
    assert_true(is_requested(vector));
}

static void test_no_exits(void **state)
{
    struct error err;

    (void)state;
    assert_true(driver_start(&drv, 1ull << VIRTIO_F_VERSION_1, 1, 16));
    struct seg s = driver_buffer(&drv, 16, true);
    driver_describe(&drv, 0, &s, 1); /* every entry of the ring is descriptor 0 */
    uint64_t before = machine->vcpus[0].exits, start = now_mono_ns();
    run_guest();
    uint64_t took = now_mono_ns() - start;
    assert_int_equal(machine_pause(machine, &err), 0);
    assert_true(machine->vcpus[0].exits - before < 10);
    assert_int_equal(drv.queues[0].used->idx, ROUNDS);
    assert_true(is_requested(0x41)); /* vector 1 of MSI-X, the queue's */
    assert_false(is_requested(0x40));
    print_message("%u requests, %llu ns each\n", ROUNDS, (unsigned long long)took / ROUNDS);
}

/* A masked vector stays away from the LAPIC until it is unmasked. */
static void test_masked(void **state)
{
    struct error err;

    (void)state;
    assert_true(driver_start(&drv, 1ull << VIRTIO_F_VERSION_1, 1, 16));
    driver_mask(&drv, 1, true);
    struct seg s = driver_buffer(&drv, 16, true);
    driver_describe(&drv, 0, &s, 1);
    run_guest();
    assert_int_equal(machine_pause(machine, &err), 0);
    assert_false(is_requested(0x41));
    assert_true(driver_is_pending(&drv, 1));
    driver_mask(&drv, 1, false);
    await_request(0x41);
    assert_false(driver_is_pending(&drv, 1));
}

/* The BAR moves: KVM listens at the new place, and no more at the old one. */
static void test_moved(void **state)
{
    struct error err;

    (void)state;
    assert_true(driver_start(&drv, 1ull << VIRTIO_F_VERSION_1, 1, 16));
    struct seg s = driver_buffer(&drv, 16, true);
    driver_describe(&drv, 0, &s, 1);
    const uint64_t offset = drv.queues[0].notify - drv.bar[0];
    config_write(&board, 1, PCI_BASE_ADDRESS_0, 4, MEMORY_PCI + 0x4000000);
    drv.queues[0].notify = MEMORY_PCI + 0x4000000 + offset;
    uint64_t before = machine->vcpus[0].exits;
    run_guest();
    assert_int_equal(machine_pause(machine, &err), 0);
    assert_true(machine->vcpus[0].exits - before < 10);
}

/* INTx: the IOAPIC's pin is high until the driver reads the ISR status. */
static bool pin_is_high(unsigned pin)
{
    struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};

    assert_int_equal(ioctl(machine->vm, KVM_GET_IRQCHIP, &chip), 0);
    return chip.chip.ioapic.irr >> pin & 1;
}

static void test_intx(void **state)
{
    struct error err;

    (void)state;
    drv.no_msix = true;
    assert_true(driver_start(&drv, 1ull << VIRTIO_F_VERSION_1, 1, 16));
    struct seg s = driver_buffer(&drv, 16, true);
    driver_describe(&drv, 0, &s, 1);
    run_guest();
    assert_int_equal(machine_pause(machine, &err), 0);
    assert_true(pin_is_high(17));
    assert_int_equal(mmio_read(&board, drv.isr, 1), 1);
    assert_false(pin_is_high(17));
}

/* While the machine is paused no device touches its memory. */
static void test_pause(void **state)
{
    struct error err;

    (void)state;
    assert_true(driver_start(&drv, 1ull << VIRTIO_F_VERSION_1, 1, 16));
    struct seg s = driver_buffer(&drv, 16, true);
    assert_int_equal(machine_pause(machine, &err), 0);
    driver_send(&drv, 0, &s, 1);
    assert_int_equal(board_turn(&board), 0);
    assert_false(driver_used(&drv, 0, NULL, NULL));
    machine_resume(machine);
    assert_true(driver_await(&drv, 0, NULL, NULL));
}

/* Quiet to be saved, running or frozen; afterwards it is as it was. */
static void test_quiesce(void **state)
{
    struct error err;

    (void)state;
    assert_true(driver_start(&drv, 1ull << VIRTIO_F_VERSION_1, 1, 16));
    struct seg s = driver_buffer(&drv, 16, true);
    for (unsigned frozen = 0; frozen < 2; frozen++) {
        if (frozen)
            assert_int_equal(machine_pause(machine, &err), 0);
        driver_send(&drv, 0, &s, 1);
        assert_int_equal(machine_quiesce(machine, &err), 0);
        while (driver_used(&drv, 0, NULL, NULL))
            ;
        driver_send(&drv, 0, &s, 1);
        assert_int_equal(board_turn(&board), 0);
        assert_false(driver_used(&drv, 0, NULL, NULL));
        machine_resume(machine);
        assert_true(driver_await(&drv, 0, NULL, NULL));
    }
    driver_describe(&drv, 0, &s, 1);
    run_guest();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {T(test_no_exits), T(test_masked), T(test_moved),
                                       T(test_intx),     T(test_pause),  T(test_quiesce)};
    struct error err;
    cleanup_close int kvm = kvm_open(&err);

    if (kvm < 0) {
        printf("1..0 # SKIP %s\n", err.text);
        return 0;
    }
    return cmocka_run_group_tests_name("kick", tests, NULL, NULL);
}
