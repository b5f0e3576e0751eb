/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult run: a guest for once. It is defined in memory, started with its console attached, and
 * gone when it ends; its exit status is this command's.
 *
 * On a terminal the user is at its console and may leave it, and losing the terminal does
 * nothing to it. Without one it is a command in a pipe: every byte is passed on, the end of
 * standard input reaches the guest, and a signal that ends pult, or a reader that went away, ends
 * the guest.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/console.h"
#include "cmd/newdisk.h"
#include "cmd/newguest.h"
#include "cmd/session.h"
#include "cmd/table.h"
#include "cmd/terminal.h"
#include "guest/client.h"
#include "guest/keeper.h"
#include "guest/store.h"

#define END_MS 30000 /* from the end of the console to that of the keeper */

/* SIGINT and SIGTERM end the guest, and then the session ends by itself. */
static bool end_guest(struct session *s, int sig)
{
    struct error err;
    if (sig == SIGHUP && s->tty)
        return false;
    return client_ask(s->name, json_pack("{s:s}", "cmd", "kill"), ASK_MS, NULL, &err) == 0;
}

static bool note_end(struct session *s, const json_t *event)
{
    ended_event(event, s->arg);
    return false; /* the console's own end comes after its last byte */
}

/* What this command ends with, now that the guest did. */
static int status_of(const struct cmd_args *a, const struct session *s,
                     const struct guest_ended *end)
{
    struct error err;
    if (s->signal)
        return 128 + s->signal;
    if (end->killed)
        return 128 + SIGKILL;
    if (end->exit_status >= 0)
        return end->exit_status;
    if (end->known && !end->crashed)
        return EXIT_OK;
    error_set(&err, 0, "'%s' ended: %s", s->name,
              end->known ? end->reason : "its keeper died and did not say how");
    return cmd_fail(a, &err);
}

/* Be at the console until the guest ends or the user leaves. */
static int attend(const struct cmd_args *a, const char *name, bool bare, int console, int control)
{
    struct error err = {0};
    struct guest_ended end = {.exit_status = -1};
    bool tty = terminal_here();
    struct session s = {
        .name = name,
        .there = console,
        .control = control,
        .tty = tty,
        .prefix = tty,
        .end_of_input = !tty && !bare,
        .resized = session_resize_console,
        .asked_to_end = end_guest,
        .event = note_end,
        .arg = &end,
    };
    enum session_end how;
    console_hint(name);
    if (session_run(&s, &how, &err) < 0)
        return cmd_fail(a, &err);
    if (how == SESSION_LEFT) {
        fprintf(stderr, "\n[left '%s': `pult console %s` enters it again]\n", name, name);
        return EXIT_OK;
    }
    if (how == SESSION_CLOSED) {
        s.signal = SIGPIPE;
        shutdown(console, SHUT_RDWR); /* or the guest would wait for us to read */
        end_guest(&s, SIGPIPE);
    }
    if (how == SESSION_SIGNAL)
        return 128 + s.signal;
    if (!end.known && ended_wait(control, END_MS, &end, &err) < 0)
        return cmd_fail(a, &err);
    return status_of(a, &s, &end);
}

/*
 * Fill the guest's directory. From then on a signal waits for the session, which ends the guest with
 * this command: between the keeper's birth and the session, it would end the command alone.
 */
static int fill(void *arg, const char *dir, struct error *err)
{
    const struct new_guest *g = arg;
    sigset_t ends;
    if (g->template && new_guest_fill(arg, dir, err) < 0)
        return -1;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return 0;
}

/* Does a VM run a command, or a system of its own? */
static bool runs_command(const struct conf *conf)
{
    return new_guest_on_files(conf) || (new_guest_on_disk(conf) && conf_get(conf, "vm.command"));
}

/* Start what was defined. The definition is the launched keeper's, and freed here. */
static int launch(const struct cmd_args *a, const char *name, struct new_guest *g)
{
    struct error err = {0};
    cleanup_def struct guest_def *def = NULL;
    bool bare = str_eq(g->engine->type, "vm") && !runs_command(g->conf);
    if (store_init(&err) < 0 || store_throwaway(name, steal_ptr(g->conf), &def, &err) < 0)
        return cmd_fail(a, &err);
    bool tty = terminal_here(), detach = cmd_opt(a, "detach") != NULL;
    cleanup_close int control = -1, console = -1;
    struct console_reader reader = {.every_byte = !tty};
    int never_ran = -1; /* 127 and 126, as shells have it: no such command, or not executable */
    struct launch how = {
        .exit_status = &never_ran,
        .raw_console = !tty && !detach,
        .attach = detach ? NULL : &reader,
        .console = &console,
        .fill = fill,
        .fill_arg = g,
    };
    if (tty)
        terminal_size(&how.cols, &how.rows);
    if (keeper_launch(def, &how, &control, &err) < 0) {
        cmd_fail(a, &err);
        return never_ran >= 0 ? never_ran : EXIT_FAILED;
    }
    if (detach) {
        puts(name);
        return EXIT_OK;
    }
    /* The command in a throwaway VM reads a pipe to its end, and a system's login does not. */
    return attend(a, name, bare, console, control);
}

/* An option of the other kind of guest, or NULL. */
static const char *wrong_option(const struct cmd_args *a, bool vm)
{
    static const char *const of_vm[] = {"kernel",   "initrd", "append", "disk",
                                        "snapshot", "share",  "rw"};
    if (vm)
        return cmd_opt(a, "rootfs") ? "rootfs" : NULL;
    for (size_t i = 0; i < ARRAY_SIZE(of_vm); i++)
        if (cmd_opt(a, of_vm[i]))
            return of_vm[i];
    return NULL;
}

/* A VM with a system of its own: what is for a throwaway one of this machine means nothing to it. */
static int check_bare(const struct cmd_args *a, const struct conf *conf)
{
    if (cmd_rest(a) && !new_guest_on_disk(conf))
        return cmd_usage(a, "a VM takes a command only when it runs on this machine's files, or "
                            "boots from its disk: leave out --initrd and the like");
    return cmd_opt(a, "rw") ? cmd_usage(a, "--rw is for a VM on this machine's files") : EXIT_OK;
}

static int run_run(const struct cmd_args *a)
{
    struct error err = {0};
    bool vm = cmd_opt(a, "vm") != NULL;
    const char *wrong = wrong_option(a, vm), *name = cmd_opt(a, "name");
    if (cmd_pos(a, 0) && !vm)
        return cmd_usage(a, "'%s' would be an image for --vm; put -- before the command",
                         cmd_pos(a, 0));
    if (wrong)
        return cmd_usage(a, "--%s is for a %s", wrong, vm ? "container" : "VM: add --vm");

    char fresh[GUEST_NAME_MAX + 1];
    if (name == NULL && store_fresh_name("tmp", fresh, &err) < 0)
        return cmd_fail(a, &err);
    struct new_guest g;
    int status = new_guest(a, vm ? "vm" : "container", true, &g);
    if (status == EXIT_OK && vm && !new_guest_on_files(g.conf))
        status = check_bare(a, g.conf);
    if (status == EXIT_OK)
        status = launch(a, name ? name : fresh, &g);
    new_guest_clear(&g);
    return status;
}

const struct command cmd_run = {
    .name = "run",
    .args = "[IMAGE] [-- COMMAND...]",
    .max = 1,
    .rest = true,
    .options =
        (const struct cmd_option[]){
            {"name", 'n', "NAME", false, "call it so, not tmp-SOMETHING"},
            {"detach", 'd', NULL, false, "do not attach: print its name and return"},
            OPTION_ROOTFS,
            {"vm", 0, NULL, false, "a virtual machine, not a container"},
            OPTION_KERNEL,
            OPTION_INITRD,
            OPTION_APPEND,
            OPTION_DISK,
            OPTION_SNAPSHOT,
            OPTION_SHARE,
            OPTION_NET,
            {"rw", 0, NULL, false, "a VM may change the working directory; else it forgets"},
            OPTION_MEMORY,
            OPTION_CPUS,
            OPTION_CONFIG,
            OPTION_SET,
            {0},
        },
    .help = "run a guest for once: attached, and gone afterwards",
    .detail =
        "Without --rootfs the container is a throwaway copy of this very machine: all files\n"
        "are there, all may be changed, nothing of it stays and the host sees none of it. A\n"
        "directory given as --rootfs is not written to either. Without COMMAND it is a shell,\n"
        "with --rootfs the /sbin/init of that.\n\n"
        "With --vm it is a virtual machine of this machine: its newest kernel (or --kernel) on\n"
        "its files, where again all may be changed and nothing stays, the working directory\n"
        "included unless --rw is given. COMMAND, or a shell, is run there as root. With\n"
        "--initrd, or --set vm.rootfs=none for a kernel alone, it runs what it is given.\n\n"
        "IMAGE is a disk for the VM to boot from, and nothing of what is written to it stays.\n"
        "Options may follow its name as in --disk. The newest kernel of this machine (or\n"
        "--kernel) mounts the largest file system on it that has an init, or what\n"
        "--append root=LABEL=NAME (UUID=ID, /dev/vda2) names, and runs that init, or COMMAND. A "
        "--disk\n"
        "without --kernel is booted in the same way, and keeps what is written.\n\n"
        "There is no network unless --net asks for one: `--net user` reaches what this host\n"
        "reaches, and needs no rights. Where a COMMAND is run its address is set up by DHCP\n"
        "before; a system on a disk sees to that by itself.\n\n"
        "On a terminal Ctrl-] d leaves it running; `pult console` comes back. Without a\n"
        "terminal the console is copied to standard output, unchanged and complete, and\n"
        "SIGINT, SIGTERM and a closed standard output end the guest. The exit status is the\n"
        "guest's; 1 if it crashed.\n\n"
        "  pult run\n"
        "  pult run -- apt-get -s dist-upgrade | less\n"
        "  pult run --vm -- uname -a\n"
        "  pult run --vm --net user -- apt-get update\n"
        "  pult run --vm --kernel arch/x86/boot/bzImage --rw -- make kselftest\n"
        "  pult run --vm debian.qcow2\n"
        "  pult run --vm debian.qcow2 -- dpkg -l\n"
        "  pult run --vm --kernel vmlinuz --initrd initrd.img --append console=ttyS0",
    .safe = true,
    .run = run_run,
};
