/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of system calls as a program for the kernel (seccomp(2)), see confine.h.
 *
 *     another architecture's, or x32's       the process is killed
 *     those that are fatal                   the process is killed
 *     clone3                                 ENOSYS
 *     those on the lists                     allowed, with bounded arguments if one bound holds
 *     all others                             EPERM
 *
 * Within a program of the process's, that of a thread is only a shorter list of calls: all programs hold,
 * and the process's has looked at the arguments.
 *
 * The calls are searched by halves, down to LEAF of them, which are compared one by one: when it takes
 * a program, the kernel (since 5.11) tries each call there is, to remember those that are allowed whatever
 * their arguments are; a long list costs it more than half a millisecond, each call to them nothing.
 * libseccomp can do the same (SCMP_FLTATR_CTL_OPTIMIZE), but takes 0.5 ms itself for each of the three
 * programs that a VM starts with.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "guest/confine.h"

#define NAMESPACES                                                                                \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET)

#define CALLS   1024u /* more than there are */
#define LEAF    4u
#define X32     0x40000000u /* numbers from here on are those of x32 */
#define DENY    (SECCOMP_RET_ERRNO | EPERM)
#define UNKNOWN (SECCOMP_RET_ERRNO | ENOSYS)

/* Nothing of ours calls these after the start. */
static const int fatal[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
};

/*
 * Calls that are allowed with some arguments only: no memory that can be executed, no namespaces
 * (clone3 hides its flags behind a pointer, and is said not to be there: the C library uses clone).
 * A copy of the process, as confined as it is, writes snapshots. Of fcntl not F_SETOWN and
 * F_SETSIG, by which a pipe sends any signal to any process of the same user; and no thread but
 * the calling one is given other processors, or scheduled in another way.
 */
#define LOW 0xffffffffu
static const struct {
    int call;
    unsigned arg;
    uint64_t mask, value;
} bounded[] = {
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
    {SCMP_SYS(clone), 0, CLONE_THREAD | NAMESPACES, CLONE_THREAD},
    {SCMP_SYS(clone), 0, ~0ull, CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD}, /* fork() */
    {SCMP_SYS(prctl), 0, LOW, PR_SET_PDEATHSIG},
    {SCMP_SYS(prctl), 0, LOW, PR_SET_NAME},
    {SCMP_SYS(prctl), 0, LOW, PR_GET_NAME},
    {SCMP_SYS(prctl), 0, LOW, PR_GET_DUMPABLE},
    {SCMP_SYS(prctl), 0, LOW, PR_GET_NO_NEW_PRIVS},
    {SCMP_SYS(prctl), 0, LOW, PR_SET_NO_NEW_PRIVS},
    {SCMP_SYS(fcntl), 1, LOW, F_DUPFD_CLOEXEC},
    {SCMP_SYS(fcntl), 1, LOW, F_GETFD},
    {SCMP_SYS(fcntl), 1, LOW, F_SETFD},
    {SCMP_SYS(fcntl), 1, LOW, F_GETFL},
    {SCMP_SYS(fcntl), 1, LOW, F_SETFL},
    {SCMP_SYS(fcntl), 1, LOW, F_OFD_GETLK},
    {SCMP_SYS(fcntl), 1, LOW, F_OFD_SETLK},
    {SCMP_SYS(fcntl), 1, LOW, F_ADD_SEALS},
    {SCMP_SYS(sched_setaffinity), 0, LOW, 0},
    {SCMP_SYS(sched_setscheduler), 0, LOW, 0},
};

struct confine_filter {
    struct sock_fprog program;
};

/* What is to be said of a call; 0: that it is denied, as all others. */
enum verdict { SAY_ALLOW = 1, SAY_KILL, SAY_UNKNOWN, SAY_BOUNDED };

/* A program being made: `program.filter` has room for PROGRAM instructions. */
#define PROGRAM BPF_MAXINSNS
struct maker {
    struct sock_fprog program;
    const struct confine_list *const *lists;
    uint8_t verdicts[CALLS];
    bool within; /* another program, which bounds the arguments */
    bool failed;
};

/* ---- instructions ---- */

static void put(struct maker *m, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    if (m->program.len == PROGRAM) {
        m->failed = true;
        return;
    }
    m->program.filter[m->program.len++] = (struct sock_filter)BPF_JUMP(code, k, yes, no);
}

static void put_load(struct maker *m, size_t offset)
{
    put(m, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void put_verdict(struct maker *m, uint32_t verdict)
{
    put(m, BPF_RET | BPF_K, verdict, 0, 0);
}

/* What was loaded is this: then that is the verdict. */
static void put_case(struct maker *m, uint32_t value, uint32_t verdict)
{
    put(m, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    put_verdict(m, verdict);
}

/* Go on `skip` instructions further unless this half of an argument is as it must be. */
static void put_half(struct maker *m, size_t offset, uint32_t mask, uint32_t value, uint8_t skip)
{
    put_load(m, offset);
    put(m, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    put(m, BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip);
}

/* Allowed if an argument, masked, is this. */
static void put_bound(struct maker *m, unsigned arg, uint64_t mask, uint64_t value)
{
    const size_t low = offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t);

    put_half(m, low, (uint32_t)mask, (uint32_t)value, 4);
    put_half(m, low + sizeof(uint32_t), (uint32_t)(mask >> 32), (uint32_t)(value >> 32), 1);
    put_verdict(m, SECCOMP_RET_ALLOW);
}

/* A jump to where land() says. */
static unsigned put_jump(struct maker *m)
{
    put(m, BPF_JMP | BPF_JA, 0, 0, 0);
    return m->program.len;
}

static void land(struct maker *m, unsigned jump)
{
    if (!m->failed)
        m->program.filter[jump - 1].k = m->program.len - jump;
}

/* ---- verdicts ---- */

/* The first verdict on a call counts. */
static void say(struct maker *m, int call, enum verdict verdict)
{
    if (call < 0) /* not on this architecture */
        return;
    if ((unsigned)call >= CALLS)
        m->failed = true;
    else if (!m->verdicts[call])
        m->verdicts[call] = verdict;
}

static enum verdict verdict_of(const struct maker *m, int call)
{
    if (m->within)
        return SAY_ALLOW;
    for (size_t i = 0; i < ARRAY_SIZE(bounded); i++)
        if (bounded[i].call == call)
            return SAY_BOUNDED;
    return call == SCMP_SYS(tgkill) || call == SCMP_SYS(ioctl) ? SAY_BOUNDED : SAY_ALLOW;
}

static void say_all(struct maker *m)
{
    for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
        say(m, fatal[i], SAY_KILL);
    say(m, SCMP_SYS(clone3), SAY_UNKNOWN);
    for (const struct confine_list *const *l = m->lists; *l; l++) {
        for (const int *c = (*l)->calls; c && *c != CONFINE_END; c++)
            say(m, *c, verdict_of(m, *c));
        if ((*l)->ioctls)
            say(m, SCMP_SYS(ioctl), verdict_of(m, SCMP_SYS(ioctl)));
    }
}

/* ---- the program ---- */

/* The requests of all lists, which are numbers of 32 bits. */
static void put_requests(struct maker *m)
{
    put_load(m, offsetof(struct seccomp_data, args[1]) + sizeof(uint32_t));
    put(m, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    put_verdict(m, DENY);
    put_load(m, offsetof(struct seccomp_data, args[1]));
    for (const struct confine_list *const *l = m->lists; *l; l++)
        for (const unsigned long *r = (*l)->ioctls; r && *r; r++)
            put_case(m, (uint32_t)*r, SECCOMP_RET_ALLOW);
}

/* For this call alone: allowed if its arguments are. */
static void put_bounds(struct maker *m, int call)
{
    put(m, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 1, 0);
    const unsigned past = put_jump(m);
    if (call == SCMP_SYS(ioctl))
        put_requests(m);
    if (call == SCMP_SYS(tgkill)) /* a signal to our own threads */
        put_bound(m, 0, ~0ull, (uint64_t)getpid());
    for (size_t i = 0; i < ARRAY_SIZE(bounded); i++)
        if (bounded[i].call == call)
            put_bound(m, bounded[i].arg, bounded[i].mask, bounded[i].value);
    put_verdict(m, DENY);
    land(m, past);
}

static void put_call(struct maker *m, int call)
{
    static const uint32_t says[] = {
        [SAY_ALLOW] = SECCOMP_RET_ALLOW,
        [SAY_KILL] = SECCOMP_RET_KILL_PROCESS,
        [SAY_UNKNOWN] = UNKNOWN,
    };

    if (m->verdicts[call] == SAY_BOUNDED)
        put_bounds(m, call);
    else
        put_case(m, (uint32_t)call, says[m->verdicts[call]]);
}

/* n calls in the order of their numbers. */
static void put_calls(struct maker *m, const int *calls, size_t n)
{
    if (n > LEAF) {
        put(m, BPF_JMP | BPF_JGE | BPF_K, (uint32_t)calls[n / 2], 0, 1);
        const unsigned upper = put_jump(m);
        put_calls(m, calls, n / 2);
        land(m, upper);
        put_calls(m, calls + n / 2, n - n / 2);
        return;
    }
    for (size_t i = 0; i < n; i++)
        put_call(m, calls[i]);
    put_verdict(m, DENY);
}

static void put_all(struct maker *m)
{
    int calls[CALLS];
    size_t n = 0;

    say_all(m);
    for (int i = 0; i < (int)CALLS; i++)
        if (m->verdicts[i])
            calls[n++] = i;
    put_load(m, offsetof(struct seccomp_data, arch));
    put(m, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    put_verdict(m, SECCOMP_RET_KILL_PROCESS);
    put_load(m, offsetof(struct seccomp_data, nr));
    put(m, BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1);
    put_verdict(m, SECCOMP_RET_KILL_PROCESS);
    put_calls(m, calls, n);
}

static struct confine_filter *compile(const struct confine_list *const *lists, bool within,
                                      struct error *err)
{
    struct maker m = {.program.filter = xcalloc(PROGRAM, sizeof(struct sock_filter)),
                      .lists = lists,
                      .within = within};
    struct confine_filter *f = NULL;

    put_all(&m);
    if (m.failed) {
        error_set(err, 0, "make a list of system calls: there are too many");
    } else {
        f = xcalloc(1, sizeof(*f));
        f->program = m.program;
        f->program.filter = xcalloc(m.program.len, sizeof(m.program.filter[0]));
        memcpy(f->program.filter, m.program.filter, m.program.len * sizeof(m.program.filter[0]));
    }
    free(m.program.filter);
    return f;
}

struct confine_filter *confine_compile(const struct confine_list *const *lists, struct error *err)
{
    return compile(lists, false, err);
}

struct confine_filter *confine_compile_thread(const struct confine_list *list, struct error *err)
{
    const struct confine_list *const lists[] = {list, NULL};

    return compile(lists, true, err);
}

const struct sock_fprog *confine_program(const struct confine_filter *f)
{
    return &f->program;
}

void confine_filter_free(struct confine_filter *f)
{
    if (f)
        free(f->program.filter);
    free(f);
}

int confine_thread(const struct confine_filter *f, struct error *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &f->program) < 0)
        return error_set(err, errno, "restrict system calls");
    return 0;
}
