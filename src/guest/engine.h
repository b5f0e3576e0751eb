/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a kind of guest must be able to do.
 *
 * An engine is one const struct of functions. All but check(), recover() and doctor() run in the
 * guest's keeper (keeper.h), in its one loop thread, and must not block there: an engine that has
 * to wait starts something and returns. An engine knows nothing of who asks. main.c hands the
 * list of engines over with engines_set(); nobody else names one.
 *
 *      keeper                         engine
 *        start()  ───────────────────►  creates the guest; plugs its console in (console.h)
 *                 ◄── keeper_started()  the guest runs (may be called inside start())
 *        freeze() thaw() stop() kill() resize() send() exec() … as clients ask
 *                 ◄── keeper_ended()    the guest is gone: how, and with what status
 *        cleanup() ──────────────────►  everything of it is given back
 *
 * Where keeper->snapshot is set, start() lets the guest go on from there.
 *
 * After a reboot (ENDED_REBOOT) the keeper calls cleanup() and start() again, or restart(): a guest
 * that reboots is a fresh one with the same console.
 */
#ifndef PULT_GUEST_ENGINE_H
#define PULT_GUEST_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/conf.h"
#include "base/error.h"

struct guest_def;
struct option;
struct options;
struct keeper;
struct doctor;
struct status_page;

/* What can be sent to a guest's console besides bytes. */
enum console_signal { CONSOLE_BREAK, CONSOLE_CTRL_ALT_DEL };

/* What a running guest is given, or what is taken from it: one of the two. */
struct plug_request {
    const char *entry; /* a part of the host's files or a device: a line of lxc.mount.entry */
    const char *net;   /* a network card: a value of guest.net.N, or phys=INTERFACE of the host's;
                        * when it is taken away: its name in the guest */
    char name[16];     /* of a card, in the guest: what it shall be called, or ""; filled in */
    /* Filled in: the key of the definition that it is, and its value, if it has one (freed by the
       caller). */
    char key[32], *value;
};

/* A command to be run inside a guest (containers). Strings are UTF-8 and owned by the caller. */
struct exec_request {
    char **argv;      /* NULL-terminated, at least one */
    char **env;       /* NULL-terminated "NAME=value" put on top of the guest's own; may be NULL */
    const char *cwd;  /* NULL: / */
    const char *user; /* NULL: root; a name of the guest's, or "UID[:GID]" */
    bool tty;         /* allocate a terminal of the guest's: *master is set */
    unsigned cols, rows; /* of that terminal; 0: not known */
    int stdio[3];        /* without tty: become 0, 1, 2 of the command; -1: /dev/null */
};

/* What is known of a guest's memory that can be taken away and given back. Bytes. */
#define GUEST_MEMORY_FIGURES 12
struct guest_memory {
    uint64_t size;   /* what it was started with */
    uint64_t wanted; /* what it was asked to be content with */
    uint64_t left;   /* what it has now */
    bool driver;     /* it can be asked at all */
    unsigned count;  /* what it says of itself */
    struct guest_memory_figure {
        const char *name; /* "available" */
        uint64_t value;
    } figures[GUEST_MEMORY_FIGURES];
};

/* How far something is, in bytes; asked often. true: give up. */
typedef bool engine_progress_fn(void *arg, uint64_t done, uint64_t total);

/* What a new guest's directory is filled with. */
struct guest_source {
    const char *name; /* the guest's */
    const struct guest_template *template;
    const char *source;            /* what the template is given; "": nothing */
    const struct options *options; /* of the template's */
    engine_progress_fn *progress;  /* may be NULL */
    void *arg;
};

/* One way in which a guest's files come to be: `create --template NAME:SOURCE,OPTION=VALUE`. */
struct guest_template {
    const char *name;
    const char *source;           /* what it is: "DIR"; NULL: it takes none */
    bool optional;                /* … or may do without */
    const struct option *options; /* base/options.h; the first has no name: NAME:SOURCE */
    const char *help;             /* one line */
    /*
     * Fill the directory, and add to conf what the guest needs. May take long, gives up when told
     * so; who calls removes what there is after a failure.
     */
    int (*make)(const struct guest_source *s, const char *dir, struct conf *conf,
                struct error *err);
};

/* Another guest like this one, as it is (and does not run) or as it was in a snapshot. */
enum clone_how {
    CLONE_COPY,
    CLONE_SHARE,   /* blocks are shared, by the file system, or it fails */
    CLONE_OVERLAY, /* all is shared but what is written from then on; the guest is needed */
};
struct engine_clone {
    const struct guest_def *def;
    const char *name;                    /* what the new one is called */
    enum clone_how how;                  /* not CLONE_COPY: only for kinds that are files */
    const char *new_dir;                 /* that of the other, once it is there */
    const char *snapshot, *snapshot_dir; /* NULL: as it is */
    engine_progress_fn *progress;        /* may be NULL */
    void *arg;
};

/*
 * What a kind of guest needs for snapshots (snapshot.h): states of a running guest in
 * GUEST/snapshots/NAME, a directory in which the engine has files of its own.
 */
struct engine_snapshots {
    /*
     * Of a kind whose guests are nothing but files: copy them into dir (*size: what that takes), and
     * put a copy back. Run by a command while the guest stands still. Then files, take and cancel
     * are NULL.
     */
    int (*copy)(const struct guest_def *def, const char *dir, uint64_t *size,
                engine_progress_fn *progress, void *arg, struct error *err);
    int (*back)(const struct guest_def *def, const char *dir, engine_progress_fn *progress,
                void *arg, struct error *err);
    /* May files be put back as things are? Asked before the guest is ended for it; changes nothing. */
    int (*may_go_back)(const struct guest_def *def, struct error *err);
    /*
     * The names of these files: a NULL-terminated array for strv_free(). -1: this guest cannot have
     * snapshots, and why. Called before anything else is done.
     */
    int (*files)(const struct guest_def *def, char ***names, struct error *err);
    /*
     * Take one: the files are there, empty and in that order, open for reading and writing until
     * keeper_snapshot_done(), which follows in each case in which this returns 0.
     */
    int (*take)(struct keeper *k, const char *name, const int *files, struct error *err);
    /* Give it up: keeper_snapshot_done() is called before this returns. */
    void (*cancel)(struct keeper *k);
    /* Can a guest of this definition go on from it? dir: the snapshot's. Changes nothing. */
    int (*check)(const struct guest_def *def, const char *name, const char *dir, struct error *err);
    /*
     * Remove what is kept of a snapshot outside of its directory; where there is nothing, that is
     * no failure. k: NULL, or the keeper in which the guest runs.
     */
    int (*forget)(const struct guest_def *def, struct keeper *k, const char *name,
                  struct error *err);
};

/*
 * Guests of another program's that this engine can run, where they are: PLACE/NAME/config. Their
 * definitions are not ours to change, and what is kept of their runs is in HOME/foreign/NAME.
 */
enum foreign_act { FOREIGN_STOP, FOREIGN_KILL, FOREIGN_FREEZE, FOREIGN_THAW };
struct engine_foreign {
    const char *whose;      /* "lxc": the NOTE column, the JSON */
    char **(*places)(void); /* NULL-terminated, for strv_free() */
    /* Make a conf that was read there one of ours. */
    void (*adapt)(struct conf *conf);
    /* Does it run, by its own program? Fills the page with what is known of it. */
    bool (*look)(const char *place, const char *name, struct status_page *page);
    /* What can be done with one that does. Waits for the end; ms: before a stop becomes a kill. */
    int (*act)(const char *place, const struct guest_def *def, enum foreign_act what, int ms,
               struct error *err);
    /*
     * Start a command in it: its pid, with *control, on which its end is told and signals are sent
     * as on a keeper's (docs/protocol.md), and *master as of the engine's own exec.
     */
    pid_t (*exec)(const char *place, const struct guest_def *def, const struct exec_request *req,
                  int *control, int *master, struct error *err);
};

struct engine {
    const char *type;       /* the TYPE column, guest.type and the JSON: "vm", "container" */
    const char *brief;      /* the list's narrow column: "vm", "ct" */
    const char *more_ports; /* how a guest gets terminals besides its console; NULL: not at all */
    const struct conf_key *keys; /* what it reads from a definition, besides guest_keys */

    /*
     * Rewrite old spellings of keys in a conf that passed the check: in a definition that was read
     * there are none. NULL: there are none.
     */
    int (*modern)(struct conf *conf, struct error *err);
    /* Values that every guest has, where keys of the engine's say them. NULL: none do. */
    int (*take)(struct guest_def *def, struct error *err);
    void (*manual)(FILE *to); /* a page about its keys, in Markdown; NULL: none */

    /*
     * Can this definition be started, as far as can be told without doing it? Called before
     * anything is created and again before each start. Changes nothing, costs little.
     */
    int (*check)(const struct guest_def *def, struct error *err);
    /* Tell what its owner should know of this definition before it is started. NULL: nothing. */
    void (*warn)(const struct guest_def *def, void (*tell)(void *arg, const char *text), void *arg);

    /* How its files come to be, ending with a NULL name. NULL: this kind has none of its own. */
    const struct guest_template *templates;
    /*
     * Remove what only the engine may be able to remove from a directory that is about to go (a
     * user's container has files of subordinate ids). Crosses no mount. NULL: nothing special.
     */
    int (*depopulate)(const char *dir, struct error *err);

    /*
     * Do other guests need what is in this directory of the guest's, which is about to go? Then -1,
     * and which. NULL: never.
     */
    int (*needed)(const struct guest_def *def, const char *dir, struct error *err);
    /* A guest of this definition is about to be destroyed. NULL: nobody cares. */
    int (*farewell)(const struct guest_def *def, struct error *err);

    /*
     * Begin what takes its time elsewhere (a process that sets itself up, say), while the keeper
     * opens its files: there is no console and no status page yet. At most once, before start();
     * cleanup() takes it back. NULL: nothing.
     */
    int (*prepare)(struct keeper *k, struct error *err);
    int (*start)(struct keeper *k, struct error *err);
    /* Ask the guest to shut down. The keeper calls kill() when its time is up. */
    int (*stop)(struct keeper *k, struct error *err);
    /* End it now. Must work in every state; keeper_ended() follows. */
    int (*kill)(struct keeper *k, struct error *err);
    int (*freeze)(struct keeper *k, struct error *err);
    int (*thaw)(struct keeper *k, struct error *err);
    /* The console has a new size in cells. */
    int (*resize)(struct keeper *k, unsigned cols, unsigned rows, struct error *err);
    int (*send)(struct keeper *k, enum console_signal what, struct error *err);
    /*
     * Ask the guest to be content with so many bytes of its memory (0: leave it as it is), and tell
     * what there is to be told. NULL: this kind has no such thing.
     */
    int (*memory)(struct keeper *k, uint64_t leave, struct guest_memory *out, struct error *err);
    /*
     * Limit the running guest as `now` says, which differs from its definition in limits alone.
     * Where one cannot be, none is changed. key: is this one of them? NULL: it takes a start.
     */
    bool (*limit_key)(const char *key);
    int (*limit)(struct keeper *k, const struct guest_def *now, struct error *err);
    /*
     * Give the running guest something, or take it away, for as long as it runs, reboots included.
     * NULL: this kind has no such thing.
     */
    int (*plug)(struct keeper *k, struct plug_request *p, bool remove, struct error *err);
    /*
     * Write a network card of a request into a definition: under its key, if that is said, else under
     * the first that is free, which is filled in. NULL: as plug.
     */
    int (*plug_lines)(struct conf *conf, struct plug_request *p, struct error *err);
    /*
     * Start a command inside. Returns the pid of a child of the keeper, which the keeper waits
     * for, and with req->tty the terminal's master in *master. NULL: this kind cannot.
     */
    pid_t (*exec)(struct keeper *k, const struct exec_request *req, int *master, struct error *err);
    /*
     * The next life of a guest that rebooted, instead of cleanup() and start(): for one that must
     * open nothing any more. NULL: those two are called.
     */
    int (*restart)(struct keeper *k, struct error *err);
    /*
     * Give back all that prepare() and start() made, however far they came. Accepts what was never
     * started.
     */
    void (*cleanup)(struct keeper *k);
    /*
     * start() confines the keeper, with keeper_confine(): it is given a janitor before, by whom it
     * is cleaned up after. Then prepare(), cleans_late and exec are not for it.
     */
    bool confines;
    /*
     * What cleanup() gives back of a throwaway guest that is over is of no use to anybody else: who
     * waits for the end is told before. Its name is not free until it is done.
     */
    bool cleans_late;

    /*
     * The keeper was killed and could clean nothing: remove what it left behind (processes,
     * cgroups, mounts) for the guest of this name. run_dir is its runtime directory, page its
     * last status, to be distrusted. Called with the guest's lock held, in any pult process.
     */
    int (*recover)(const char *name, const char *run_dir, const struct status_page *page,
                   struct error *err);

    const struct engine_snapshots *snapshots; /* NULL: this kind has none */
    /*
     * First with dir NULL: make conf, a copy of the guest's, that of another: with addresses of its own,
     * and what it writes to in its own directory. Then put that into this directory. Gives up
     * when told so. NULL: such guests cannot be cloned.
     */
    int (*clone)(const struct engine_clone *c, struct conf *conf, const char *dir,
                 struct error *err);

    const struct engine_foreign *foreign; /* NULL: there are none */

    /*
     * A guest that does not run as one file: pack it into fd, in the format that the name `file`
     * asks for; unpack it into a new directory and add its definition to conf. NULL: it cannot.
     */
    int (*pack)(const struct guest_def *def, int fd, const char *file, engine_progress_fn *progress,
                void *arg, struct error *err);
    int (*unpack)(const char *dir, int fd, struct conf *conf, engine_progress_fn *progress,
                  void *arg, struct error *err);

    /* Report what this host can do for such guests: doctor_line() for each. deep: try it. */
    void (*doctor)(struct doctor *d, bool deep);
};

void engines_set(const struct engine *const *engines); /* NULL-terminated, kept */
const struct engine *const *engines_all(void);
const struct engine *engine_by_type(const char *type); /* NULL: none */
/* NULL: that kind has no such template, and why. */
const struct guest_template *engine_template(const struct engine *e, const char *name,
                                             struct error *err);

/* `pult doctor`: one line a finding. */
enum finding { FINDING_OK, FINDING_NOTE, FINDING_BAD };
void doctor_line(struct doctor *d, enum finding f, const char *subject, const char *remedy,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
