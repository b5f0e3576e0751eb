/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/console.h"
#include "guest/def.h"
#include "guest/engine.h"
#include "guest/rundir.h"
#include "guest/status.h"
#include "guest/store.h"
#include "net/join.h"

int recover_console(int run_dir, int dir_fd, struct error *err)
{
    cleanup_free char *data = NULL;
    size_t len;
    struct error why;
    if (console_history(run_dir, &data, &len, &why) < 0)
        return why.code == ENOENT ? 0 : (err ? (*err = why, -1) : -1);
    return file_replace_at(dir_fd, CONSOLE_LOG, data, len, 0600, err);
}

/* The definition of a guest that lost its keeper, NULL if it cannot be read. */
static struct guest_def *def_of(const char *name, int run_dir)
{
    cleanup_free char *lasting = xasprintf("%s/guests/%s", place_home(), name);
    cleanup_free char *throwaway = xasprintf("/proc/self/fd/%d", run_dir);
    struct guest_def *def = NULL;
    bool lasts = access(lasting, F_OK) == 0;
    return def_load(name, lasts ? lasting : throwaway, &def, NULL) < 0 ? NULL : def;
}

void recover_guest(const char *name, int fd)
{
    struct status_page page = {0};
    struct error err;
    cleanup_close int status =
        openat(fd, STATUS_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (status < 0 || status_read(status, &page) < 0)
        return; /* no keeper made this directory: it is not ours to remove */
    cleanup_free char *run = xasprintf("%s/%s", place_run(), name);
    cleanup_def struct guest_def *def = def_of(name, fd);
    /* A keeper that its guest had taken over may have spoilt the page: the definition has not. */
    const struct engine *engine = def ? def->engine : engine_by_type(page.engine);
    if (engine && engine->recover && engine->recover(name, run, &page, &err) < 0) {
        log_line("%s: its keeper died, and cleaning up after it failed: %s", name, err.text);
        return;
    }

    cleanup_free char *dir = xasprintf("%s/guests/%s", place_home(), name);
    if (access(dir, F_OK) < 0) { /* another program's? */
        free(dir);
        dir = xasprintf("%s/foreign/%s", place_home(), name);
    }
    struct guest_def lost = {.dir = dir, .throwaway = access(dir, F_OK) < 0};
    if (network_leave_all(name, lost.throwaway, &err) < 0)
        log_line("%s: its keeper died, and it is still in a network: %s", name, err.text);
    struct last_run last = {
        .how = ENDED_CRASH,
        .exit_status = -1,
        .when = time(NULL),
        .reason = "its keeper process was killed",
    };
    if (store_write_last(&lost, fd, &last, &err) < 0)
        log_line("%s: write down its end: %s", name, err.text);
    struct run_dir left = {fd, -1};
    run_dir_remove(name, &left);
}
