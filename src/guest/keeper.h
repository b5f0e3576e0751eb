/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper: the process that a running guest is.
 *
 *     pult start web1 ──fork──► keeper "pult: vm web1"   own session, no terminal, stderr = log
 *                                 ├ RUN/web1/           locked (flock) while it lives
 *                                 │   control           unix socket: requests, events, consoles
 *                                 │   console, status   the ring and the status page, mapped
 *                                 │   console.PORT      rings of what else can be attached to
 *                                 └ engine              in process: vCPU threads, or init as child
 *
 * The engine reports with keeper_started() and keeper_ended(); everything else is asked of it
 * by clients through the control protocol (docs/protocol.md). When the guest has ended, the
 * keeper gives everything back, writes down how it ended, and exits. If it is killed instead,
 * the next pult process finds the unlocked directory and cleans up (recover.h).
 *
 * In a keeper SIGTERM is blocked, and SIGHUP, SIGINT and SIGPIPE are ignored: what an engine
 * executes must get an empty mask and default actions first.
 */
#ifndef PULT_GUEST_KEEPER_H
#define PULT_GUEST_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "guest/console.h"
#include "guest/def.h"
#include "guest/engine.h"
#include "guest/status.h"
#include "guest/store.h"

struct confine_plan;

struct keeper {
    struct guest_def *def;
    struct event_base *base; /* libevent; one thread */
    struct console *console;
    struct status status;
    int run_dir; /* descriptor of RUN/NAME */
    char *run_path;
    void *engine_data;           /* the engine's own */
    bool raw_console;            /* the guest's terminal turns no \n into \r\n and echoes nothing */
    unsigned cols, rows;         /* the console's size */
    bool stop_asked, kill_asked; /* set before engine.stop() and engine.kill() are called */
    const char *snapshot;        /* to go on from it: its name; NULL: begin anew */
    const char *snapshot_dir;    /* and its directory */
    struct keeper_private *priv;
};

/* The guest runs. From the loop thread. */
void keeper_started(struct keeper *k);

/* The engine has frozen the guest by itself; why: one line for the list. From the loop thread. */
void keeper_frozen(struct keeper *k, const char *why);

/*
 * The guest is gone. Once per start, from the loop thread, also when it never came to run.
 * exit_status is 0..255, or -1 where it has none; reason, one line, may be NULL for a plain exit.
 */
void keeper_ended(struct keeper *k, enum guest_end how, int exit_status, const char *reason);

/* How far the snapshot is that is being taken; and its end: err NULL: it is whole. */
void keeper_snapshot_progress(struct keeper *k, uint64_t done, uint64_t total);
void keeper_snapshot_done(struct keeper *k, const struct error *why);

/*
 * A terminal, or another stream of bytes, that the guest has beside its console: clients attach to
 * it by this name, and the engine plugs itself in as into the console. It is made when it is first
 * asked for and lasts over reboots, as the console does. The first is the "second" terminal.
 * With `stream` it is none, but a way for programs.
 */
struct console *keeper_port(struct keeper *k, const char *name, bool stream, struct error *err);

/*
 * Let go of everything that the guest does not need any more (confine.h). From start() of an engine
 * that says so, when all is open and before the guest runs. The plan's directory is RUN/NAME.
 */
int keeper_confine(struct keeper *k, const struct confine_plan *plan, struct error *err);

/*
 * A stream connected to the socket RUN/NAME/`name`, "vsock_…", that does not block; a confined
 * keeper has it connected by its janitor (janitor.h). Returns a descriptor, or -1. From any thread.
 */
int keeper_connect(struct keeper *k, const char *name, struct error *err);

/*
 * Start a keeper for a guest: forks, waits until the guest runs or failed, and returns. On
 * success *control is a connected control socket that has subscribed to events. The calling
 * process must be single-threaded and small, such as a CLI command: the keeper is its copy.
 */
struct launch {
    bool raw_console;    /* the pty does not turn \n into \r\n, and echoes nothing: for pipes */
    unsigned cols, rows; /* first size of the console; 0: 80 × 24 */
    /*
     * Not NULL: *console becomes a socket with console bytes both ways, as of client_attach(),
     * attached before the guest starts: `pult run` misses nothing of a guest that lives for a
     * millisecond, and needs no second connection.
     */
    const struct console_reader *attach;
    int *console;
    int *exit_status; /* NULL, or: what a guest that could not be started has for one, else -1 */
    const char *snapshot;     /* go on from this one, which snapshot_check() found right */
    const char *snapshot_dir; /* and its directory */
    store_fill_fn *fill;      /* puts files into a throwaway guest's directory; may be NULL */
    void *fill_arg;
};
int keeper_launch(struct guest_def *def, const struct launch *how, int *control, struct error *err);

#endif
