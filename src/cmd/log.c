/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult log: what a guest printed on its console, as text, running or not. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/table.h"
#include "guest/client.h"
#include "guest/console.h"
#include "guest/store.h"

/* The last `lines` lines of a text; a last line without an end counts. */
static const char *tail(const char *data, size_t len, int64_t lines)
{
    const char *p = data + len;
    if (lines > 0 && p > data && p[-1] == '\n')
        p--;
    while (p > data && (p[-1] != '\n' || --lines > 0))
        p--;
    return p;
}

/* Print what can be printed of buf: whole lines, or all of it. Returns how much was taken. */
static size_t put_lines(char *buf, size_t len, bool raw, bool all)
{
    const char *newline = memrchr(buf, '\n', len);
    size_t n = all || raw ? len : newline ? (size_t)(newline + 1 - buf) : 0;
    fwrite(buf, 1, raw ? n : console_plain(buf, n), stdout);
    fflush(stdout);
    return n;
}

/* Go on with what the guest prints, line by line, until it ends or nobody reads any more. */
static int follow(const char *name, size_t history, bool raw, struct error *err)
{
    static char buf[64 * 1024];
    size_t len = 0;
    struct console_reader how = {.history = history, .mute = true};
    cleanup_close int fd = client_attach(name, NULL, &how, 0, 0, err);
    if (fd < 0)
        return -1;
    for (;;) {
        struct pollfd p[] = {{fd, POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
        if (poll(p, ARRAY_SIZE(p), -1) < 0)
            continue;
        if (p[1].revents & (POLLERR | POLLHUP))
            return 0; /* nobody reads any more */
        ssize_t n = read(fd, buf + len, sizeof buf - len);
        len += n > 0 ? (size_t)n : 0;
        size_t used = put_lines(buf, len, raw, n <= 0 || len == sizeof buf);
        memmove(buf, buf + used, len - used);
        len -= used;
        if (n <= 0)
            return 0;
    }
}

static int log_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *name = cmd_pos(a, 0), *lines_text = cmd_opt(a, "lines");
    bool raw = cmd_opt(a, "raw") != NULL;
    int64_t lines = 0;
    if (lines_text && number_parse(lines_text, 0, INT64_MAX, &lines, &err) < 0)
        return cmd_usage(a, "--lines: %s", err.text);

    struct guest_info info = {0};
    if (store_info(name, &info, &err) < 0)
        return cmd_fail(a, &err);
    bool alive = state_alive(info.state);
    guest_info_clear(&info);
    if (cmd_opt(a, "follow") && alive && lines_text == NULL)
        return follow(name, CONSOLE_RING_MAX, raw, &err) < 0 ? cmd_fail(a, &err) : EXIT_OK;

    cleanup_free char *data = NULL;
    size_t len;
    if (store_console(name, &data, &len, &err) < 0)
        return cmd_fail(a, &err);
    if (!raw)
        len = console_plain(data, len);
    const char *from = lines_text ? tail(data, len, lines) : data;
    fwrite(from, 1, (size_t)(data + len - from), stdout);
    if (cmd_opt(a, "follow") && alive && follow(name, 0, raw, &err) < 0)
        return cmd_fail(a, &err);
    return EXIT_OK;
}

const struct command cmd_log = {
    .name = "log",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            {"lines", 'n', "COUNT", false, "only the last so many lines"},
            {"follow", 'f', NULL, false, "go on with what the guest prints until it ends"},
            {"raw", 'r', NULL, false, "with all escape sequences, as it was printed"},
            {0},
        },
    .help = "print what a guest printed on its console",
    .detail = "Of a guest that is not running it is what its last run printed; how much is kept\n"
              "says the key guest.console.history of its definition (1M).",
    .safe = true,
    .states = ON_ANY,
    .run = log_run,
};
