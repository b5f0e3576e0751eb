/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one grammar of pult's files, which is LXC's: `key = value` a line, blanks around both
 * trimmed, `#` at the start of a line makes a comment, keys may repeat, an empty value means
 * "forget what was said of this key". `lxc.include = FILE` (or a directory: its *.conf files)
 * reads another file at that place.
 *
 * A struct conf keeps every line it read, comments too, so that a changed file differs only in
 * the changed line. Lines that came from an include know their own file and are not written back.
 * What keys mean is not known here: tables of struct conf_key say that, and conf_check() holds a
 * conf against them.
 */
#ifndef PULT_BASE_CONF_H
#define PULT_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

struct conf_line {
    char *key;        /* NULL: a comment or blank line */
    char *value;      /* never NULL where key is not */
    char *raw;        /* the line as read, without its newline; NULL where set by a program */
    const char *file; /* owned by the conf */
    unsigned number;  /* from 1; 0 where set by a program */
    unsigned depth;   /* 0: in the file itself; above: through an include */
};

struct conf {
    struct conf_line *lines;
    size_t count, room;
    char **files; /* names that lines point to; NULL-terminated */
};

/* What a value must look like. A checker sets err to what is wrong, without file and line. */
typedef int conf_value_fn(const char *value, struct error *err);
/* Put a value into what a program makes of a conf; `to` is what the table's owner says. */
struct conf_line;
typedef int conf_take_fn(void *to, const struct conf_line *l, struct error *err);
/* Does this line have a program of the host's run, or give the guest something of the host's? */
typedef bool conf_reach_fn(const struct conf_line *l);

struct conf_key {
    const char *name; /* "vm.kernel"; a trailing '*' matches any rest, a '#' any decimal number */
    conf_value_fn *check; /* NULL: anything goes */
    bool list;            /* may be repeated */
    const char *help;     /* one line, for the manual and for forms */
    const char *ignored;  /* not NULL: known to LXC, has no effect here: why. Gives a warning… */
    const char *same;     /* … unless its value is this: what is done in each case */
    const char *now;      /* not NULL: an old spelling of this key */
    conf_take_fn *take;   /* for conf_take(); NULL: whoever reads it looks for it */
    size_t at;            /* where it goes: an offset, to which take() is given a pointer */
    conf_reach_fn *reach; /* NULL: no line does */
};

/* Read path. Returns 0 and a conf the caller frees, or -1 with "FILE:LINE: …". */
int conf_read(const char *path, struct conf **out, struct error *err);
/* The same from memory; name stands for the file in messages. */
int conf_parse(const char *name, const char *text, size_t len, struct conf **out,
               struct error *err);
struct conf *conf_new(const char *name);
/* All lines again, which know where the first ones came from. */
struct conf *conf_copy(const struct conf *c);
void conf_free(struct conf *c);
#define cleanup_conf __attribute__((cleanup(conf_freep)))
void conf_freep(struct conf **c);

/* The last value of key, or NULL; "" counts as not said. */
const char *conf_get(const struct conf *c, const char *key);
/* The line after `after` (NULL: the first) whose key is key, NULL at the end; see conf_for_each. */
const struct conf_line *conf_next(const struct conf *c, const char *key,
                                  const struct conf_line *after);
#define conf_for_each(c, key, l) for (l = conf_next(c, key, NULL); l; l = conf_next(c, key, l))

/* Replace all values of key by this one, at the place of the first. */
void conf_set(struct conf *c, const char *key, const char *value);
/* One more line at the end. */
void conf_add(struct conf *c, const char *key, const char *value);
/* Take out all lines of key. Returns how many. */
size_t conf_unset(struct conf *c, const char *key);

/* It is to be a file elsewhere: what it includes by a relative name is in this directory. */
void conf_includes_from(struct conf *c, const char *dir);
/* Lines of depth 0 as text. Caller frees. */
char *conf_text(const struct conf *c, size_t *len);

/*
 * Every key must be in one of the tables (NULL-terminated array of tables that end with a NULL
 * name) and its value pass the check. The first that does not gives "FILE:LINE: …", with the
 * nearest known key where one is near. warn, if not NULL, is called for each `ignored` key.
 */
int conf_check(const struct conf *c, const struct conf_key *const *tables,
               void (*warn)(void *arg, const char *text), void *arg, struct error *err);

/*
 * Give each line that counts to its key's take(), in their order: for a key that is no list the
 * last, for a list those behind the last empty one. Keys are those of one table; to: what its
 * offsets are in. Errors have "FILE:LINE: KEY: " in front.
 */
int conf_take(const struct conf *c, const struct conf_key *table, void *to, struct error *err);
/* The same lines, asked one by one: does this one count? */
bool conf_line_counts(const struct conf *c, const struct conf_line *l, bool list);

/* Give line number `at` another key. What it was read as is forgotten. */
void conf_rename(struct conf *c, size_t at, const char *key);
/* Take line number `at` out. */
void conf_remove(struct conf *c, size_t at);
/* The value of an old key's row for this key: its name, with what stood for '#' and '*'. */
char *conf_key_now(const struct conf_key *k, const char *key);

/* The table entry for a key, or NULL. */
const struct conf_key *conf_key_find(const struct conf_key *const *tables, const char *key);

/*
 * The keys of the lines that reach(), and lxc.include, each once, with ", " between. Caller frees;
 * NULL: there are none.
 */
char *conf_reaching(const struct conf *c, const struct conf_key *table);
conf_reach_fn conf_reaches; /* for conf_key: it does, whatever its value */

/* Checkers for conf_key. */
conf_value_fn conf_is_size, conf_is_bool, conf_is_abs_path, conf_is_cpus, conf_is_uint;
bool conf_true(const char *value); /* 1, yes, true, on; NULL and all else: false */

#endif
