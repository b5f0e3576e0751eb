/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult with a KVM that does nothing: all of a VMM's own start, on a machine without virtualization
 * as on one with it. Linked with pult's own objects, with open and ioctl of /dev/kvm wrapped. When the
 * first vCPU is run for the first time, the guest's log says how long that took from the exec:
 *
 *     first entry after MICROSECONDS us
 *
 * What the real KVM takes for its part is not in it; tests/bench/lab first has that.
 */
#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

#define T0       "PULT_BENCH_T0" /* in the environment: when it was executed */
#define RUN_SIZE 12288

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_kvm_open(struct error *err);

static uint64_t t0;

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* Execute this once more, so that the time is that of an exec and no shell's. */
__attribute__((constructor)) static void begin(int argc, char **argv)
{
    const char *said = getenv(T0);
    char text[32];

    (void)argc;
    if (said) {
        t0 = strtoull(said, NULL, 10);
        unsetenv(T0);
        return;
    }
    snprintf(text, sizeof(text), "%llu", (unsigned long long)now_us());
    setenv(T0, text, 1);
    execv("/proc/self/exe", argv);
    perror("execute this again");
    _exit(1);
}

static int fake_file(off_t size)
{
    int fd = memfd_create("kvm", MFD_CLOEXEC);

    return fd >= 0 && ftruncate(fd, size) < 0 ? -1 : fd;
}

int __wrap_kvm_open(struct error *err)
{
    (void)err;
    return fake_file(0);
}

/* The leaves of this processor that are asked for. */
static int get_cpuid(struct kvm_cpuid2 *c)
{
    static const uint32_t leaves[] = {0, 1, 2, 4, 7, 0xd, 0x80000000, 0x80000001, 0x80000008};
    const unsigned n = sizeof(leaves) / sizeof(leaves[0]);

    if (c->nent < n) {
        errno = E2BIG;
        return -1;
    }
    for (c->nent = 0; c->nent < n; c->nent++) {
        struct kvm_cpuid_entry2 *e = &c->entries[c->nent];
        memset(e, 0, sizeof(*e));
        e->function = leaves[c->nent];
        __cpuid_count(e->function, 0, e->eax, e->ebx, e->ecx, e->edx);
    }
    return 0;
}

/* A vCPU does nothing until it is kicked. */
static int run(int vcpu)
{
    static atomic_flag entered = ATOMIC_FLAG_INIT;
    const uint64_t us = now_us() - t0;
    uint8_t leave = 0;

    if (pread(vcpu, &leave, 1, offsetof(struct kvm_run, immediate_exit)) == 1 && leave) {
        errno = EINTR;
        return -1;
    }
    if (!atomic_flag_test_and_set(&entered))
        log_line("first entry after %llu us", (unsigned long long)us);
    return poll(NULL, 0, -1);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list ap;

    va_start(ap, request);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (_IOC_TYPE(request) != KVMIO)
        return __real_ioctl(fd, request, arg);
    switch (request) {
    case KVM_GET_API_VERSION:
        return KVM_API_VERSION;
    case KVM_CHECK_EXTENSION:
        return (uintptr_t)arg == KVM_CAP_XSAVE2 ? 0 : 1;
    case KVM_GET_MSR_INDEX_LIST:
        ((struct kvm_msr_list *)arg)->nmsrs = 0;
        return 0;
    case KVM_GET_VCPU_MMAP_SIZE:
        return RUN_SIZE;
    case KVM_GET_SUPPORTED_CPUID:
        return get_cpuid(arg);
    case KVM_CREATE_VM:
    case KVM_CREATE_VCPU:
        return fake_file(RUN_SIZE);
    case KVM_GET_MSRS:
    case KVM_SET_MSRS:
        return (int)((struct kvm_msrs *)arg)->nmsrs;
    case KVM_RUN:
        return run(fd);
    default: /* all else is done, and what is asked for is zero */
        return 0;
    }
}
