/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status page: a sequence lock over a file. The writer makes seq odd, writes, makes it even;
 * a reader that saw the same even number before and after has a whole snapshot. Since readers
 * pread, "before and after" means two reads whose copies agree on seq.
 */
#include "guest/status.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"

#define STATUS_MAGIC   0x746c7570u /* "pult" */
#define STATUS_VERSION 4

static const char *const state_names[GUEST_STATES] = {
    [GUEST_STOPPED] = "stopped", [GUEST_STARTING] = "starting", [GUEST_RUNNING] = "running",
    [GUEST_FROZEN] = "frozen",   [GUEST_STOPPING] = "stopping", [GUEST_CRASHED] = "crashed",
    [GUEST_BROKEN] = "broken",
};

const char *state_name(enum guest_state s)
{
    return (unsigned)s < GUEST_STATES ? state_names[s] : "unknown";
}

/* LXC's names of states that are none of ours: on the way to one, or from one, they are that. */
static const struct {
    const char *name;
    enum guest_state state;
} states_of_lxc[] = {{"aborting", GUEST_STOPPING},
                     {"freezing", GUEST_FROZEN},
                     {"thawed", GUEST_RUNNING}};

int state_parse(const char *name, enum guest_state *s, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(states_of_lxc); i++) {
        if (strcasecmp(name, states_of_lxc[i].name) == 0) {
            *s = states_of_lxc[i].state;
            return 0;
        }
    }
    for (unsigned i = 0; i < GUEST_STATES; i++) {
        if (strcasecmp(name, state_names[i]) == 0) {
            *s = (enum guest_state)i;
            return 0;
        }
    }
    return error_set(err, 0,
                     "'%s' is no state; there are stopped, starting, running, frozen, stopping, "
                     "crashed and broken",
                     name);
}

bool state_alive(enum guest_state s)
{
    return s == GUEST_STARTING || s == GUEST_RUNNING || s == GUEST_FROZEN || s == GUEST_STOPPING;
}

int status_create(int run_dir_fd, struct error *err)
{
    const struct status_page page = {.magic = STATUS_MAGIC,
                                     .version = STATUS_VERSION,
                                     .state = GUEST_STARTING};
    cleanup_close int fd =
        openat(run_dir_fd, STATUS_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write_all(fd, &page, sizeof page) < 0)
        return error_set(err, errno, "create the status page");
    return 0;
}

int status_open(struct status *s, int run_dir_fd, struct error *err)
{
    s->fd = openat(run_dir_fd, STATUS_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    void *p = mmap(NULL, sizeof *s->page, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (s->fd < 0 || p == MAP_FAILED)
        return error_set(err, errno, "map the status page");
    s->page = p;
    return 0;
}

void status_begin(struct status *s)
{
    __atomic_fetch_add(&s->page->seq, 1, __ATOMIC_ACQ_REL);
}

void status_commit(struct status *s)
{
    const uint32_t magic = STATUS_MAGIC;
    __atomic_fetch_add(&s->page->seq, 1, __ATOMIC_ACQ_REL);
    /* What is there already, for inotify; the file's times belong to its owner alone. */
    if (pwrite(s->fd, &magic, sizeof magic, offsetof(struct status_page, magic)) < 0)
        log_line("tell of a change: %s", strerror(errno));
}

void status_close(struct status *s)
{
    if (s->page)
        munmap(s->page, sizeof *s->page);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct status){.fd = -1};
}

/* Where a kind of figure is read from: below cgroupfs, or this file of a process. */
#define CGROUPS "/sys/fs/cgroup/"
static const char *const figure_files[FIGURE_KINDS] = {
    [FIGURE_NUMBER] = CGROUPS, [FIGURE_CPU_STAT] = CGROUPS,   [FIGURE_IO_STAT] = CGROUPS,
    [FIGURE_BLKIO] = CGROUPS,  [FIGURE_PROC_STAT] = "/stat",  [FIGURE_PROC_STATM] = "/statm",
    [FIGURE_PROC_IO] = "/io",  [FIGURE_NET_DEV] = "/net/dev",
};

/*
 * Opening a file can do things by itself (a watchdog begins to run), and /proc/PID/root leads to
 * all of them: a page may name nothing but the files that such figures come from.
 */
static bool figure_path_ok(uint32_t kind, const char *path)
{
    const char *file = figure_files[kind];
    if (file == NULL)
        return kind == FIGURE_NONE || kind == FIGURE_PAGE;
    if (str_eq(file, CGROUPS))
        return str_starts(path, CGROUPS) && strstr(path, "..") == NULL;
    if (!str_starts(path, "/proc/"))
        return false;
    size_t digits = strspn(path + 6, "0123456789");
    return digits > 0 && str_eq(path + 6 + digits, file);
}

/* Bound what a reader takes for granted. */
static void status_sanitise(struct status_page *p)
{
    if (p->state >= GUEST_STATES)
        p->state = GUEST_RUNNING;
    p->engine[sizeof p->engine - 1] = '\0';
    p->name[sizeof p->name - 1] = '\0';
    p->note[sizeof p->note - 1] = '\0';
    str_printable(p->engine);
    str_printable(p->name);
    str_printable(p->note);
    for (unsigned i = 0; i < FIGURES; i++) {
        p->figures[i].path[sizeof p->figures[i].path - 1] = '\0';
        if (p->figures[i].kind >= FIGURE_KINDS ||
            !figure_path_ok(p->figures[i].kind, p->figures[i].path))
            p->figures[i].kind = FIGURE_NONE;
    }
    for (unsigned i = 0; i < STATUS_COUNTERS; i++) {
        p->exits[i].name[sizeof p->exits[i].name - 1] = '\0';
        str_printable(p->exits[i].name);
    }
    p->memory_limit -= min(p->memory_ballooned, p->memory_limit);
    p->cols = min(p->cols, 10000u);
    p->rows = min(p->rows, 10000u);
}

/*
 * A writer may have lost its CPU in the midst of it: after some tries in a row it is waited for, 10
 * ms at most. A keeper that is not honest can make it so that no try succeeds.
 */
int status_read(int fd, struct status_page *out)
{
    const struct timespec wait = {.tv_nsec = 100000};
    for (int tries = 0; tries < 100; tries++) {
        uint32_t seq;
        if (tries >= 10)
            nanosleep(&wait, NULL);
        if (pread(fd, out, sizeof *out, 0) != (ssize_t)sizeof *out || out->magic != STATUS_MAGIC ||
            out->version != STATUS_VERSION ||
            pread(fd, &seq, sizeof seq, offsetof(struct status_page, seq)) != (ssize_t)sizeof seq)
            return -1;
        if (out->seq % 2 == 0 && out->seq == seq) {
            status_sanitise(out);
            return 0;
        }
    }
    return -1;
}
