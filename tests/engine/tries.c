/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tries HOST_PID: what a hostile program in a container would try, each in a process of its own.
 * One line each: the name, and "ok" or the error that it met. tests/engine/tries.sh has the table of
 * what is to be expected.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/module.h>
#include <linux/perf_event.h>
#include <linux/reboot.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int host_pid;

/* The error of what failed; 0 of what worked. */
#define E(call) ((call) < 0 ? errno : 0)

/* Write a byte to a file that is there. */
static int put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? errno : E(write(fd, text, strlen(text)));
}

/* Read a byte of it. An empty file gives ENODATA. */
static int get(const char *path)
{
    char c;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, &c, 1);
    return n < 0 ? errno : n == 0 ? ENODATA : 0;
}

static int mount_new(const char *type, const char *data)
{
    mkdir("/tmp/m", 0755);
    return E(mount("none", "/tmp/m", type, 0, data));
}

static int node(mode_t type, unsigned major, unsigned minor)
{
    unlink("/tmp/node");
    if (mknod("/tmp/node", type | 0600, makedev(major, minor)) < 0)
        return errno;
    return get("/tmp/node");
}

static int sock(int domain, int type, int protocol)
{
    return E(socket(domain, type, protocol));
}

/* Join a namespace of process 1. */
static int join_one(const char *ns)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/1/ns/%s", ns);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? errno : E(setns(fd, 0));
}

/* ---- the tries ---- */

#define TRY(name) static int name(void)

TRY(mount_tmpfs)
{
    return mount_new("tmpfs", NULL);
}
TRY(mount_proc)
{
    return mount_new("proc", NULL);
}
TRY(mount_debugfs)
{
    return mount_new("debugfs", NULL);
}
TRY(mount_tracefs)
{
    return mount_new("tracefs", NULL);
}
TRY(mount_securityfs)
{
    return mount_new("securityfs", NULL);
}
TRY(mount_ext4)
{
    return E(mount("/dev/null", "/tmp", "ext4", 0, NULL));
}
TRY(mount_bind)
{
    return E(mount("/", "/tmp", NULL, MS_BIND, NULL));
}
TRY(remount_sys)
{
    return E(mount(NULL, "/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
}
TRY(umount_force)
{
    return E(umount2("/proc", MNT_FORCE));
}
TRY(umount_cover)
{
    return E(umount2("/proc/sys", MNT_DETACH));
}
TRY(new_mount)
{
    return E(fsopen("tmpfs", 0));
}
TRY(clone_tree)
{
    return E(open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE));
}
TRY(pivot)
{
    return E(syscall(SYS_pivot_root, "/tmp", "/tmp"));
}

/* The release_agent of the cgroups of v1 is run by the kernel, as root of the host: CVE-2022-0492. */
TRY(release_agent)
{
    int why = mount_new("cgroup", "memory");
    return why ? why : put("/tmp/m/release_agent", "/tmp/x");
}

TRY(unshare_release_agent)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
        return errno;
    int why = mount_new("cgroup", "memory");
    return why ? why : put("/tmp/m/release_agent", "/tmp/x");
}

TRY(cgroup_limit)
{
    return put("/sys/fs/cgroup/memory.max", "max");
}
TRY(cgroup_up)
{
    return put("/sys/fs/cgroup/../cgroup.procs", "0");
}

TRY(mknod_disk)
{
    return node(S_IFBLK, 254, 0);
}
TRY(mknod_mem)
{
    return node(S_IFCHR, 1, 1);
}
TRY(mknod_kmsg)
{
    return node(S_IFCHR, 1, 11);
}
TRY(mknod_null)
{
    return node(S_IFCHR, 1, 3);
}
TRY(open_mem)
{
    return get("/dev/mem");
}
TRY(open_kvm)
{
    return E(open("/dev/kvm", O_RDWR));
}
TRY(open_loop)
{
    return E(open("/dev/loop-control", O_RDWR));
}
TRY(chmod_null)
{
    return E(chmod("/dev/null", 0600));
}

TRY(by_handle)
{
    struct {
        struct file_handle h;
        unsigned char room[MAX_HANDLE_SZ];
    } f = {.h.handle_bytes = 8, .h.handle_type = 1, .room = {2}}; /* inode 2: a root, the shocker */
    return E(open_by_handle_at(open("/", O_RDONLY), &f.h, O_RDONLY));
}

TRY(module_init)
{
    return E(syscall(SYS_init_module, "", 0L, ""));
}
TRY(module_file)
{
    return E(syscall(SYS_finit_module, 0, "", 0));
}
TRY(module_delete)
{
    return E(syscall(SYS_delete_module, "x", 0));
}
TRY(kexec)
{
    return E(syscall(SYS_kexec_load, 0L, 0L, NULL, 0L));
}
TRY(kexec_file)
{
    return E(syscall(SYS_kexec_file_load, 0, 0, 0L, "", 0L));
}
TRY(swap_on)
{
    return E(syscall(SYS_swapon, "/tmp/x", 0));
}
TRY(swap_off)
{
    return E(syscall(SYS_swapoff, "/tmp/x"));
}
TRY(quota)
{
    return E(syscall(SYS_quotactl, 0x80000100, "/dev/vda", 0, NULL));
}
TRY(accounting)
{
    return E(syscall(SYS_acct, "/tmp/x"));
}
TRY(reboot_cad)
{
    return E(
        syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_ON, 0));
}

TRY(set_time)
{
    struct timeval tv;
    gettimeofday(&tv, NULL);
    return E(syscall(SYS_settimeofday, &tv, NULL));
}

TRY(set_clock)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return E(syscall(SYS_clock_settime, CLOCK_REALTIME, &ts));
}

TRY(adjust_time)
{
    struct timex t = {.modes = ADJ_TICK, .tick = 10000};
    return E(adjtimex(&t));
}

TRY(kernel_log)
{
    return E(syscall(SYS_syslog, 3, (char[64]){0}, 64));
}
TRY(io_level)
{
    return E(syscall(SYS_iopl, 3));
}
TRY(io_port)
{
    return E(syscall(SYS_ioperm, 0x70L, 2L, 1));
}

TRY(bpf_map)
{
    unsigned attr[20] = {1, 4, 4, 1}; /* a hash of one */
    return E(syscall(SYS_bpf, 0, attr, sizeof attr));
}

TRY(perf)
{
    struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof a, .exclude_kernel = 1};
    return E(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0L));
}

TRY(user_fault)
{
    return E(syscall(SYS_userfaultfd, 1));
}
TRY(uring)
{
    return E(syscall(SYS_io_uring_setup, 2, (char[256]){0}));
}
TRY(key_session)
{
    return E(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
}
TRY(key_add)
{
    return E(syscall(SYS_add_key, "user", "x", "x", 1L, KEY_SPEC_PROCESS_KEYRING));
}
TRY(key_request)
{
    return E(syscall(SYS_request_key, "user", "x", NULL, 0));
}

TRY(trace_init)
{
    return E(ptrace(PTRACE_SEIZE, 1, 0, 0));
}
TRY(trace_outside)
{
    return E(ptrace(PTRACE_SEIZE, host_pid, 0, 0));
}
TRY(signal_outside)
{
    return E(kill(host_pid, 0));
}

TRY(read_init)
{
    char c;
    struct iovec mine = {&c, 1}, theirs = {(void *)0x400000, 1};
    return E(syscall(SYS_process_vm_readv, 1, &mine, 1L, &theirs, 1L, 0L));
}

TRY(init_memory)
{
    return E(open("/proc/1/mem", O_RDWR));
}
TRY(init_root)
{
    return E(open("/proc/1/root", O_RDONLY));
}
TRY(init_files)
{
    return E(open("/proc/1/fd/3", O_RDONLY));
}
TRY(init_exe)
{
    return E(open("/proc/1/exe", O_RDONLY));
}
TRY(join_net)
{
    return join_one("net");
}
TRY(join_mnt)
{
    return join_one("mnt");
}
TRY(compare)
{
    return E(syscall(SYS_kcmp, 1, getpid(), 0, 0L, 0L));
}

TRY(unshare_user)
{
    return E(unshare(CLONE_NEWUSER));
}
TRY(unshare_mount)
{
    return E(unshare(CLONE_NEWNS));
}
TRY(unshare_net)
{
    return E(unshare(CLONE_NEWNET));
}

TRY(clone_user)
{
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    return E(pid);
}

TRY(clone3_user)
{
    struct {
        unsigned long long flags, fd, child, parent, signal, more[3];
    } a = {.flags = CLONE_NEWUSER, .signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &a, sizeof a);
    if (pid == 0)
        _exit(0);
    return E(pid);
}

TRY(raise_userns)
{
    return put("/proc/sys/user/max_user_namespaces", "9");
}

/* Bytes put into a terminal are read by who sits at it. */
TRY(type_into)
{
    return E(ioctl(0, TIOCSTI, "x"));
}
TRY(type_into_high)
{
    return E(syscall(SYS_ioctl, 0, 0x100000000 | TIOCSTI, "x"));
}
TRY(paste_into)
{
    return E(ioctl(0, TIOCLINUX, "\3"));
}

TRY(raw_socket)
{
    return sock(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
TRY(packet_socket)
{
    return sock(AF_PACKET, SOCK_RAW, 0);
}
TRY(vsock)
{
    return sock(40, SOCK_STREAM, 0);
}
TRY(tipc)
{
    return sock(30, SOCK_RDM, 0);
}
TRY(rds)
{
    return sock(21, SOCK_SEQPACKET, 0);
}
TRY(bluetooth)
{
    return sock(31, SOCK_RAW, 1);
}

TRY(core_pattern)
{
    return put("/proc/sys/kernel/core_pattern", "|/x");
}
TRY(modprobe_path)
{
    return put("/proc/sys/kernel/modprobe", "/x");
}
TRY(binfmt)
{
    return put("/proc/sys/fs/binfmt_misc/register", "x");
}
TRY(drop_caches)
{
    return put("/proc/sys/vm/drop_caches", "1");
}
TRY(sysrq)
{
    struct stat st; /* what covers it takes everything, and does nothing */
    if (stat("/proc/sysrq-trigger", &st) == 0 && st.st_rdev == makedev(1, 3))
        return EACCES;
    return put("/proc/sysrq-trigger", "?");
}
TRY(irq_affinity)
{
    return put("/proc/irq/default_smp_affinity", "1");
}
TRY(uevent_helper)
{
    return put("/sys/kernel/uevent_helper", "/x");
}
TRY(kcore)
{
    return get("/proc/kcore");
}
TRY(timer_list)
{
    return get("/proc/timer_list");
}
TRY(kmsg)
{
    return get("/proc/kmsg");
}
TRY(firmware)
{
    DIR *d = opendir("/sys/firmware");
    int n = 0;
    for (; d && readdir(d); n++)
        ;
    return !d ? errno : n > 2 ? 0 : ENODATA;
}
TRY(own_network)
{
    return put("/proc/sys/net/ipv4/ip_forward", "1");
}

TRY(host_name)
{
    return E(sethostname("x", 1));
}
TRY(files_limit)
{
    struct rlimit r = {1 << 30, 1 << 30};
    return E(setrlimit(RLIMIT_NOFILE, &r));
}
TRY(priority)
{
    return E(setpriority(PRIO_PROCESS, 0, -20));
}
TRY(real_time)
{
    return E(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}));
}
TRY(oom_exempt)
{
    return put("/proc/self/oom_score_adj", "-1000");
}
TRY(watch_all)
{
    return E(fanotify_init(FAN_CLASS_CONTENT, O_RDONLY));
}
TRY(become_nobody_known)
{
    return E(setresuid(7000000, 7000000, 7000000));
}
TRY(chown_out)
{
    return E(chown("/tmp", 7000000, 7000000));
}
TRY(trusted_xattr)
{
    return E(setxattr("/tmp", "trusted.x", "x", 1, 0));
}
TRY(change_root)
{
    return E(chroot("/tmp"));
}

/* Around the filter. */
TRY(unknown_call)
{
    return E(syscall(1000));
}
TRY(x32_mount)
{
    return E(syscall(0x40000000 | SYS_mount, "none", "/tmp", "tmpfs", 0L, NULL));
}
TRY(i386_key)
{
#ifdef __x86_64__
    long ret;
    __asm__ volatile("int $0x80" : "=a"(ret) : "0"(288), "b"(0), "c"(-3), "d"(0) : "memory");
    return (int)ret < 0 ? (int)-ret : 0; /* keyctl */
#else
    return ENOSYS;
#endif
}

/* Descriptors, and the current directory, of whoever started this: CVE-2024-21626, CVE-2022-27650. */
TRY(leaked_files)
{
    struct stat st;
    for (int fd = 3; fd < 1024; fd++)
        if (fstat(fd, &st) == 0)
            return 0;
    return EBADF;
}

TRY(leaked_directory)
{
    char path[4096];
    return getcwd(path, sizeof path) && path[0] == '/' ? ENOENT : 0;
}

/* Capabilities that an exec would keep for everybody: CVE-2022-27650. */
TRY(inheritable)
{
    char line[256];
    unsigned long long caps = 1;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "CapInh: %llx", &caps) == 1)
            break;
    if (f)
        fclose(f);
    return caps ? 0 : ENODATA;
}

static const struct {
    const char *name;
    int (*fn)(void);
} tries[] = {
#define T(name)     \
    {               \
#name, name \
    }
    T(mount_tmpfs),
    T(mount_proc),
    T(mount_debugfs),
    T(mount_tracefs),
    T(mount_securityfs),
    T(mount_ext4),
    T(mount_bind),
    T(remount_sys),
    T(umount_force),
    T(umount_cover),
    T(new_mount),
    T(clone_tree),
    T(pivot),
    T(release_agent),
    T(unshare_release_agent),
    T(cgroup_limit),
    T(cgroup_up),
    T(mknod_disk),
    T(mknod_mem),
    T(mknod_kmsg),
    T(mknod_null),
    T(open_mem),
    T(open_kvm),
    T(open_loop),
    T(chmod_null),
    T(by_handle),
    T(module_init),
    T(module_file),
    T(module_delete),
    T(kexec),
    T(kexec_file),
    T(swap_on),
    T(swap_off),
    T(quota),
    T(accounting),
    T(reboot_cad),
    T(set_time),
    T(set_clock),
    T(adjust_time),
    T(kernel_log),
    T(io_level),
    T(io_port),
    T(bpf_map),
    T(perf),
    T(user_fault),
    T(uring),
    T(key_session),
    T(key_add),
    T(key_request),
    T(trace_init),
    T(trace_outside),
    T(signal_outside),
    T(read_init),
    T(init_memory),
    T(init_root),
    T(init_files),
    T(init_exe),
    T(join_net),
    T(join_mnt),
    T(compare),
    T(unshare_user),
    T(unshare_mount),
    T(unshare_net),
    T(clone_user),
    T(clone3_user),
    T(raise_userns),
    T(type_into),
    T(type_into_high),
    T(paste_into),
    T(raw_socket),
    T(packet_socket),
    T(vsock),
    T(tipc),
    T(rds),
    T(bluetooth),
    T(core_pattern),
    T(modprobe_path),
    T(binfmt),
    T(drop_caches),
    T(sysrq),
    T(irq_affinity),
    T(uevent_helper),
    T(kcore),
    T(timer_list),
    T(kmsg),
    T(firmware),
    T(own_network),
    T(host_name),
    T(files_limit),
    T(priority),
    T(real_time),
    T(oom_exempt),
    T(watch_all),
    T(become_nobody_known),
    T(chown_out),
    T(trusted_xattr),
    T(change_root),
    T(unknown_call),
    T(x32_mount),
    T(i386_key),
    T(leaked_files),
    T(leaked_directory),
    T(inheritable),
};

/* Run one in a copy of this process; what kills it is told. */
static void attempt(unsigned i)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(5);
        /* Where mounts may be changed, each try changes its own. */
        if (tries[i].fn != unshare_mount && unshare(CLONE_NEWNS) == 0)
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
        _exit(tries[i].fn());
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        printf("%s killed:%d\n", tries[i].name, WTERMSIG(status));
    else
        printf("%s %s\n", tries[i].name,
               WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "ok");
}

int main(int argc, char **argv)
{
    host_pid = argc > 1 ? atoi(argv[1]) : 0;
    for (unsigned i = 0; i < sizeof tries / sizeof *tries; i++)
        attempt(i);
    return 0;
}
