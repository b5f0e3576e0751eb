/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding out about this host's KVM, see host.h.
 */
#include "kvm/host.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "kvm/machine.h"

const struct kvm_cap kvm_caps[] = {
    {KVM_CAP_IRQCHIP, "IRQCHIP"},
    {KVM_CAP_IRQ_ROUTING, "IRQ_ROUTING"},
    {KVM_CAP_PIT2, "PIT2"},
    {KVM_CAP_USER_MEMORY, "USER_MEMORY"},
    {KVM_CAP_SET_TSS_ADDR, "SET_TSS_ADDR"},
    {KVM_CAP_SET_IDENTITY_MAP_ADDR, "SET_IDENTITY_MAP_ADDR"},
    {KVM_CAP_EXT_CPUID, "EXT_CPUID"},
    {KVM_CAP_MP_STATE, "MP_STATE"},
    {KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT"},
    {0, NULL},
};

int kvm_open(struct error *err)
{
    cleanup_close int fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return error_set(err, errno, "open '%s'", KVM_DEVICE);
    int version = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version < 0)
        return error_set(err, errno, "'%s' is no KVM", KVM_DEVICE);
    if (version != KVM_API_VERSION)
        return error_set(err, 0, "'%s' speaks version %d of the KVM interface, not %d", KVM_DEVICE,
                         version, KVM_API_VERSION);
    return steal_fd(fd);
}

const char *kvm_remedy(const struct error *err)
{
    if (err->code == EACCES || err->code == EPERM)
        return "join group kvm (adduser YOU kvm) and log in again";
    if (err->code == EBUSY)
        return "another hypervisor has the CPU's virtualization: stop it";
    return "enable virtualization in the firmware, and load kvm_intel or kvm_amd";
}

enum kvm_kind kvm_kind(void)
{
    cleanup_fclose FILE *f = fopen("/proc/cpuinfo", "re");
    cleanup_free char *line = NULL;
    size_t room = 0;

    while (f && getline(&line, &room, f) > 0) {
        if (!str_starts(line, "flags"))
            continue;
        line[strcspn(line, "\n")] = ' ';
        if (strstr(line, " svm ") || strstr(line, " vmx "))
            return KVM_HARDWARE;
        return KVM_EMULATING;
    }
    return KVM_HARDWARE; /* nothing is known: do not frighten anybody */
}

const struct kvm_cap *kvm_missing_cap(int kvm)
{
    for (const struct kvm_cap *c = kvm_caps; c->name; c++)
        if (ioctl(kvm, KVM_CHECK_EXTENSION, c->cap) <= 0)
            return c;
    return NULL;
}

unsigned kvm_address_bits(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(0x80000008, &a, &b, &c, &d))
        return 36; /* what CPUs without that leaf have (SDM 3A, 4.1.4) */
    return min(max(a & 0xff, 32u), 52u);
}

unsigned kvm_max_cpus(int kvm)
{
    int n = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);

    return n <= 0 ? 1 : min((unsigned)n, (unsigned)MACHINE_CPUS);
}
