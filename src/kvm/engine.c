/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine "vm": a machine (machine.h) in a keeper.
 *
 *     keeper's loop                                        machine
 *       terminals.c         ◄────► COM1's wire, virtio's terminals
 *       event on event_fd   ◄───── ended, or perhaps panicked
 *       event on clock_fd   ─────► rtc_expired()
 *       event on loop_fd    ─────► machine_loop()            (devices without a thread)
 *
 * All is opened by start(); then the keeper is confined, and a reboot opens nothing more. A machine
 * leaves nothing outside of its process but the cgroup that it was limited by.
 */
#include "kvm/kvm.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/places.h"
#include "base/util.h"
#include "disk/definition.h"
#include "guest/cgroup.h"
#include "guest/keeper.h"
#include "guest/limits.h"
#include "kvm/balloon.h"
#include "kvm/boot/boot.h"
#include "kvm/clone.h"
#include "kvm/confine.h"
#include "kvm/devices.h"
#include "kvm/disks.h"
#include "kvm/doctor.h"
#include "kvm/host.h"
#include "kvm/legacy/wire.h"
#include "kvm/machine.h"
#include "kvm/settings.h"
#include "kvm/snapshot.h"
#include "kvm/terminals.h"
#include "kvm/throw/throw.h"
#include "kvm/virtio/fs.h"
#include "kvm/vm.h"
#include "kvm/vsock.h"
#include "kvm/words.h"

#define COM2_SOCKET "com2" /* docs/protocol.md names it */

static const struct conf_key kvm_keys[] = {
    {.name = "vm.kernel",
     .check = conf_is_abs_path,
     .help = "the kernel to boot: a bzImage (/boot/vmlinuz-…) or an ELF vmlinux"},
    {.name = "vm.unpack",
     .check = conf_is_bool,
     .help = "0: let a bzImage unpack itself in the guest, at a random address (KASLR); default 1: "
             "unpack it once, and let all VMs of that kernel share its constants"},
    {.name = "vm.initrd", .check = conf_is_abs_path, .help = "its initial RAM disk"},
    {.name = "vm.append",
     .help = "the kernel's command line; default \"" WORDS_DEFAULT "\"; \"" WORDS_SERIAL
             "\", or \"" WORDS_VIRTIO
             "\" with vm.console = virtio, is put before one without console="},
    {.name = "vm.quick",
     .check = conf_is_bool,
     .help = "0: nothing but a console is put before vm.append; default 1: \"" WORDS_QUICK
             "\" too, unless it has a cryptomgr. word or fips=1: a Linux kernel leaves out its "
             "self-tests of cryptography, close to half of its start"},
    {.name = "vm.console",
     .check = terminals_is_console,
     .help = "serial: the console is the first serial port, ttyS0 (default); virtio: it is hvc0, "
             "which knows the console's size"},
    {.name = "vm.port.#",
     .check = terminals_is_port,
     .help = "a port for programs: vm.port.0 = org.example.agent is "
             "/dev/virtio-ports/org.example.agent in the guest"},
    {.name = "vm.serial2",
     .check = conf_is_bool,
     .help = "1: a second serial port, COM2 (ttyS1); its other end is the unix socket com2 in the "
             "guest's runtime directory"},
    {.name = "vm.cpu.topology",
     .check = settings_is_topology,
     .help = "how guest.cpus are arranged: SOCKETSxCORESxTHREADS, such as 1x4x2; default one "
             "socket of single-threaded cores"},
    {.name = "vm.cpu.affinity",
     .check = settings_is_affinity,
     .help = "the host's CPUs that run the vCPUs: a list for all, \"0-3,8\", or lists for some, "
             "\"0:2 1:3\", \"0-3:8-11\""},
    {.name = "vm.memory.hugepages",
     .check = settings_is_huge,
     .help = "2M or 1G: guest.memory in pages of that size, reserved out of the host's pool"},
    {.name = "vm.memory.ksm",
     .check = conf_is_bool,
     .help = "1: let the host merge the VM's pages with equal ones of others (KSM)"},
    {.name = "vm.balloon",
     .check = balloon_is_setting,
     .help = "how much of guest.memory the VM is left with at first, which `pult balloon` changes; "
             "none: it has no balloon, and its free memory stays with it"},
    {.name = "vm.cgroup2.*",
     .list = true,
     .help = "a file of cgroup v2 that limits the VM as a process of the host, such as cpu.max, "
             "cpu.weight, cpuset.cpus, memory.high, io.max; translated where the host's cgroups "
             "are of v1"},
    {.name = "vm.vsock",
     .check = vsock_is_setting,
     .help = "on, or the guest's CID: streams between programs of the guest (AF_VSOCK) and unix "
             "sockets of the host, RUN/NAME/vsock and RUN/NAME/vsock_PORT; default off"},
    {.name = "vm.rootfs",
     .check = throw_is_rootfs,
     .help =
         "host:/ or a directory: the guest's root file system, whose changes are forgotten; or "
         "disk: the largest file system on its disks that has an init, or what root= in "
         "vm.append names. It is booted with an initramfs made for it, and vm.kernel is then by "
         "default the newest that is installed here"},
    {.name = "vm.modules",
     .check = conf_is_abs_path,
     .help = "the directory of that kernel's modules; default /lib/modules/RELEASE, or beside the "
             "kernel"},
    {.name = "vm.command",
     .check = throw_is_command,
     .help = "what is run there, as root; the VM ends with it. Default: a shell, or the init of a "
             "disk"},
    {.name = "vm.workdir",
     .check = throw_is_workdir,
     .help = "DIR[,rw]: a directory of the host that is at the same place there, and where the "
             "command runs; without rw its changes are forgotten"},
    {.name = "vm.disk.#",
     .check = disk_is_definition,
     .help =
         "a disk: FILE,format=raw|qcow2[,backing=FILE:FORMAT]…[,ro][,snapshot]"
         "[,cache=writeback|none|writethrough|directsync|unsafe][,serial=TEXT][,bps=SIZE]"
         "[,iops=N][,bootindex=N]; vm.disk.0 is the guest's vda, and so on; with vm.rootfs = disk "
         "the one with the smallest bootindex is booted from, or the first"},
    {.name = "vm.share.#",
     .check = fs_is_share,
     .help = "a folder of the host, mounted in the guest by `mount -t virtiofs TAG DIR`: "
             "PATH[,tag=TAG][,ro][,map=identity|UID[:GID]][,cache=auto|none|always][,setid]"
             "[,nosecrets]"},
    {NULL},
};

/* ---- the definition ---- */

static int check_cpus(const struct settings *s, int kvm, struct error *err)
{
    unsigned most = kvm_max_cpus(kvm), cpus = topology_cpus(&s->topology);

    if (cpus > most)
        return error_set(err, 0, "guest.cpus is %u, and a VM can have at most %u here", cpus, most);
    return 0;
}

/* Open the kernel, and the initrd where there is one, into NO_FILES. The caller closes both. */
static int open_files(const struct guest_def *def, struct boot_request *rq, struct error *err)
{
    const char *kernel = conf_get(def->conf, "vm.kernel");
    const char *initrd = conf_get(def->conf, "vm.initrd");

    if (throw_wanted(def)) {
        cleanup_plan struct throw_plan plan = {0};
        if (throw_plan(def, &plan, err) < 0)
            return -1;
        rq->found = steal_ptr(plan.kernel);
        return boot_open(&rq->kernel, rq->found, err);
    }
    if (!kernel) {
        error_set(err, 0, "no kernel: set vm.kernel to a bzImage or vmlinux");
        return error_hint(err, "or vm.rootfs = disk to boot a disk with a kernel of this host");
    }
    if (boot_open(&rq->kernel, kernel, err) < 0)
        return -1;
    return initrd ? boot_open(&rq->initrd, initrd, err) : 0;
}

static void close_files(struct boot_request *rq)
{
    cleanup_close_fn(&rq->kernel.fd);
    cleanup_close_fn(&rq->initrd.fd);
    free(rq->found);
}

#define cleanup_files __attribute__((cleanup(close_files)))
#define NO_FILES                         \
    {                                    \
        .kernel.fd = -1, .initrd.fd = -1 \
    }

static int kvm_check(const struct guest_def *def, struct error *err)
{
    cleanup_files struct boot_request rq = NO_FILES;
    struct settings settings;

    if (settings_read(def, &settings, err) < 0 || open_files(def, &rq, err) < 0 ||
        boot_check(&rq.kernel, err) < 0 || devices_check(def, err) < 0 ||
        limits_keeper_check(def->name, def->conf, err) < 0)
        return -1;

    cleanup_close int kvm = kvm_open(err);
    if (kvm < 0)
        return error_hint(err, "%s", kvm_remedy(err));
    return check_cpus(&settings, kvm, err);
}

/* The whole command line. The caller frees it. */
static char *command_line(const struct guest_def *def)
{
    const char *quick = conf_get(def->conf, "vm.quick");
    const struct words_request rq = {
        .append = conf_get(def->conf, "vm.append"),
        .command = throw_for_command(def),
        .virtio = terminals_virtio(def),
        .quick = !quick || conf_true(quick),
    };

    return words_line(&rq);
}

/* ---- events ---- */

static int kvm_freeze(struct keeper *k, struct error *err);

/* While a panic is suspected, look at the vCPUs each second. */
static void watch_panic(struct vm *vm)
{
    const struct timeval second = {.tv_sec = 1};

    if (!evtimer_pending(vm->panic_timer, NULL))
        evtimer_add(vm->panic_timer, &second);
}

static void on_panic_timer(evutil_socket_t fd, short what, void *arg)
{
    struct vm *vm = arg;

    (void)fd, (void)what;
    if (vm->frozen || snapshot_holds(vm) || machine_look_for_panic(vm->machine))
        watch_panic(vm);
}

static void on_machine(evutil_socket_t fd, short what, void *arg)
{
    struct vm *vm = arg;
    struct machine_ending ending;
    eventfd_t count;

    (void)what;
    eventfd_read(fd, &count);
    if (!machine_ended(vm->machine, &ending)) {
        if (machine_panic_suspected(vm->machine))
            watch_panic(vm);
        return;
    }
    if (vm->ended)
        return;
    vm->ended = true;
    evtimer_del(vm->panic_timer);
    keeper_ended(vm->keeper, ending.how, ending.how == ENDED_EXIT ? ending.status : -1,
                 ending.reason[0] ? ending.reason : NULL);
}

static void on_clock(evutil_socket_t fd, short what, void *arg)
{
    struct vm *vm = arg;

    (void)fd, (void)what;
    rtc_expired(&vm->machine->rtc);
}

static void on_loop(evutil_socket_t fd, short what, void *arg)
{
    struct vm *vm = arg;

    (void)fd, (void)what;
    machine_loop(vm->machine);
}

/*
 * In machine_loop(), where the machine cannot be stopped: that has to wait until it returns.
 */
static void line_disk_full(void *arg, const char *why)
{
    struct vm *vm = arg;

    snprintf(vm->full, sizeof(vm->full), "%s", why);
    event_active(vm->full_event, EV_TIMEOUT, 0);
}

/* Freeze it, and say why. A host out of breath is asked again. */
static void on_disk_full(evutil_socket_t fd, short what, void *arg)
{
    const struct timeval second = {.tv_sec = 1};
    struct vm *vm = arg;
    struct error err;

    (void)fd, (void)what;
    if (vm->ended)
        return;
    if (!vm->frozen && kvm_freeze(vm->keeper, &err) < 0) {
        log_line("%s; it is to be frozen: %s", vm->full, err.text);
        evtimer_add(vm->full_event, &second);
        return;
    }
    keeper_frozen(vm->keeper, vm->full);
}

static int add_events(struct vm *vm, struct error *err)
{
    struct event_base *base = vm->keeper->base;
    struct machine *m = vm->machine;

    vm->machine_event = event_new(base, m->event_fd, EV_READ | EV_PERSIST, on_machine, vm);
    vm->clock_event = event_new(base, machine_clock_fd(m), EV_READ | EV_PERSIST, on_clock, vm);
    vm->loop_event = event_new(base, machine_loop_fd(m), EV_READ | EV_PERSIST, on_loop, vm);
    vm->panic_timer = evtimer_new(base, on_panic_timer, vm);
    vm->full_event = evtimer_new(base, on_disk_full, vm);
    if (!vm->machine_event || !vm->clock_event || !vm->loop_event || !vm->panic_timer ||
        !vm->full_event || event_add(vm->machine_event, NULL) < 0 ||
        event_add(vm->clock_event, NULL) < 0 || event_add(vm->loop_event, NULL) < 0)
        return error_set(err, ENOMEM, "watch the machine's events");
    return 0;
}

/* ---- life ---- */

/* What the list shows of it: what the process uses, until devices count for themselves. */
static void fill_status(struct keeper *k, const struct settings *settings)
{
    struct status_page *page = k->status.page;
    int pid = getpid();

    status_begin(&k->status);
    page->guest_pid = pid;
    page->vcpus = topology_cpus(&settings->topology);
    page->memory_limit = settings->memory.size;
    page->figures[FIGURE_CPU].kind = FIGURE_PROC_STAT;
    page->figures[FIGURE_MEMORY].kind = FIGURE_PROC_STATM;
    page->figures[FIGURE_DISK].kind = FIGURE_PAGE;
    page->figures[FIGURE_NET].kind = FIGURE_PAGE;
    snprintf(page->figures[FIGURE_CPU].path, sizeof(page->figures[0].path), "/proc/%d/stat", pid);
    snprintf(page->figures[FIGURE_MEMORY].path, sizeof(page->figures[0].path), "/proc/%d/statm",
             pid);
    status_commit(&k->status);
}

/* Load what is to be run, but for what ran when a snapshot was taken. */
static int load(void *arg, struct memory *m, struct error *err)
{
    struct vm *vm = arg;

    vm->deaf = throw_wanted(vm->keeper->def);
    vm->loaded = vm->keeper->snapshot != NULL;
    return vm->loaded ? 0 : boot_load(m, &vm->boot, &vm->entry, err);
}

/* Let it run. */
static int run(struct vm *vm, struct error *err)
{
    if (machine_start(vm->machine, vm->loaded ? NULL : &vm->entry, err) < 0)
        return -1;
    if (vm->loaded) /* what waited to be printed when it was saved */
        serial_output_ready(&vm->machine->com1);
    keeper_started(vm->keeper);
    return 0;
}

/* A throwaway VM's, which is made for each. */
static int make_initramfs(struct vm *vm, struct error *err)
{
    const struct keeper *k = vm->keeper;
    const struct throw_console con = {!k->raw_console, k->cols, k->rows};
    cleanup_plan struct throw_plan plan = {0};
    struct stat st;

    if (!throw_wanted(k->def))
        return 0;
    if (throw_plan(k->def, &plan, err) < 0)
        return -1;
    int fd = throw_initramfs(k->def, &plan, &con, err);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    vm->boot.initrd =
        (struct boot_file){.path = "(made for vm.rootfs)", .fd = fd, .size = (uint64_t)st.st_size};
    return 0;
}

/* Each queue of a device has two descriptors: a large machine has more than the usual 1024. */
static void allow_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* All is open: nothing else is to be had from now on. */
static int confine(struct vm *vm, struct error *err)
{
    struct confine_tree trees[FS_TREES];
    const size_t n = fs_trees(&vm->machine->virtio, trees);
    enum folders folders = n ? FOLDERS_READ : FOLDERS_NONE;
    for (size_t i = 0; i < n; i++)
        if (trees[i].writable)
            folders = FOLDERS_WRITE;
    const struct confine_plan plan = {
        .more = &confine_machine[folders],
        .trees = trees,
        .tree_count = n,
    };

    return confinement_create(&vm->confinement, folders, err) < 0
               ? -1
               : keeper_confine(vm->keeper, &plan, err);
}

static int kvm_start(struct keeper *k, struct error *err)
{
    const struct guest_def *def = k->def;
    struct settings settings;

    allow_descriptors();
    if (kvm_check(def, err) < 0 || settings_read(def, &settings, err) < 0)
        return -1;
    if (kvm_kind() == KVM_EMULATING)
        log_once("this host's KVM emulates all kernel code: hardly any system will come up");
    if (settings.memory.merge && !settings_ksm_runs())
        log_once("vm.memory.ksm: KSM is off on this host: echo 1 >" SETTINGS_KSM_RUN);

    /* Before there are threads and helpers, which are in it, then. */
    if (limits_keeper(def->name, getpid(), NULL, def->conf, err) < 0)
        return -1;

    struct vm *vm = xcalloc(1, sizeof(*vm));
    *vm = (struct vm){.keeper = k, .boot = NO_FILES, .image = -1, .cmdline = command_line(def)};
    vm->boot.cmdline = vm->cmdline;
    vm->boot.cpus = settings.topology;
    vm->boot.com2 = settings.com2;
    vm->boot.unpack = settings.unpack;
    vm->boot.cache = place_cache();
    vm->boot.avoid_32bit = kvm_kind() == KVM_EMULATING;
    struct machine_config config = {
        .memory = settings.memory,
        .topology = settings.topology,
        .affinity = settings.affinity,
        .confinement = &vm->confinement,
        .console = &terminals_com1,
        .console_arg = vm,
        .fill = load,
        .fill_arg = vm,
        .exits = k->status.page->exits,
        .ready = throw_wanted(def) ? terminals_ready : NULL,
        .disk_full = line_disk_full,
    };
    k->engine_data = vm;
    if (settings.com2) {
        vm->com2 = wire_create(k->run_dir, COM2_SOCKET, err);
        if (!vm->com2)
            return -1;
        config.com2 = &wire_line;
        config.com2_arg = vm->com2;
    }
    if (open_files(def, &vm->boot, err) < 0 || make_initramfs(vm, err) < 0)
        return -1;
    vm->boot.kernel.image = &vm->image;
    if (machine_create(&config, &vm->machine, err) < 0 || devices_add(vm->machine, k, err) < 0 ||
        add_events(vm, err) < 0)
        return -1;
    if (vm->com2 &&
        wire_start(vm->com2, &vm->machine->com2, workers_loop(&vm->machine->workers), err) < 0)
        return -1;
    fill_status(k, &settings);
    if (vm->loaded && snapshot_load(vm, err) < 0)
        return -1;
    terminals_plug(vm);
    return confine(vm, err) < 0 ? -1 : run(vm, err);
}

/* The guest rebooted: all is open, and the machine is made empty again. */
static int kvm_restart(struct keeper *k, struct error *err)
{
    struct vm *vm = k->engine_data;

    terminals_last(vm);
    if (machine_reset(vm->machine, err) < 0)
        return -1;
    vm->ended = false;
    if (load(vm, &vm->machine->memory, err) < 0)
        return -1;
    terminals_plug(vm);
    return run(vm, err);
}

static int kvm_stop(struct keeper *k, struct error *err)
{
    struct vm *vm = k->engine_data;

    (void)err;
    pm_press_power_button(&vm->machine->pm);
    return 0;
}

static int kvm_kill(struct keeper *k, struct error *err)
{
    struct vm *vm = k->engine_data;

    (void)err;
    if (vm && vm->machine)
        machine_end(vm->machine, ENDED_KILLED);
    return 0;
}

static int kvm_freeze(struct keeper *k, struct error *err)
{
    struct vm *vm = k->engine_data;

    if (machine_pause(vm->machine, err) < 0)
        return -1;
    vm->frozen = true;
    return 0;
}

static int kvm_thaw(struct keeper *k, struct error *err)
{
    struct vm *vm = k->engine_data;

    (void)err;
    vm->frozen = false;
    if (snapshot_holds(vm)) /* it goes on when that is done */
        return 0;
    machine_resume(vm->machine);
    disks_retry(vm->machine);
    return 0;
}

/* A serial line has no size, and takes none. */
static int kvm_resize(struct keeper *k, unsigned cols, unsigned rows, struct error *err)
{
    struct vm *vm = k->engine_data;

    (void)err;
    if (vm)
        terminals_resize(vm, cols, rows);
    return 0;
}

static int kvm_send(struct keeper *k, enum console_signal what, struct error *err)
{
    struct vm *vm = k->engine_data;

    if (what == CONSOLE_CTRL_ALT_DEL)
        return error_set(err, 0,
                         "this machine has no keyboard for ctrl-alt-del; 'stop' presses its power "
                         "button");
    terminals_break(vm);
    return 0;
}

static void kvm_cleanup(struct keeper *k)
{
    struct vm *vm = k->engine_data;

    if (!vm)
        return;
    snapshot_end(vm);
    if (vm->ended)
        terminals_last(vm);
    terminals_unplug(vm);
    if (vm->machine_event)
        event_free(vm->machine_event);
    if (vm->clock_event)
        event_free(vm->clock_event);
    if (vm->loop_event)
        event_free(vm->loop_event);
    if (vm->panic_timer)
        event_free(vm->panic_timer);
    if (vm->full_event)
        event_free(vm->full_event);
    machine_destroy(vm->machine);
    wire_destroy(vm->com2);
    confinement_destroy(&vm->confinement);
    close_files(&vm->boot);
    cleanup_close_fn(&vm->image);
    free(vm->cmdline);
    free(vm);
    k->engine_data = NULL;
}

static int kvm_recover(const char *name, const char *run_dir, const struct status_page *page,
                       struct error *err)
{
    (void)run_dir, (void)page, (void)err;
    cgroup_remove_keeper(name, 0);
    return 0;
}

const struct engine kvm_engine = {
    .type = "vm",
    .brief = "vm",
    .keys = kvm_keys,
    .confines = true,
    .check = kvm_check,
    .start = kvm_start,
    .stop = kvm_stop,
    .kill = kvm_kill,
    .freeze = kvm_freeze,
    .thaw = kvm_thaw,
    .restart = kvm_restart,
    .resize = kvm_resize,
    .memory = balloon_memory,
    .send = kvm_send,
    .cleanup = kvm_cleanup,
    .recover = kvm_recover,
    .snapshots = &snapshot_ops,
    .clone = clone_machine,
    .doctor = kvm_doctor,
};
