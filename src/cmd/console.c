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

/* Be at the console, or at another terminal. */
static int attend(const struct cmd_args *a, const char *name, const char *port, int fd)
{
    struct error err = {0};
    bool tty = terminal_here();
    struct session s = {
        .name = name,
        .port = port,
        .there = fd,
        .control = -1,
        .tty = tty,
        .prefix = tty && !cmd_opt(a, "no-prefix"),
        .resized = session_resize_console,
    };
    enum session_end how;
    if (port && tty)
        fprintf(stderr, "[a terminal of '%s'; if it is silent, the guest needs a getty there]\n",
                name);
    if (s.prefix)
        console_hint(name);
    if (session_run(&s, &how, &err) < 0)
        return cmd_fail(a, &err);
    if (tty)
        fprintf(stderr, how == SESSION_OVER ? "\n['%s' has ended]\n" : "\n[left '%s']\n", name);
    return how == SESSION_SIGNAL ? 128 + s.signal : EXIT_OK;
}

int console_session(const struct cmd_args *a, const char *name, int console)
{
    return attend(a, name, NULL, console);
}

static int console_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *name = cmd_pos(a, 0), *history = cmd_opt(a, "history"), *port = cmd_opt(a, "port");
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
    cleanup_close int console = client_attach(name, port, &how, cols, rows, &err);
    if (console < 0)
        return cmd_fail(a, &err);
    return attend(a, name, port, console);
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
            {"port", 'p', "PORT", false,
             "not the console, but another terminal of it, or port of a VM"},
            {"no-prefix", 0, NULL, false, "every key goes to the guest, Ctrl-] too"},
            {0},
        },
    .help = "enter the console of a running guest",
    .detail = "What the guest printed last is shown first. Every key goes to the guest but\n"
              "Ctrl-]; after it d (or Ctrl-] again) leaves, ] sends Ctrl-] itself, X kills the\n"
              "guest, ? shows this. Leaving does nothing to the guest, and several may look at\n"
              "the same console. Without a terminal the console is copied to standard output\n"
              "until the guest ends.\n\n"
              "A container has as many more as its lxc.tty.max says: --port tty1 and so on.\n"
              "A VM has a second terminal, for another shell: --port second. In the guest it is\n"
              "hvc0, where systemd starts a getty by itself; with vm.console = virtio it is\n"
              "hvc1, where `systemctl enable --now serial-getty@hvc1` does. The ports that\n"
              "vm.port.0 and so on name are reached by their names: streams of bytes, which go\n"
              "to /dev/virtio-ports/NAME in the guest.\n\n"
              "  pult console web1 --port second\n"
              "  pult console web1 --port org.example.agent <requests >answers",
    .safe = true,
    .states = ON_ALIVE,
    .run = console_run,
};
