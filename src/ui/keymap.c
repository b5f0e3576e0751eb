/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See keymap.h. */
#include "ui/keymap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/store.h"

#define KEYS_FILE_MAX 65536 /* bytes */

/* Safe keys are lower case; what loses work is upper case and asks. */
static const struct {
    enum key_context context;
    const char *key, *line, *label;
    int rank;
    const char *help;
} builtin[] = {
    {KEYS_MAIN, "F1", "help", "Help", 1, NULL},
    {KEYS_MAIN, "n", "new", "New", 2, NULL},
    {KEYS_MAIN, "t", "throwaway", "Throwaway", 2, NULL},
    {KEYS_MAIN, "Enter", "console", "Console", 2, NULL},
    {KEYS_MAIN, "s", "start", "Start", 3, NULL},
    {KEYS_MAIN, "f", "freeze-or-thaw", "Freeze", 4, NULL},
    {KEYS_MAIN, "X", "stop", "Stop…", 3, NULL},
    {KEYS_MAIN, "w", "networks", "Networks", 6, NULL},
    {KEYS_MAIN, "K", "kill", NULL, 0, NULL},
    {KEYS_MAIN, "D", "destroy", NULL, 0, NULL},
    {KEYS_MAIN, "p", "snapshot create", NULL, 0, NULL},
    {KEYS_MAIN, "e", "exec", "Shell", 6, NULL},
    {KEYS_MAIN, "E", "edit", NULL, 0, NULL},
    {KEYS_MAIN, "b", "limits", NULL, 0, NULL},
    {KEYS_MAIN, "i", "info", NULL, 0, NULL},
    {KEYS_MAIN, "y", "ask clone", NULL, 0, "make another guest like the selected one"},
    {KEYS_MAIN, "a", "ask rename", NULL, 0, "give the selected guest another name"},
    {KEYS_MAIN, "x", "ask export", NULL, 0, "write the selected container into a file"},
    {KEYS_MAIN, "g", "ask import", NULL, 0, "make a container out of such a file"},
    {KEYS_MAIN, "/", "filter", "Filter", 5, NULL},
    {KEYS_MAIN, ":", "command", "Command", 5, NULL},
    {KEYS_MAIN, "q", "quit", "Quit", 1, NULL},
    {KEYS_MAIN, "?", "help", NULL, 0, NULL},
    {KEYS_MAIN, "Tab", "focus", NULL, 0, NULL},
    {KEYS_MAIN, "z", "zoom", NULL, 0, NULL},
    {KEYS_MAIN, "Up", "select up", NULL, 0, NULL},
    {KEYS_MAIN, "Down", "select down", NULL, 0, NULL},
    {KEYS_MAIN, "k", "select up", NULL, 0, NULL},
    {KEYS_MAIN, "j", "select down", NULL, 0, NULL},
    {KEYS_MAIN, "PgUp", "select page-up", NULL, 0, NULL},
    {KEYS_MAIN, "PgDn", "select page-down", NULL, 0, NULL},
    {KEYS_MAIN, "Home", "select first", NULL, 0, NULL},
    {KEYS_MAIN, "End", "select last", NULL, 0, NULL},
    {KEYS_MAIN, "Space", "mark", NULL, 0, NULL},
    {KEYS_MAIN, "*", "mark all", NULL, 0, "mark all guests shown"},
    {KEYS_MAIN, "u", "mark none", NULL, 0, "mark none"},
    {KEYS_MAIN, "o", "sort", NULL, 0, NULL},
    {KEYS_MAIN, "r", "sort reverse", NULL, 0, "sort the other way round"},
    {KEYS_MAIN, "[", "scroll", NULL, 0, NULL},
    {KEYS_MAIN, "l", "messages", NULL, 0, NULL},
    {KEYS_MAIN, "c", "cancel", NULL, 0, NULL},
    {KEYS_MAIN, "m", "mouse", NULL, 0, NULL},
    {KEYS_MAIN, "Esc", "filter-off", NULL, 0, NULL},
    {KEYS_MAIN, "Ctrl-L", "redraw", NULL, 0, NULL},
    {KEYS_MAIN, "Ctrl-Z", "suspend", NULL, 0, NULL},
    {KEYS_MAIN, "F10", "quit", NULL, 0, NULL},

    {KEYS_NETWORKS, "n", "wizard", "New", 1, NULL},
    {KEYS_NETWORKS, "a", "network apply", "Up", 2, NULL},
    {KEYS_NETWORKS, "d", "network down", "Down", 2, NULL},
    {KEYS_NETWORKS, "y", "network confirm", "Confirm", 4, NULL},
    {KEYS_NETWORKS, "R", "network rollback", NULL, 0, NULL},
    {KEYS_NETWORKS, "p", "network plan", "Plan", 3, NULL},
    {KEYS_NETWORKS, "x", "network doctor", "Doctor", 3, NULL},
    {KEYS_NETWORKS, "b", "networks persistent", "At boot", 6,
     "show files that make a bridge at each boot without pult"},
    {KEYS_NETWORKS, "f", "networks forward", "Forward", 4, "forward a port of the host to a guest"},
    {KEYS_NETWORKS, "F", "networks unforward", NULL, 0, "forward a port no more"},
    {KEYS_NETWORKS, "i", "network info", NULL, 0, NULL},
    {KEYS_NETWORKS, "D", "network destroy", "Destroy…", 5, NULL},
    {KEYS_NETWORKS, "Up", "networks up", NULL, 0, "select the one above"},
    {KEYS_NETWORKS, "Down", "networks down", NULL, 0, "select the one below"},
    {KEYS_NETWORKS, "k", "networks up", NULL, 0, "select the one above"},
    {KEYS_NETWORKS, "j", "networks down", NULL, 0, "select the one below"},
    {KEYS_NETWORKS, "Esc", "networks close", "Close", 1, "go back to the guests"},
    {KEYS_NETWORKS, "q", "networks close", NULL, 0, "go back to the guests"},
    {KEYS_NETWORKS, "F1", "help", NULL, 0, NULL},
    {KEYS_NETWORKS, "?", "help", NULL, 0, NULL},
    {KEYS_NETWORKS, "l", "messages", NULL, 0, NULL},
    {KEYS_NETWORKS, ":", "command", NULL, 0, NULL},

    {KEYS_PREFIX, "d", "leave", "Leave", 1, NULL},
    {KEYS_PREFIX, "z", "zoom", "Zoom", 2, NULL},
    {KEYS_PREFIX, "[", "scroll", "Scroll", 2, NULL},
    {KEYS_PREFIX, "/", "search", "Search", 3, NULL},
    {KEYS_PREFIX, "y", "scroll copy", "Copy", 4, "scroll back and copy lines"},
    {KEYS_PREFIX, "b", "send break", "Break", 5, "send a break to the guest's serial line"},
    {KEYS_PREFIX, "r", "send sysrq", "SysRq", 6, "send a magic SysRq; the next key says which"},
    {KEYS_PREFIX, "c", "send ctrl-alt-del", "Ctrl-Alt-Del", 7, "press Ctrl-Alt-Del in the guest"},
    {KEYS_PREFIX, "]", "send prefix", "Send prefix", 8, "send the prefix key itself"},
    {KEYS_PREFIX, "PgUp", "scroll page-up", NULL, 0, NULL},
    {KEYS_PREFIX, "F1", "help", NULL, 0, NULL},
    {KEYS_PREFIX, "?", "help", NULL, 0, NULL},
    {KEYS_PREFIX, ":", "command", NULL, 0, NULL},
    {KEYS_PREFIX, "e", "exec", NULL, 0, NULL},
    {KEYS_PREFIX, "Ctrl-L", "redraw", NULL, 0, NULL},

    {KEYS_SCROLL, "Up", "scroll up", "Move", 2, NULL},
    {KEYS_SCROLL, "Down", "scroll down", NULL, 0, NULL},
    {KEYS_SCROLL, "k", "scroll up", NULL, 0, NULL},
    {KEYS_SCROLL, "j", "scroll down", NULL, 0, NULL},
    {KEYS_SCROLL, "PgUp", "scroll page-up", NULL, 0, NULL},
    {KEYS_SCROLL, "PgDn", "scroll page-down", NULL, 0, NULL},
    {KEYS_SCROLL, "Home", "scroll first", NULL, 0, NULL},
    {KEYS_SCROLL, "End", "scroll last", NULL, 0, NULL},
    {KEYS_SCROLL, "g", "scroll first", NULL, 0, NULL},
    {KEYS_SCROLL, "G", "scroll last", NULL, 0, NULL},
    {KEYS_SCROLL, "/", "search", "Search", 3, NULL},
    {KEYS_SCROLL, "n", "scroll next-match", "Next", 5, "the next match above"},
    {KEYS_SCROLL, "N", "scroll earlier-match", NULL, 0, "the match below"},
    {KEYS_SCROLL, "Space", "scroll mark", "Mark", 4, "begin to mark lines"},
    {KEYS_SCROLL, "y", "scroll copy", "Copy", 4,
     "copy the marked lines to your terminal's clipboard"},
    {KEYS_SCROLL, "Enter", "scroll copy", NULL, 0, NULL},
    {KEYS_SCROLL, "q", "scroll leave", "Leave", 1, "go back to what is printed now"},
    {KEYS_SCROLL, "Esc", "scroll leave", NULL, 0, NULL},
    {KEYS_SCROLL, "F1", "help", NULL, 0, NULL},
};

static const char *const context_names[KEY_CONTEXTS] = {
    [KEYS_MAIN] = "key.",
    [KEYS_NETWORKS] = "network.",
    [KEYS_PREFIX] = "prefix.",
    [KEYS_SCROLL] = "scroll.",
};

const struct binding *keymap_find(const struct keymap *m, enum key_context context,
                                  const struct key *key)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->bindings[i].context == context && key_equal(&m->bindings[i].key, key))
            return &m->bindings[i];
    }
    return NULL;
}

void keymap_name_of(const struct keymap *m, const char *line, char out[KEY_NAME_ROOM])
{
    out[0] = '\0';
    for (size_t i = 0; i < m->count && out[0] == '\0'; i++) {
        if (strcmp(m->bindings[i].line, line) == 0)
            key_name(&m->bindings[i].key, out);
    }
}

static struct binding *add(struct keymap *m)
{
    m->bindings = xrealloc(m->bindings, m->count + 1, sizeof *m->bindings);
    m->bindings[m->count] = (struct binding){0};
    return &m->bindings[m->count++];
}

void keymap_defaults(struct keymap *m)
{
    *m = (struct keymap){.prefix = {.code = ']', .mods = MOD_CTRL}};
    for (size_t i = 0; i < ARRAY_SIZE(builtin); i++) {
        struct binding *b = add(m);
        *b = (struct binding){.context = builtin[i].context,
                              .line = builtin[i].line,
                              .label = builtin[i].label,
                              .rank = builtin[i].rank,
                              .help = builtin[i].help};
        key_parse(builtin[i].key, &b->key, NULL);
    }
}

/* Bind a key anew; the label in the bottom line comes along from where the command had one. */
static void bind_key(struct keymap *m, enum key_context context, const struct key *key,
                     const char *line)
{
    struct binding fresh = {.context = context, .key = *key, .line = line};
    for (size_t i = 0; i < m->count; i++) {
        struct binding *b = &m->bindings[i];
        if (b->context != context)
            continue;
        if (str_eq(b->line, line) && b->label && !fresh.label) {
            fresh.label = b->label;
            fresh.rank = b->rank;
            fresh.help = b->help;
            if (!key_equal(&b->key, key))
                b->label = NULL;
        }
    }
    struct binding *old = (struct binding *)keymap_find(m, context, key);
    if (*line) {
        *(old ? old : add(m)) = fresh;
    } else if (old) {
        *old = m->bindings[--m->count];
    }
}

static int line_parse(struct keymap *m, const struct conf_line *l, struct error *err)
{
    struct key key;
    if (strcmp(l->key, "prefix") == 0)
        return key_parse(l->value, &m->prefix, err);
    for (int c = 0; c < KEY_CONTEXTS; c++) {
        if (!str_starts(l->key, context_names[c]))
            continue;
        if (key_parse(l->key + strlen(context_names[c]), &key, err) < 0)
            return -1;
        bind_key(m, (enum key_context)c, &key, l->value);
        return 0;
    }
    return error_set(err, 0,
                     "'%s' is not one of prefix, key.KEY, network.KEY, prefix.KEY, scroll.KEY",
                     l->key);
}

int keymap_parse(struct keymap *m, const char *file, const char *text, size_t len,
                 struct error *err)
{
    struct conf *c = NULL;
    if (conf_parse(file, text, len, &c, err) < 0)
        return -1;
    conf_free(m->file);
    m->file = c;
    for (size_t i = 0; i < c->count; i++) {
        const struct conf_line *l = &c->lines[i];
        if (l->key && line_parse(m, l, err) < 0)
            return error_wrap(err, "%s:%u", l->file, l->number);
    }
    return 0;
}

int keymap_load(struct keymap *m, struct error *err)
{
    keymap_defaults(m);
    cleanup_free char *path = xasprintf("%s/keys.conf", place_home()), *text = NULL;
    size_t len;
    struct error why;
    if (file_read_at(AT_FDCWD, path, KEYS_FILE_MAX, &text, &len, &why) < 0) {
        if (why.code != ENOENT && err)
            *err = why;
        return why.code == ENOENT ? 0 : -1;
    }
    return keymap_parse(m, path, text, len, err);
}

void keymap_free(struct keymap *m)
{
    free(m->bindings);
    conf_free(m->file);
    *m = (struct keymap){0};
}
