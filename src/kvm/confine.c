/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kvm/confine.h"

#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/vhost.h>
#include <seccomp.h>
#include <sys/ioctl.h>

#include "base/log.h"

/* In the order in which they are compared: what is done most is first. */
static const unsigned long machine_ioctls[] = {
    KVM_RUN, KVM_SIGNAL_MSI, KVM_IRQ_LINE,
    /* the machine */
    KVM_GET_API_VERSION, KVM_CHECK_EXTENSION, KVM_GET_MSR_INDEX_LIST, KVM_CREATE_VM,
    KVM_GET_VCPU_MMAP_SIZE, KVM_GET_SUPPORTED_CPUID, KVM_SET_IDENTITY_MAP_ADDR, KVM_SET_TSS_ADDR,
    KVM_SET_USER_MEMORY_REGION, KVM_CREATE_IRQCHIP, KVM_CREATE_PIT2, KVM_SET_GSI_ROUTING, KVM_IRQFD,
    KVM_IOEVENTFD, KVM_CREATE_VCPU, KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG, KVM_NMI, KVM_GET_CLOCK,
    KVM_SET_CLOCK, KVM_GET_IRQCHIP, KVM_SET_IRQCHIP, KVM_GET_PIT2, KVM_SET_PIT2,
    /* a vCPU */
    KVM_SET_CPUID2, KVM_GET_CPUID2, KVM_GET_NESTED_STATE, KVM_SET_NESTED_STATE, KVM_GET_XSAVE2,
    KVM_GET_MSRS, KVM_SET_MSRS, KVM_GET_LAPIC, KVM_SET_LAPIC, KVM_GET_REGS, KVM_SET_REGS,
    KVM_GET_SREGS, KVM_SET_SREGS, KVM_GET_MP_STATE, KVM_SET_MP_STATE, KVM_GET_VCPU_EVENTS,
    KVM_SET_VCPU_EVENTS, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, KVM_GET_XSAVE, KVM_SET_XSAVE,
    KVM_GET_XCRS, KVM_SET_XCRS, KVM_GET_TSC_KHZ, KVM_SET_TSC_KHZ, KVM_KVMCLOCK_CTRL,
    /* back ends of devices */
    TUNSETOFFLOAD, TUNSETVNETHDRSZ, TUNSETQUEUE, TUNSETCARRIER, BLKDISCARD, BLKZEROOUT, FICLONE,
    VHOST_GET_FEATURES, VHOST_SET_FEATURES, VHOST_GET_BACKEND_FEATURES, VHOST_SET_BACKEND_FEATURES,
    VHOST_SET_OWNER, VHOST_RESET_OWNER, VHOST_SET_MEM_TABLE, VHOST_SET_VRING_NUM,
    VHOST_SET_VRING_ADDR, VHOST_SET_VRING_BASE, VHOST_GET_VRING_BASE, VHOST_SET_VRING_KICK,
    VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR, VHOST_NET_SET_BACKEND, VHOST_VSOCK_SET_GUEST_CID,
    VHOST_VSOCK_SET_RUNNING, 0};

/* Devices' threads, and what of them is done by the loop. */
#define TRANSFERS                                                                                  \
    SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv),    \
        SCMP_SYS(preadv2), SCMP_SYS(pwritev), SCMP_SYS(pwritev2), SCMP_SYS(fdatasync),             \
        SCMP_SYS(fsync), SCMP_SYS(sync_file_range), SCMP_SYS(fallocate),                           \
        SCMP_SYS(copy_file_range), SCMP_SYS(io_uring_enter), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), \
        SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendto),              \
        SCMP_SYS(msync), SCMP_SYS(mincore)

/* Beneath the shared folders: to read them, and to change what is in them. */
#define FILES                                                                     \
    SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(fstatfs), SCMP_SYS(readlinkat), \
        SCMP_SYS(getdents64), SCMP_SYS(faccessat2), SCMP_SYS(fgetxattr), SCMP_SYS(flistxattr)
#define CHANGES                                                                         \
    SCMP_SYS(mkdirat), SCMP_SYS(mknodat), SCMP_SYS(symlinkat), SCMP_SYS(linkat),        \
        SCMP_SYS(unlinkat), SCMP_SYS(renameat2), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),  \
        SCMP_SYS(fchown), SCMP_SYS(fchownat), SCMP_SYS(utimensat), SCMP_SYS(fsetxattr), \
        SCMP_SYS(fremovexattr)

const struct confine_list confine_machine[] = {
    [FOLDERS_NONE] = {(const int[]){TRANSFERS, CONFINE_END}, machine_ioctls},
    [FOLDERS_READ] = {(const int[]){TRANSFERS, FILES, CONFINE_END}, machine_ioctls},
    [FOLDERS_WRITE] = {(const int[]){TRANSFERS, FILES, CHANGES, CONFINE_END}, machine_ioctls},
};

/* Every thread: memory, locks, the log, its end. */
#define ANY_THREAD                                                                              \
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(futex), SCMP_SYS(mmap), SCMP_SYS(munmap),         \
        SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(brk),                 \
        SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),               \
        SCMP_SYS(sigaltstack), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),              \
        SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(membarrier), SCMP_SYS(getpid),      \
        SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(tgkill),                \
        SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),                \
        SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrusage), SCMP_SYS(restart_syscall), \
        SCMP_SYS(getrandom), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(prctl), SCMP_SYS(fstat), \
        SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(lseek), SCMP_SYS(ftruncate),            \
        SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(close), SCMP_SYS(eventfd2),                    \
        SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime), SCMP_SYS(epoll_ctl),              \
        SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(exit),    \
        SCMP_SYS(exit_group), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(readv),           \
        SCMP_SYS(writev), SCMP_SYS(fallocate), SCMP_SYS(sendmsg), SCMP_SYS(sendto),             \
        SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(shutdown), SCMP_SYS(io_uring_enter)

/* A worker: its own transfers, and connections that come. */
#define WORKER                                                                            \
    ANY_THREAD, TRANSFERS, SCMP_SYS(accept4), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), \
        SCMP_SYS(wait4), SCMP_SYS(waitid)

static const struct confine_list vcpu = {(const int[]){ANY_THREAD, CONFINE_END}, machine_ioctls};
static const struct confine_list worker = {(const int[]){WORKER, CONFINE_END}, machine_ioctls};
static const struct confine_list files[] = {
    [FOLDERS_READ] = {(const int[]){WORKER, FILES, CONFINE_END}, machine_ioctls},
    [FOLDERS_WRITE] = {(const int[]){WORKER, FILES, CHANGES, CONFINE_END}, machine_ioctls},
};

int confinement_create(struct confinement *c, enum folders folders, struct error *err)
{
    const struct confine_list *const lists[THREAD_KINDS] = {
        [THREAD_VCPU] = &vcpu,
        [THREAD_WORKER] = &worker,
        [THREAD_FILES] = folders ? &files[folders] : NULL,
    };

    for (unsigned i = 0; i < THREAD_KINDS; i++) {
        if (!lists[i])
            continue;
        c->threads[i] = confine_compile_thread(lists[i], err);
        if (!c->threads[i])
            return -1;
    }
    c->folders = folders;
    return 0;
}

void confinement_destroy(struct confinement *c)
{
    for (unsigned i = 0; i < THREAD_KINDS; i++)
        confine_filter_free(c->threads[i]);
    *c = (struct confinement){0};
}

void confinement_enter(const struct confinement *c, enum thread_kind kind)
{
    struct error err;

    if (c->folders && kind != THREAD_FILES)
        confine_drop_capabilities();
    if (c->threads[kind] && confine_thread(c->threads[kind], &err) < 0)
        log_once("a thread of the machine is confined no further than its process: %s", err.text);
}
