/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store: where guests are kept, and which there are.
 *
 *     HOME   PULT_HOME | /var/lib/pult (root) | $XDG_DATA_HOME/pult (~/.local/share/pult)
 *       guests/NAME/config             the definition; the directory itself is its lock (flock)
 *       guests/NAME/last               how the last run ended
 *       guests/NAME/console.log        the console ring of the last run
 *       foreign/NAME/                  the same of a guest of another program's (engine.h), whose
 *                                      definition is elsewhere
 *     RUN    PULT_RUN | /run/pult (root) | $XDG_RUNTIME_DIR/pult (/tmp/pult-UID)
 *       NAME/                          one per running guest; the directory is locked by its keeper
 *       NAME/config                    only of a throwaway guest
 *
 *     CACHE  PULT_CACHE | /var/cache/pult (root) | $XDG_CACHE_HOME/pult (~/.cache/pult)
 *
 * Directories appear and vanish whole (scratch.h). Starting holds the shared lock of a definition,
 * changing and destroying the exclusive one. What a keeper holds while its guest runs is in
 * rundir.h; a guest whose RUN/NAME is there but not locked lost its keeper.
 */
#ifndef PULT_GUEST_STORE_H
#define PULT_GUEST_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "guest/def.h"
#include "guest/status.h"

/* Create the places home and run (base/places.h). Once per process; the others here call it. */
int store_init(struct error *err);

/* How the last run of a guest ended. */
struct last_run {
    bool known;
    enum guest_end how;
    int exit_status; /* -1: none */
    int64_t when;    /* seconds since 1970, UTC */
    char reason[160];
};

/* One guest, as it is now. */
struct guest_info {
    char name[GUEST_NAME_MAX + 1];
    enum guest_state state;
    const struct engine *engine; /* NULL: a broken definition that does not even say that */
    bool throwaway, autostart;
    struct guest_def *def; /* NULL: broken */
    char *broken;          /* what is wrong with the definition */
    char *place;           /* not NULL: another program's, in this directory … */
    bool elsewhere;        /* … which runs it */
    struct last_run last;
    struct status_page page; /* valid while state_alive(state) */
};
void guest_info_clear(struct guest_info *info);

/* All guests, sorted by name. Recovers those whose keeper died. The caller frees. */
int store_list(struct guest_info **list, size_t *count, struct error *err);
void store_list_free(struct guest_info *list, size_t count);
/* The names of all guests, sorted: a NULL-terminated array for strv_free(). Returns how many. */
size_t store_names(char ***out);
/* Where another program's guests may be: a NULL-terminated array for strv_free(). */
char **store_places(void);
/* The program that a guest of another's belongs to, such as "lxc"; NULL: it is pult's. */
const char *guest_whose(const struct guest_info *info);
/* One guest. -1 with code ENOENT if there is none, and the nearest name in the text. */
int store_info(const char *name, struct guest_info *info, struct error *err);
/* Its definition: -1 with ENOENT, or with what is wrong with it. */
int store_load(const char *name, struct guest_def **def, struct error *err);

/*
 * Create a lasting definition. conf is kept by the caller. Fails with EEXIST where the name is
 * taken. fill, if not NULL, is called with the new directory before it gets its name, to put a
 * rootfs or disks into it; it may also change conf, which is written then. When it fails nothing
 * remains.
 */
typedef int store_fill_fn(void *arg, const char *dir, struct error *err);
int store_create(const char *name, const struct conf *conf, store_fill_fn *fill, void *arg,
                 struct error *err);
/*
 * A throwaway definition, in memory (conf is the definition's from now on, also on failure):
 * keeper_launch() gives it its directory in RUN. Fails with EEXIST where the name is taken.
 */
int store_throwaway(const char *name, struct conf *conf, struct guest_def **def, struct error *err);
/* The same for a guest of another program's of this name, which it then hides. */
int store_adopt(const char *name, const struct conf *conf, store_fill_fn *fill, void *arg,
                struct error *err);
/* Change a definition under its lock: edit changes conf; the result is checked, then written. */
typedef int store_edit_fn(void *arg, struct conf *conf, struct error *err);
int store_edit(const char *name, store_edit_fn *edit, void *arg, struct error *err);
/* Replace a definition, which may be a broken one, by this text: checked, under its lock. */
int store_replace(const char *name, const char *text, size_t len, struct error *err);
/* Give a guest that is not running another name. EEXIST where that is taken. */
int store_rename(const char *name, const char *new_name, struct error *err);
/* Remove a guest that is not running, with all that is in its directory. */
int store_destroy(const char *name, struct error *err);

/*
 * What a guest printed on its console, running or in its last run: oldest byte first, with escape
 * sequences. Nothing printed gives an empty string. Caller frees.
 */
int store_console(const char *name, char **data, size_t *len, struct error *err);

/* The directory of a lasting guest of this name, be there one or not. Caller frees. */
char *store_dir(const char *name);

/* A name that is free: PREFIX-heron, PREFIX-otter, … */
int store_fresh_name(const char *prefix, char out[GUEST_NAME_MAX + 1], struct error *err);

/* ---- for keepers ---- */

/* Lock a lasting guest's definition with flock `how`. Returns the descriptor that holds it. */
int store_lock(const char *name, int how, struct error *err);
/*
 * The guest does not run, and nobody starts it, as long as the descriptor that is returned is open.
 * hint: what to do should it run.
 */
int store_hold_down(const char *name, const char *hint, struct error *err);
/* Write down how a run of a lasting guest ended, and keep its console. */
int store_write_last(const struct guest_def *def, int run_dir, const struct last_run *last,
                     struct error *err);

#endif
