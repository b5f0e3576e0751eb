/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Freezing a container, or killing it, by its cgroups; and who it is that does not freeze. */
#include "guest/cgroup_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"

#define FREEZE_WAIT_MS 3000

/* Wait until a file that tells of its changes by POLLPRI contains text. */
static int await_text(int dir, const char *file, const char *text, struct error *err)
{
    cleanup_close int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
    uint64_t end = now_mono_ns() + FREEZE_WAIT_MS * 1000000ull;
    for (;;) {
        char have[256];
        ssize_t n = fd < 0 ? -1 : pread(fd, have, sizeof have - 1, 0);
        if (n < 0)
            return error_set(err, errno, "read %s", file);
        have[n] = '\0';
        if (strstr(have, text))
            return 0;
        uint64_t now = now_mono_ns();
        struct pollfd p = {.fd = fd, .events = POLLPRI};
        if (now >= end || poll(&p, 1, (int)((end - now) / 1000000) + 1) == 0)
            return error_set(err, ETIMEDOUT, "wait for '%s' in %s", text, file);
    }
}

/* v1's freezer tells nobody when it is done, but gets on with it whenever it is asked. */
static int freeze_v1(int dir, bool freeze, struct error *err)
{
    const char *want = freeze ? "FROZEN" : "THAWED";
    const struct timespec ms = {.tv_nsec = 1000000};
    for (int i = 0; i < FREEZE_WAIT_MS; i++) {
        cleanup_free char *have = NULL;
        if (file_put_at(dir, "freezer.state", want, err) < 0 ||
            file_read_at(dir, "freezer.state", 64, &have, NULL, err) < 0)
            return -1;
        if (str_eq(str_trim(have), want))
            return 0;
        nanosleep(&ms, NULL);
    }
    return error_set(err, ETIMEDOUT, "wait for the freezer");
}

/* Why a process does not stop: the first that waits in the kernel for what does not come. */
struct culprit {
    pid_t pid;
    char name[32], state, wchan[64];
};

static void culprit_look(void *arg, pid_t pid)
{
    struct culprit *c = arg;
    char path[64];
    cleanup_free char *stat = NULL, *wchan = NULL;
    if (c->state == 'D')
        return;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const char *name, *end;
    if (file_read_at(AT_FDCWD, path, 4096, &stat, NULL, NULL) < 0 || !(name = strchr(stat, '(')) ||
        !(end = strrchr(stat, ')')) || !end[1] || !strchr("DRS", end[2]))
        return;
    snprintf(path, sizeof path, "/proc/%d/wchan", pid);
    bool known = file_read_at(AT_FDCWD, path, sizeof c->wchan - 1, &wchan, NULL, NULL) == 0;
    if (known && (strstr(wchan, "freezer") || strstr(wchan, "refrigerator")))
        return; /* this one has stopped */
    if (c->pid && end[2] != 'D')
        return;
    c->pid = pid;
    c->state = end[2];
    snprintf(c->name, sizeof c->name, "%.*s", (int)(end - name - 1), name + 1);
    snprintf(c->wchan, sizeof c->wchan, "%s", known && *wchan ? wchan : "0");
    str_printable(c->name);
    str_printable(c->wchan);
}

/* Add to the error who it was that did not freeze. */
static int culprit_name(int dir, struct error *err)
{
    struct culprit c = {0};
    cgroup_each(dir, culprit_look, &c);
    if (!c.pid)
        return -1;
    const char *where = str_eq(c.wchan, "0") ? "" : c.wchan;
    error_set(err, ETIMEDOUT, "process %d (%s) does not stop: it is in state %c%s%s", c.pid, c.name,
              c.state, *where ? ", in the kernel's " : "", where);
    return error_hint(err, "it waits for something, a disk or a server; the others run on");
}

int cgroup_freeze(const struct cgroup *cg, bool freeze, struct error *err)
{
    if (cg->v2 >= 0) {
        if (file_put_at(cg->v2, "cgroup.freeze", freeze ? "1" : "0", err) < 0)
            return -1;
        if (await_text(cg->v2, "cgroup.events", freeze ? "frozen 1" : "frozen 0", err) == 0)
            return 0;
        if (freeze) {
            culprit_name(cg->v2, err);
            file_put_at(cg->v2, "cgroup.freeze", "0", NULL);
        }
        return -1;
    }
    if (cg->v1_joined & (1u << CG_FREEZER)) {
        int ret = freeze_v1(cg->v1[CG_FREEZER], freeze, err);
        if (ret < 0 && freeze) {
            culprit_name(cg->v1[CG_FREEZER], err);
            file_put_at(cg->v1[CG_FREEZER], "freezer.state", "THAWED", NULL);
        }
        return ret;
    }
    error_set(err, 0, "freezing needs a cgroup, and this user may make none");
    return error_hint(err, "run pult in a delegated one: systemd-run --user --scope "
                           "-p Delegate=yes pult …");
}

void cgroup_kill_one(void *arg, pid_t pid)
{
    (void)arg;
    kill(pid, SIGKILL);
}

void cgroup_kill(const struct cgroup *cg)
{
    if (cg->v2 >= 0 && file_put_at(cg->v2, "cgroup.kill", "1", NULL) < 0)
        cgroup_each(cg->v2, cgroup_kill_one, NULL);
    if (cg->v2 >= 0)
        file_put_at(cg->v2, "cgroup.freeze", "0", NULL);
    for (int i = 0; i < CG_V1_COUNT; i++)
        if (cg->v1[i] >= 0)
            cgroup_each(cg->v1[i], cgroup_kill_one, NULL);
    if (cg->v1[CG_FREEZER] >= 0)
        file_put_at(cg->v1[CG_FREEZER], "freezer.state", "THAWED", NULL);
}
