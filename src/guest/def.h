/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's definition: its name, its kind, and the config file that says the rest.
 *
 * Lasting guests live in HOME/guests/NAME/, throwaway ones in RUN/NAME/ (a tmpfs on most hosts),
 * where they vanish with the guest, or with the host's next boot. Either way the directory holds
 * `config`; disks, a rootfs/ and the like stand beside it.
 */
#ifndef PULT_GUEST_DEF_H
#define PULT_GUEST_DEF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"

struct engine;

#define GUEST_NAME_MAX 63

struct guest_def {
    char name[GUEST_NAME_MAX + 1];
    const struct engine *engine; /* from guest.type */
    struct conf *conf;
    char *dir; /* absolute */
    bool throwaway;
    bool foreign; /* another program's: conf is from its place, dir is ours and may be missing */
    bool autostart;
    bool ephemeral;     /* a lasting one that is destroyed when it ends */
    uint64_t history;   /* bytes of the console's; 0: the default */
    uint64_t memory;    /* bytes; 0: the engine's default (a VM), or no limit (a container) */
    int64_t cpus_milli; /* thousandths of a core; 0: not said */
};

/* [A-Za-z0-9][A-Za-z0-9_.-]{0,62} */
int guest_name_check(const char *name, struct error *err);

/*
 * Read dir/config and check its grammar and keys: those of this table and of the engine that
 * guest.type names. *out is freed with def_free().
 */
int def_load(const char *name, const char *dir, struct guest_def **out, struct error *err);

/* The same of another program's guest, whose directory is at `place`; see struct engine_foreign. */
int def_load_foreign(const char *name, const struct engine *engine, const char *place,
                     const char *dir, struct guest_def **out, struct error *err);

/* The same from a conf in memory, which the definition then owns, also on failure. */
int def_from_conf(const char *name, const char *dir, struct conf *conf, struct guest_def **out,
                  struct error *err);

/* Could it be started now? What the engine's check() says. */
int def_check(const struct guest_def *def, struct error *err);

void def_free(struct guest_def *def);
void def_freep(struct guest_def **def);
#define cleanup_def __attribute__((cleanup(def_freep)))

/* Tell once of each key that it has and that has no effect here: "FILE:LINE: 'KEY' …" */
void def_ignored(const struct guest_def *def, void (*tell)(void *arg, const char *text), void *arg);
/* Keys that every guest has: guest.type, guest.memory, … */
extern const struct conf_key guest_keys[];

#endif
