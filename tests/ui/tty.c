/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See tty.h. */
#include "tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vterm.h>

#include "base/util.h"
#include "ui/cell.h"

static void answer(const char *s, size_t len, void *user)
{
    struct tty *t = user;
    if (write(t->fd, s, len) < 0)
        t->ended = true;
}

static int damage(VTermRect rect, void *user)
{
    struct tty *t = user;
    t->changed_top += rect.start_row == 0;
    t->changed_rest += rect.end_row > 1;
    return 1;
}

static const VTermScreenCallbacks callbacks = {.damage = damage};

static const char *program(void)
{
    static char path[4096];
    const char *p = getenv("PULT"), *b = getenv("B"), *top = getenv("TOP");
    if (p)
        return p;
    snprintf(path, sizeof path, "%s/%s/pult", top ? top : PULT_SOURCE, b ? b : "build");
    return path;
}

struct tty *tty_start(int cols, int rows, const char *term, const char *env, char *const *argv)
{
    static char *const alone[] = {(char *)"pult", NULL};
    struct tty *t = xcalloc(1, sizeof *t);
    struct winsize w = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
    *t = (struct tty){.rows = rows, .cols = cols};
    t->vt = vterm_new(rows, cols);
    vterm_set_utf8(t->vt, 1);
    vterm_output_set_callback(t->vt, answer, t);
    t->screen = vterm_obtain_screen(t->vt);
    vterm_screen_enable_altscreen(t->screen, 1);
    vterm_screen_set_callbacks(t->screen, &callbacks, t);
    vterm_screen_set_damage_merge(t->screen, VTERM_DAMAGE_CELL);
    vterm_screen_reset(t->screen, 1);
    t->pid = forkpty(&t->fd, NULL, NULL, &w);
    if (t->pid == 0) {
        setenv("TERM", term, 1);
        setenv("LC_ALL", "C.UTF-8", 1);
        unsetenv("NO_COLOR");
        if (env)
            putenv(strdup(env));
        execv(program(), argv ? argv : alone);
        perror(program());
        _exit(127);
    }
    fcntl(t->fd, F_SETFD, FD_CLOEXEC);
    fcntl(t->fd, F_SETFL, O_NONBLOCK);
    return t;
}

void tty_resize(struct tty *t, int cols, int rows)
{
    struct winsize w = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
    t->cols = cols;
    t->rows = rows;
    vterm_set_size(t->vt, rows, cols);
    ioctl(t->fd, TIOCSWINSZ, &w);
}

void tty_send(struct tty *t, const char *keys)
{
    size_t len = strlen(keys);
    while (len > 0 && !t->ended) {
        ssize_t n = write(t->fd, keys, len);
        if (n > 0) {
            keys += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN && errno != EINTR) {
            return;
        } else {
            tty_pump(t, 10, 10);
        }
    }
}

/* Take in what is there, waiting ms for the first of it. False if nothing came. */
static bool take(struct tty *t, int ms)
{
    static char buf[65536];
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    if (t->ended || poll(&p, 1, ms) <= 0)
        return false;
    ssize_t n = read(t->fd, buf, sizeof buf);
    if (n <= 0) {
        t->ended = n == 0 || errno == EIO;
        return false;
    }
    t->bytes += (size_t)n;
    if (t->raw_len + (size_t)n > sizeof t->raw)
        t->raw_len = 0;
    memcpy(t->raw + t->raw_len, buf, (size_t)n);
    t->raw_len += (size_t)n;
    vterm_input_write(t->vt, buf, (size_t)n);
    return true;
}

void tty_pump(struct tty *t, int ms, int quiet_ms)
{
    uint64_t end = now_mono_ns() + (uint64_t)ms * 1000000;
    while (now_mono_ns() < end && take(t, quiet_ms))
        ;
}

char *tty_row(struct tty *t, int row)
{
    char *out = xcalloc((size_t)t->cols * VTERM_MAX_CHARS_PER_CELL + 1, 4);
    size_t n = 0, end = 0;
    for (int col = 0; col < t->cols; col++) {
        VTermScreenCell c;
        vterm_screen_get_cell(t->screen, (VTermPos){row, col}, &c);
        if (c.chars[0] == (uint32_t)-1)
            continue;
        n += utf8_put(out + n, c.chars[0] ? c.chars[0] : ' ');
        for (int k = 1; k < VTERM_MAX_CHARS_PER_CELL && c.chars[0] && c.chars[k]; k++)
            n += utf8_put(out + n, c.chars[k]);
        if (c.chars[0] && c.chars[0] != ' ')
            end = n;
    }
    out[end] = '\0';
    return out;
}

static bool row_has(struct tty *t, int row, const char *text)
{
    char *line = tty_row(t, row);
    bool has = strstr(line, text) != NULL;
    free(line);
    return has;
}

bool tty_has(struct tty *t, const char *text)
{
    for (int row = 0; row < t->rows; row++) {
        if (row_has(t, row, text))
            return true;
    }
    return false;
}

/* row -1: any. */
static bool wait_for(struct tty *t, int row, const char *text, bool there)
{
    uint64_t end = now_mono_ns() + TTY_MS * 1000000ull;
    for (;;) {
        if ((row < 0 ? tty_has(t, text) : row_has(t, row, text)) == there)
            return true;
        uint64_t now = now_mono_ns();
        if (t->ended || now >= end)
            return false;
        take(t, (int)((end - now) / 1000000) + 1);
    }
}

bool tty_wait(struct tty *t, const char *text)
{
    return wait_for(t, -1, text, true);
}

bool tty_wait_row(struct tty *t, int row, const char *text)
{
    return wait_for(t, row, text, true);
}

bool tty_wait_gone(struct tty *t, const char *text)
{
    return wait_for(t, -1, text, false);
}

int tty_wait_end(struct tty *t)
{
    uint64_t end = now_mono_ns() + TTY_MS * 1000000ull;
    while (t->pid > 0 && now_mono_ns() < end) {
        if (!take(t, 20) && waitpid(t->pid, &t->status, WNOHANG) == t->pid)
            t->pid = 0;
    }
    if (t->pid > 0)
        return -1;
    return WIFSIGNALED(t->status) ? 128 + WTERMSIG(t->status) : WEXITSTATUS(t->status);
}

void tty_dump(struct tty *t)
{
    for (int row = 0; row < t->rows; row++) {
        char *line = tty_row(t, row);
        fprintf(stderr, "# |%s\n", line);
        free(line);
    }
}

int tty_hang_up(struct tty *t)
{
    close(t->fd);
    for (int i = 0; t->pid > 0 && i < TTY_MS / 10; i++) {
        if (waitpid(t->pid, &t->status, WNOHANG) == t->pid)
            t->pid = 0;
        else
            poll(NULL, 0, 10);
    }
    if (t->pid > 0) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, &t->status, 0);
    }
    int status = t->status;
    vterm_free(t->vt);
    free(t);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void tty_close(struct tty *t)
{
    tty_hang_up(t);
}
