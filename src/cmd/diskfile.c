/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of the `pult disk` verbs; diskfile.h. */
#include "cmd/diskfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define METER_NS 100000000u /* between two looks of the meter */

/* ---- formats ---- */

static int unknown_format(const char *format, struct error *err)
{
    size_t n = 0;
    while (disk_formats[n])
        n++;
    const char *near = str_nearest(format, disk_formats, n);
    error_set(err, 0, "there is no disk format '%s'; there are raw and qcow2", format);
    return near ? error_hint(err, "did you mean %s?", near) : -1;
}

const char *disk_file_format(const char *path, const char *given, struct error *err)
{
    static const char *const names[][2] = {{".raw", "raw"},
                                           {".img", "raw"},
                                           {".qcow2", "qcow2"},
                                           {".qcow", "qcow2"}};
    for (size_t i = 0; given && disk_formats[i]; i++)
        if (strcmp(disk_formats[i], given) == 0)
            return disk_formats[i];
    if (given) {
        unknown_format(given, err);
        return NULL;
    }
    size_t len = strlen(path);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t n = strlen(names[i][0]);
        if (len > n && strcmp(path + len - n, names[i][0]) == 0)
            return names[i][1];
    }
    error_set(err, 0, "the name of '%s' does not say its format", path);
    error_hint(err, "say it with an option, and do not trust what a guest wrote into it");
    return NULL;
}

int disk_file_split(const char *text, char **path, const char **format, struct error *err)
{
    const char *comma = strrchr(text, ',');
    *path = NULL;
    if (comma && str_starts(comma, ",format=") && comma > text) {
        *format = disk_file_format("", comma + strlen(",format="), err);
        *path = xstrndup(text, (size_t)(comma - text));
    } else {
        *format = disk_file_format(text, NULL, err);
        *path = xstrdup(text);
    }
    if (*format)
        return 0;
    free(*path);
    *path = NULL;
    return error_wrap(err, "--backing");
}

/* ---- a file with what it is based on ---- */

int disk_file_parse(const struct cmd_args *a, const char *path, const char *format_option,
                    struct disk_file *f, struct error *err)
{
    size_t n = 0;
    *f = (struct disk_file){.spec = {.path = path}};
    while (cmd_opt_nth(a, "backing", (int)n))
        n++;
    f->texts = xcalloc(n + 1, sizeof *f->texts);
    f->backing = xcalloc(n + 1, sizeof *f->backing);
    f->spec.format = disk_file_format(path, cmd_opt(a, format_option), err);
    if (f->spec.format == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct disk_spec *s = &f->backing[i];
        if (disk_file_split(cmd_opt_nth(a, "backing", (int)i), &f->texts[i], &s->format, err) < 0)
            return -1;
        s->path = f->texts[i];
        *(i == 0 ? &f->spec.backing : &f->backing[i - 1].backing) = s;
    }
    if (cmd_opt(a, "own-backing")) {
        if (n > 0)
            return error_set(err, 0, "--backing and --own-backing say different things");
        f->spec.flags |= DISK_OWN_BACKING;
    }
    return 0;
}

void disk_file_clear(struct disk_file *f)
{
    strv_free(f->texts);
    free(f->backing);
    *f = (struct disk_file){0};
}

int disk_file_open(const struct disk_file *f, unsigned flags, struct disk **out, struct error *err)
{
    struct disk_spec spec = f->spec;
    spec.flags |= flags;
    return disk_open(&spec, out, err);
}

/* ---- progress ---- */

static volatile sig_atomic_t got_signal;

static void note_signal(int sig)
{
    got_signal = sig;
}

void disk_cancellable(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {.sa_handler = note_signal};
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        sigaction(signals[i], &sa, NULL);
}

bool disk_cancelled(void *arg)
{
    (void)arg;
    return got_signal != 0;
}

static int meter_fd = -1;

void disk_meter_take(void)
{
    const char *number = getenv(METER_ENV);
    int64_t fd;
    if (number && number_parse(number, 3, 1024, &fd, NULL) == 0 &&
        fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0)
        meter_fd = (int)fd;
    unsetenv(METER_ENV);
}

bool disk_meter(void *arg, uint64_t done, uint64_t total)
{
    struct disk_meter *m = arg;
    uint64_t now = now_mono_ns();
    if (m->shown_ns == 0) /* what is done at once shows nothing */
        m->shown_ns = now;
    if (meter_fd >= 0 && now - m->shown_ns >= METER_NS) {
        dprintf(meter_fd, "%u\n", total ? (unsigned)((double)done * 100 / (double)total) : 100);
        m->shown_ns = now;
        return disk_cancelled(NULL);
    }
    if (isatty(STDERR_FILENO) && now - m->shown_ns >= METER_NS) {
        const unsigned percent = total ? (unsigned)((double)done * 100 / (double)total) : 100;
        char of[8], so_far[8], bar[21];
        size_human(done, so_far);
        size_human(total, of);
        for (unsigned i = 0; i < 20; i++)
            bar[i] = i * 5 < percent ? '#' : '-';
        bar[20] = '\0';
        if (m->percent)
            fprintf(stderr, "\r%s: [%s] %3u %% \033[K", m->what, bar, percent);
        else
            fprintf(stderr, "\r%s: %3u %%, %s of %s \033[K", m->what, percent, so_far, of);
        m->shown_ns = now;
        m->drawn = true;
    }
    return disk_cancelled(NULL);
}

void disk_meter_end(struct disk_meter *m)
{
    if (m->drawn)
        fputs("\r\033[K", stderr);
    m->drawn = false;
}

/* Who calls us in a loop must see that it was interrupted. */
int disk_fail(const struct cmd_args *a, const struct error *err)
{
    if (got_signal == 0)
        return cmd_fail(a, err);
    struct error cancelled;
    error_set(&cancelled, 0, "cancelled; nothing was left half-done");
    cmd_fail(a, &cancelled);
    fflush(NULL);
    signal(got_signal, SIG_DFL);
    raise(got_signal);
    return EXIT_FAILED;
}
