/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The default filter. It refuses
 *
 *   - what concerns the machine: modules, kexec, swap, the clock, quotas, the kernel's log;
 *   - what is large, has a history of holes, and no container needs: keys, bpf, perf, userfaultfd,
 *     io_uring, file handles, sockets of families that are no network of a container's;
 *   - what types into another's terminal: TIOCSTI, TIOCLINUX;
 *   - to one command that has no CAP_SYS_ADMIN: mounts and namespaces of all kinds. (A system's
 *     init needs them, and has them in its own user namespace.)
 *   - what is newer than this list, as a kernel without it would: with ENOSYS.
 *
 * The kernel refuses a container most of this by itself. The filter stands before the code that
 * decides so, which is where the holes are.
 *
 * Compiling takes libseccomp more time than the whole start of a container, so the program is kept
 * in the cache, under a name made of a hash of these tables. What is read from there is believed
 * only if it is a whole file of ours that nobody else may write to.
 */
#include "lxc/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"

/* The last call that was known when this list was made: lsm_list_modules, of Linux 6.8. */
#define CALL_LAST    461
#define PROGRAM_MAX  4096 /* BPF_MAXINSNS */
#define CACHE_MAGIC  UINT64_C(0x3170636365737074)
#define PREFIX_COUNT 4

#define ALL   1 /* for every container */
#define PLAIN 2 /* for one without CAP_SYS_ADMIN */

/* A call that is refused; or with an argument whose masked value is this. */
struct refusal {
    int call;
    uint8_t who;
    int8_t arg; /* -1: whatever its arguments are */
    int error;
    uint64_t mask, value;
};

#define REFUSE(name, who, error)             \
    {                                        \
        SCMP_SYS(name), who, -1, error, 0, 0 \
    }
#define REFUSE_IF(name, n, mask, value, who, error) \
    {                                               \
        SCMP_SYS(name), who, n, error, mask, value  \
    }
#define REFUSE_FLAG(name, n, flag, who, error) REFUSE_IF(name, n, flag, flag, who, error)

/* clone3 has its flags behind a pointer: it is said not to be there, and clone is used. */
#define NAMESPACE_FLAG(flag) \
    REFUSE_FLAG(clone, 0, flag, PLAIN, EPERM), REFUSE_FLAG(unshare, 0, flag, PLAIN, EPERM)

#define LOW 0xffffffffu /* of what the kernel takes for 32 bits only */

static const struct refusal refusals[] = {
    /* the machine */
    REFUSE(init_module, ALL, EPERM),
    REFUSE(finit_module, ALL, EPERM),
    REFUSE(delete_module, ALL, EPERM),
    REFUSE(kexec_load, ALL, EPERM),
    REFUSE(kexec_file_load, ALL, EPERM),
    REFUSE(swapon, ALL, EPERM),
    REFUSE(swapoff, ALL, EPERM),
    REFUSE(acct, ALL, EPERM),
    REFUSE(quotactl, ALL, EPERM),
    REFUSE(quotactl_fd, ALL, EPERM),
    REFUSE(settimeofday, ALL, EPERM),
    REFUSE(clock_settime, ALL, EPERM),
    REFUSE(clock_settime64, ALL, EPERM),
    REFUSE(stime, ALL, EPERM),
    REFUSE(syslog, ALL, EPERM),
    REFUSE(iopl, ALL, EPERM),
    REFUSE(ioperm, ALL, EPERM),
    REFUSE_FLAG(umount2, 1, MNT_FORCE, ALL, EPERM),

    /* large, and of no use here */
    REFUSE(add_key, ALL, EPERM),
    REFUSE(request_key, ALL, EPERM),
    REFUSE(keyctl, ALL, EPERM),
    REFUSE(bpf, ALL, EPERM),
    REFUSE(perf_event_open, ALL, EPERM),
    REFUSE(userfaultfd, ALL, EPERM),
    REFUSE(io_uring_setup, ALL, EPERM),
    REFUSE(io_uring_enter, ALL, EPERM),
    REFUSE(io_uring_register, ALL, EPERM),
    REFUSE(open_by_handle_at, ALL, EPERM),
    REFUSE(kcmp, ALL, EPERM),
    REFUSE(lookup_dcookie, ALL, EPERM),
    REFUSE(vm86, ALL, ENOSYS),
    REFUSE(vm86old, ALL, ENOSYS),
    REFUSE(uselib, ALL, ENOSYS),
    REFUSE(ustat, ALL, ENOSYS),
    REFUSE(sysfs, ALL, ENOSYS),
    REFUSE(_sysctl, ALL, ENOSYS),
    REFUSE(nfsservctl, ALL, ENOSYS),

    /* another's terminal */
    REFUSE_IF(ioctl, 1, LOW, TIOCSTI, ALL, EPERM),
    REFUSE_IF(ioctl, 1, LOW, TIOCLINUX, ALL, EPERM),

    /* mounts and namespaces */
    NAMESPACE_FLAG(CLONE_NEWUSER),
    NAMESPACE_FLAG(CLONE_NEWNS),
    NAMESPACE_FLAG(CLONE_NEWPID),
    NAMESPACE_FLAG(CLONE_NEWNET),
    NAMESPACE_FLAG(CLONE_NEWIPC),
    NAMESPACE_FLAG(CLONE_NEWUTS),
    NAMESPACE_FLAG(CLONE_NEWCGROUP),
    REFUSE_FLAG(unshare, 0, 0x80 /* CLONE_NEWTIME; of clone a bit of the signal */, PLAIN, EPERM),
    REFUSE(clone3, PLAIN, ENOSYS),
    REFUSE(setns, PLAIN, EPERM),
    REFUSE(mount, PLAIN, EPERM),
    REFUSE(umount, PLAIN, EPERM),
    REFUSE(umount2, PLAIN, EPERM),
    REFUSE(pivot_root, PLAIN, EPERM),
    REFUSE(open_tree, PLAIN, EPERM),
    REFUSE(move_mount, PLAIN, EPERM),
    REFUSE(fsopen, PLAIN, EPERM),
    REFUSE(fsconfig, PLAIN, EPERM),
    REFUSE(fsmount, PLAIN, EPERM),
    REFUSE(fspick, PLAIN, EPERM),
    REFUSE(mount_setattr, PLAIN, EPERM),
};

/* Families of sockets for whose sake the kernel would load a module, or that know no namespace. */
static const int families[] = {
    AF_AX25,      AF_IPX,    AF_APPLETALK, AF_NETROM, AF_ATMPVC,  AF_X25,        AF_ROSE, AF_DECnet,
    AF_ECONET,    AF_ATMSVC, AF_RDS,       AF_IRDA,   AF_WANPIPE, AF_LLC,        AF_IB,   AF_TIPC,
    AF_BLUETOOTH, AF_IUCV,   AF_RXRPC,     AF_ISDN,   AF_PHONET,  AF_IEEE802154, AF_CAIF, AF_NFC,
    AF_VSOCK,     AF_KCM,    AF_QIPCRTR,   AF_SMC,    AF_MCTP,
};

/* ---- making a program ---- */

int filter_begin(uint32_t action, scmp_filter_ctx *ctx, struct error *err)
{
    *ctx = seccomp_init(action);
    int rc = *ctx ? 0 : -ENOMEM;
    if (rc == 0) /* what we ask for, not libseccomp: filter_install() */
        rc = seccomp_attr_set(*ctx, SCMP_FLTATR_CTL_NNP, 0);
    if (rc == 0)
        rc = seccomp_attr_set(*ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    if (rc == 0)
        rc = seccomp_attr_set(*ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (rc == 0 && seccomp_arch_native() == SCMP_ARCH_X86_64)
        rc = seccomp_arch_add(*ctx, SCMP_ARCH_X86);
    if (rc == 0 && seccomp_arch_native() == SCMP_ARCH_AARCH64)
        rc = seccomp_arch_add(*ctx, SCMP_ARCH_ARM);
    if (rc == 0)
        return 0;
    seccomp_release(*ctx);
    *ctx = NULL;
    return error_set(err, -rc, "make a filter of system calls");
}

/* The library writes programs to descriptors only. */
static int export(scmp_filter_ctx ctx, struct filter *f)
{
    cleanup_close int fd = memfd_create("filter", MFD_CLOEXEC);
    struct stat st;
    int rc = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
    if (rc < 0 || fstat(fd, &st) < 0)
        return rc < 0 ? rc : -errno;
    size_t len = (size_t)st.st_size;
    if (len == 0 || len / sizeof *f->code > PROGRAM_MAX - PREFIX_COUNT)
        return -E2BIG;
    f->code = xcalloc(1, len);
    f->count = (unsigned short)(len / sizeof *f->code);
    return pread(fd, f->code, len, 0) == (ssize_t)len ? 0 : -EIO;
}

int filter_finish(scmp_filter_ctx ctx, struct filter *f, struct error *err)
{
    *f = (struct filter){0};
    int rc = export(ctx, f);
    seccomp_release(ctx);
    if (rc == 0)
        return 0;
    filter_clear(f);
    return error_set(err, -rc, "compile a filter of system calls");
}

static int refusal_add(scmp_filter_ctx ctx, const struct refusal *r)
{
    const uint32_t action = SCMP_ACT_ERRNO((unsigned)r->error);
    if (r->arg < 0)
        return seccomp_rule_add(ctx, action, r->call, 0);
    return seccomp_rule_add(ctx, action, r->call, 1,
                            SCMP_CMP64((unsigned)r->arg, SCMP_CMP_MASKED_EQ, r->mask, r->value));
}

/*
 * Put a refusal of unknown calls in front. Those of x32 have a bit set that makes them large, too;
 * -1 is a call that a tracer has left out, and keeps the result that it was given.
 */
static void refuse_unknown(struct filter *f)
{
    const struct sock_filter prefix[PREFIX_COUNT] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ~0u, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, CALL_LAST, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };
    f->code = xrealloc(f->code, f->count + PREFIX_COUNT, sizeof *f->code);
    memmove(f->code + PREFIX_COUNT, f->code, f->count * sizeof *f->code);
    memcpy(f->code, prefix, sizeof prefix);
    f->count += PREFIX_COUNT;
}

static int compile(bool plain, struct filter *f, struct error *err)
{
    const uint8_t who = plain ? ALL | PLAIN : ALL;
    scmp_filter_ctx ctx;
    int rc = 0;
    if (filter_begin(SCMP_ACT_ALLOW, &ctx, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(refusals) && rc == 0; i++)
        if (refusals[i].who & who) {
            rc = refusal_add(ctx, &refusals[i]);
            if (rc == -EEXIST) /* a part of one that is there */
                rc = 0;
        }
    for (size_t i = 0; i < ARRAY_SIZE(families) && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                              SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)families[i]));
    if (rc < 0) {
        seccomp_release(ctx);
        return error_set(err, -rc, "make the default filter of system calls");
    }
    if (filter_finish(ctx, f, err) < 0)
        return -1;
    refuse_unknown(f);
    return 0;
}

/* ---- the cache ---- */

struct cache_head {
    uint64_t magic, tables, sum;
};

#define HASH_START UINT64_C(14695981039346656037) /* FNV-1a */

static uint64_t hash_bytes(uint64_t h, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ data[i]) * UINT64_C(1099511628211);
    return h;
}

static uint64_t hash_word(uint64_t h, uint64_t word)
{
    for (int i = 0; i < 8; i++, word >>= 8)
        h = (h ^ (word & 0xff)) * UINT64_C(1099511628211);
    return h;
}

/* What a program is made from: these tables, by this library, for this machine. */
static uint64_t tables_hash(bool plain)
{
    const struct scmp_version *v = seccomp_version();
    uint64_t h = hash_word(HASH_START, plain);
    h = hash_word(hash_word(hash_word(h, v->major), v->minor), v->micro);
    h = hash_word(hash_word(h, CALL_LAST), seccomp_arch_native());
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        const struct refusal *r = &refusals[i];
        h = hash_word(hash_word(h, (uint64_t)r->call), r->who);
        h = hash_word(hash_word(h, (uint64_t)r->arg), (uint64_t)r->error);
        h = hash_word(hash_word(h, r->mask), r->value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        h = hash_word(h, (uint64_t)families[i]);
    return h;
}

static int cache_read(const char *path, uint64_t tables, struct filter *f)
{
    cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct cache_head head;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 022) || st.st_size <= (off_t)sizeof head ||
        st.st_size > (off_t)(sizeof head + PROGRAM_MAX * sizeof *f->code) ||
        read(fd, &head, sizeof head) != (ssize_t)sizeof head || head.magic != CACHE_MAGIC ||
        head.tables != tables)
        return -1;
    size_t len = (size_t)st.st_size - sizeof head;
    f->code = xcalloc(1, len);
    f->count = (unsigned short)(len / sizeof *f->code);
    if (len % sizeof *f->code == 0 && read(fd, f->code, len) == (ssize_t)len &&
        hash_bytes(tables, (const uint8_t *)f->code, len) == head.sum)
        return 0;
    filter_clear(f);
    return -1;
}

/* Should that fail, the next start compiles again. */
static void cache_write(const char *dir, const char *name, uint64_t tables, const struct filter *f)
{
    size_t len = f->count * sizeof *f->code;
    struct cache_head head = {CACHE_MAGIC, tables,
                              hash_bytes(tables, (const uint8_t *)f->code, len)};
    cleanup_free char *data = xcalloc(1, sizeof head + len);
    memcpy(data, &head, sizeof head);
    memcpy(data + sizeof head, f->code, len);
    if (dir_make(dir, 0755, NULL) < 0)
        return;
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        file_replace_at(fd, name, data, sizeof head + len, 0644, NULL);
}

int filter_default(bool plain, struct filter *f, struct error *err)
{
    const uint64_t tables = tables_hash(plain);
    char name[48];
    snprintf(name, sizeof name, "seccomp-%016llx.bpf", (unsigned long long)tables);
    cleanup_free char *path = xasprintf("%s/%s", place_cache(), name);
    *f = (struct filter){0};
    if (cache_read(path, tables, f) == 0)
        return 0;
    if (compile(plain, f, err) < 0) {
        filter_clear(f);
        return -1;
    }
    cache_write(place_cache(), name, tables, f);
    return 0;
}

/* ---- its use ---- */

int filter_install(const struct filter *f, struct error *err)
{
    const struct sock_fprog program = {f->count, f->code};
    if (f->count && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        return error_set(err, errno, "restrict system calls");
    return 0;
}

bool filter_is_there(void)
{
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER;
}

void filter_clear(struct filter *f)
{
    free(f->code);
    *f = (struct filter){0};
}
