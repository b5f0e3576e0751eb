/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of VMs, see snapshot.h.
 */
#include "kvm/snapshot.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "guest/def.h"
#include "kvm/disks.h"
#include "kvm/snapfile.h"
#include "kvm/throw/throw.h"
#include "kvm/vm.h"

#define STATE_FILE  "state"
#define MEMORY_FILE "memory"
#define FILES_MOST  30u /* with those of disks: as many descriptors come beside a request */

/* One that is being taken. */
struct taking {
    struct vm *vm;
    char name[GUEST_NAME_MAX + 1];
    pid_t writer;
    struct event *event;
    int words;
    bool held; /* the guest stands still meanwhile */
};

bool snapshot_holds(const struct vm *vm)
{
    return vm->taking && vm->taking->held;
}

/* ---- what there is ---- */

static int files(const struct guest_def *def, char ***names, struct error *err)
{
    char **all = xcalloc(FILES_MOST + 1, sizeof(all[0]));

    *names = NULL;
    all[0] = xstrdup(STATE_FILE);
    all[1] = xstrdup(MEMORY_FILE);
    if (throw_wanted(def))
        error_set(err, 0, "a VM on a view of the host's files (vm.rootfs) cannot be kept");
    else if (disks_files(def, all + 2, FILES_MOST - 2, err) == 0)
        *names = steal_ptr(all);
    strv_free(all);
    return *names ? 0 : -1;
}

/* ---- taking ---- */

/* Real time, so that it is known how long ago it was. */
static int64_t real_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int write_state(struct machine *m, struct snapfile_head *head, int fd, struct error *err)
{
    struct state s;

    *head = (struct snapfile_head){.memory = m->memory.size, .when_ns = real_ns()};
    if (getrandom(head->id, sizeof(head->id), 0) != sizeof(head->id))
        return error_set(err, errno, "name the snapshot");
    state_save(&s, err);
    machine_state(m, &s);
    int rc = state_finish(&s);
    cleanup_free uint8_t *data = s.data;
    return rc < 0 ? -1 : snapfile_write_state(fd, head, data, s.len, err);
}

/* Let the guest go on, unless somebody froze it. */
static void release(const struct vm *vm)
{
    if (!vm->frozen)
        machine_resume(vm->machine);
}

/* It is over: whole, or what was kept is taken back. */
static void finish(struct vm *vm, const struct error *why)
{
    struct taking *t = vm->taking;
    struct error err;
    bool held = t->held;

    vm->taking = NULL;
    if (why) { /* the writer ends when nobody hears it */
        event_del(t->event);
        close(steal_fd(t->words));
        if (!held && machine_quiesce(vm->machine, &err) < 0)
            log_line("give up the snapshot '%s': %s", t->name, err.text);
        else if (held = true, disks_forget(vm->machine, t->name, &err) < 0)
            log_line("give up the snapshot '%s': %s", t->name, err.text);
    }
    while (waitpid(t->writer, NULL, 0) < 0 && errno == EINTR)
        ;
    if (held)
        release(vm);
    event_free(t->event);
    cleanup_close_fn(&t->words);
    free(t);
    keeper_snapshot_done(vm->keeper, why);
}

static void on_words(evutil_socket_t fd, short what, void *arg)
{
    struct taking *t = arg;
    struct vm *vm = t->vm;
    struct snapfile_word w;
    struct error err;
    ssize_t n;

    (void)what;
    do
        n = read(fd, &w, sizeof(w));
    while (n < 0 && errno == EINTR);
    if (n == sizeof(w) && !w.error && !w.whole) {
        keeper_snapshot_progress(vm->keeper, w.done, vm->machine->memory.size);
        return;
    }
    if (n == sizeof(w) && w.whole) {
        finish(vm, NULL);
        return;
    }
    if (n == sizeof(w))
        error_set(&err, w.error, "write the memory");
    else
        error_set(&err, 0, "the process that writes the memory was killed");
    finish(vm, &err);
}

/* The child writes; its words are waited for. */
static int begin(struct vm *vm, const char *name, const struct snapfile_head *head, const int *fds,
                 struct error *err)
{
    struct taking *t = xcalloc(1, sizeof(*t));

    t->vm = vm;
    t->held = !snapfile_is_live(&vm->machine->memory);
    strncpy(t->name, name, sizeof(t->name) - 1);
    t->writer = snapfile_begin(&vm->machine->memory, head, fds[1], fds[0], &t->words, err);
    if (t->writer < 0) {
        free(t);
        return -1;
    }
    t->event = event_new(vm->keeper->base, t->words, EV_READ | EV_PERSIST, on_words, t);
    if (t->event && event_add(t->event, NULL) == 0) {
        vm->taking = t;
        return 0;
    }
    close(t->words);
    waitpid(t->writer, NULL, 0);
    free(t);
    return error_set(err, ENOMEM, "watch the process that writes the memory");
}

static int take(struct keeper *k, const char *name, const int *fds, struct error *err)
{
    struct vm *vm = vm_of(k);
    struct machine *m = vm->machine;
    struct snapfile_head head;

    if (vm->ended)
        return error_set(err, 0, "the guest has ended");
    if (machine_quiesce(m, err) < 0)
        return -1;
    int rc = write_state(m, &head, fds[0], err);
    if (rc == 0)
        rc = disks_take(m, name, fds + 2, err);
    if (rc == 0) {
        rc = begin(vm, name, &head, fds, err);
        struct error ignored;
        if (rc < 0 && disks_forget(m, name, &ignored) < 0)
            log_line("give up the snapshot '%s': %s", name, ignored.text);
    }
    if (!snapshot_holds(vm))
        release(vm);
    return rc;
}

static void cancel(struct keeper *k)
{
    struct error err;

    error_set(&err, 0, "it was cancelled");
    if (vm_of(k) && vm_of(k)->taking)
        finish(vm_of(k), &err);
}

void snapshot_end(struct vm *vm)
{
    struct error err;

    error_set(&err, 0, "the guest ended");
    if (vm->taking)
        finish(vm, &err);
}

/* ---- going on from one ---- */

struct source {
    int state_fd, memory_fd;
    char *state_path, *memory_path;
    struct snapfile_head head;
    uint8_t *state;
};

static void close_source(struct source *s)
{
    cleanup_close_fn(&s->state_fd);
    cleanup_close_fn(&s->memory_fd);
    free(s->state_path);
    free(s->memory_path);
    free(s->state);
}

/* Open and check all that can be checked without a machine. */
static int open_source(const char *dir, struct source *s, struct error *err)
{
    s->state_path = xasprintf("%s/" STATE_FILE, dir);
    s->memory_path = xasprintf("%s/" MEMORY_FILE, dir);
    s->state_fd = open(s->state_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (s->state_fd < 0)
        return error_set(err, errno, "open '%s'", s->state_path);
    s->memory_fd = open(s->memory_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (s->memory_fd < 0)
        return error_set(err, errno, "open '%s'", s->memory_path);
    if (snapfile_read_state(s->state_fd, s->state_path, &s->head, &s->state, err) < 0)
        return -1;
    return snapfile_check_memory(s->memory_fd, s->memory_path, &s->head, err);
}

/* What a machine is made of; all else may change between a snapshot and going on from it. */
static bool is_hardware(const char *key)
{
    static const char *const keys[] = {"guest.memory", "guest.cpus", "vm.cpu.topology",
                                       "vm.serial2",   "vm.console", "vm.rootfs",
                                       "vm.vsock"};
    static const char *const lists[] = {"vm.port.", "vm.disk.", "guest.net.", "vm.share."};

    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
        if (str_starts(key, lists[i]))
            return true;
    return false;
}

/* Does `a` have what `b` has, of the hardware? */
static int compare(const struct guest_def *def, const struct conf *then, const struct conf *keys,
                   struct error *err)
{
    for (size_t i = 0; i < keys->count; i++) {
        const char *key = keys->lines[i].key;
        if (!key || !is_hardware(key))
            continue;
        const char *had = conf_get(then, key), *has = conf_get(def->conf, key);
        if (str_eq(had, has))
            continue;
        error_set(err, 0, "%s was %s%s%s then, and is %s%s%s now", key, had ? "'" : "",
                  had ? had : "not set", had ? "'" : "", has ? "'" : "", has ? has : "not set",
                  has ? "'" : "");
        return had ? error_hint(err, "`pult config set %s %s '%s'`", def->name, key, had)
                   : error_hint(err, "`pult config unset %s %s`", def->name, key);
    }
    return 0;
}

static int check(const struct guest_def *def, const char *name, const char *dir, struct error *err)
{
    struct source s = {.state_fd = -1, .memory_fd = -1};
    cleanup_free char *path = xasprintf("%s/config", dir);
    cleanup_conf struct conf *then = NULL;

    if (conf_read(path, &then, err) < 0 || compare(def, then, then, err) < 0 ||
        compare(def, then, def->conf, err) < 0)
        return -1;
    int rc = open_source(dir, &s, err);
    if (rc == 0)
        rc = disks_have(def, name, err);
    close_source(&s);
    return rc;
}

int snapshot_load(struct vm *vm, struct error *err)
{
    struct source s = {.state_fd = -1, .memory_fd = -1};
    struct machine *m = vm->machine;
    struct state in;
    int rc = open_source(vm->keeper->snapshot_dir, &s, err);

    if (rc == 0 && s.head.memory != m->memory.size)
        rc = error_set(err, 0, "'%s' is of a machine with %llu MiB of memory, not %llu",
                       s.memory_path, (unsigned long long)s.head.memory >> 20,
                       (unsigned long long)m->memory.size >> 20);
    if (rc == 0)
        rc = snapfile_map_memory(&m->memory, s.memory_fd, s.memory_path, err);
    if (rc == 0) {
        const int64_t elapsed = real_ns() - s.head.when_ns;
        state_load(&in, s.state, s.head.length, err);
        in.elapsed_ns = elapsed > 0 ? (uint64_t)elapsed : 0;
        machine_state(m, &in);
        rc = state_finish(&in);
        if (rc < 0)
            error_wrap(err, "'%s'", s.state_path);
    }
    close_source(&s);
    return rc;
}

/* ---- forgetting ---- */

static int forget(const struct guest_def *def, struct keeper *k, const char *name,
                  struct error *err)
{
    if (!k)
        return disks_forget_offline(def, name, err);
    struct vm *vm = vm_of(k);
    if (machine_quiesce(vm->machine, err) < 0)
        return -1;
    int rc = disks_forget(vm->machine, name, err);
    release(vm);
    return rc;
}

const struct engine_snapshots snapshot_ops = {
    .files = files,
    .take = take,
    .cancel = cancel,
    .check = check,
    .forget = forget,
};
