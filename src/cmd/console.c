/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult console: enter a guest's console; and the same for those verbs that end there. */
#include "cmd/console.h"

#include <signal.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/session.h"
#include "cmd/table.h"
#include "cmd/terminal.h"
#include "guest/client.h"

#define HISTORY "64K" /* of the past that is shown first: some screens of text */

void console_hint(const char *name)
{
    if (terminal_here())
        fprintf(stderr, "[the console of '%s'; Ctrl-] d leaves it, Ctrl-] ? tells more]\n", name);
}

int console_session(const struct cmd_args *a, const char *name, int console)
{
    struct error err = {0};
    bool tty = terminal_here();
    struct session s = {
        .name = name,
        .there = console,
        .control = -1,
        .tty = tty,
        .prefix = tty,
        .resized = session_resize_console,
    };
    enum session_end how;
    console_hint(name);
    if (session_run(&s, &how, &err) < 0)
        return cmd_fail(a, &err);
    if (tty)
        fprintf(stderr, how == SESSION_OVER ? "\n['%s' has ended]\n" : "\n[left '%s']\n", name);
    return how == SESSION_SIGNAL ? 128 + s.signal : EXIT_OK;
}

static int console_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *name = cmd_pos(a, 0), *history = cmd_opt(a, "history");
    uint64_t bytes;
    if (size_parse(history ? history : HISTORY, &bytes, &err) < 0)
        return cmd_usage(a, "--history: %s", err.text);
    cleanup_close int control = ask_connect(name, &err); /* for its error messages */
    if (control < 0)
        return cmd_fail(a, &err);

    struct console_reader how = {.history = min(bytes, (uint64_t)CONSOLE_RING_MAX),
                                 .mute = cmd_opt(a, "read-only") != NULL};
    unsigned cols = 0, rows = 0;
    if (terminal_here() && !how.mute)
        terminal_size(&cols, &rows);
    cleanup_close int console = client_attach(name, &how, cols, rows, &err);
    if (console < 0)
        return cmd_fail(a, &err);
    return console_session(a, name, console);
}

const struct command cmd_console = {
    .name = "console",
    .alias = "attach",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            {"history", 'H', "SIZE", false, "show at most so much of the past first (" HISTORY ")"},
            {"read-only", 'r', NULL, false, "only look: what is typed is thrown away"},
            {0},
        },
    .help = "enter the console of a running guest",
    .detail = "What the guest printed last is shown first. Every key goes to the guest but\n"
              "Ctrl-]; after it d (or Ctrl-] again) leaves, ] sends Ctrl-] itself, X kills the\n"
              "guest, ? shows this. Leaving does nothing to the guest, and several may look at\n"
              "the same console. Without a terminal the console is copied to standard output\n"
              "until the guest ends.",
    .safe = true,
    .states = ON_ALIVE,
    .run = console_run,
};
