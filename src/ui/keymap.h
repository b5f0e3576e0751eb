/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What keys do: a const table of key, context and command line (keymap.c), which HOME/keys.conf
 * can change:
 *
 *     key.F = freeze            # in the list and everywhere no guest gets the keys
 *     prefix.x = leave          # after the prefix, at a guest's console
 *     scroll.Ctrl-U = scroll half-up
 *     network.x = network doctor    # in the list of networks; the selected one's name is put behind
 *     prefix = Ctrl-A
 *
 * An empty command line takes a key away. The help and the bottom line are made from this table.
 */
#ifndef PULT_UI_KEYMAP_H
#define PULT_UI_KEYMAP_H

#include <stddef.h>

#include "base/error.h"
#include "ui/key.h"

enum key_context { KEYS_MAIN, KEYS_NETWORKS, KEYS_PREFIX, KEYS_SCROLL, KEY_CONTEXTS };

struct binding {
    enum key_context context;
    struct key key;
    const char *line;  /* the command line */
    const char *label; /* in the bottom line; NULL: not there */
    int rank;          /* labels of a high rank go first where the line is too short */
    const char *help;  /* NULL: what the verb's help says */
};

struct keymap {
    struct binding *bindings;
    size_t count;
    struct key prefix;
    void *file; /* owns the strings of a config file */
};

/* The built-in table, then HOME/keys.conf. On failure the table is as far as it got. */
int keymap_load(struct keymap *m, struct error *err);
/* Take in a config's text; `file` stands in messages. */
int keymap_parse(struct keymap *m, const char *file, const char *text, size_t len,
                 struct error *err);
void keymap_defaults(struct keymap *m);
void keymap_free(struct keymap *m);
const struct binding *keymap_find(const struct keymap *m, enum key_context context,
                                  const struct key *key);
/* The name of the first key for a command line, "" if none is bound to it. */
void keymap_name_of(const struct keymap *m, const char *line, char out[KEY_NAME_ROOM]);

#endif
