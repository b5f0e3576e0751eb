/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A conf is the array of lines as they were read, included ones at the place of their
 * `lxc.include`, which stays a line of its own. Looking something up is a walk over the array:
 * the files are short and read seldom.
 *
 * An empty value forgets what the lines before it said of the key. So a lookup starts behind the
 * last empty line, and changing a key that an include speaks of puts such a line into the file
 * itself, because the include is not ours to change.
 */
#include "base/conf.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"

enum {
    CONF_SIZE_MAX = 1 << 20, /* bytes in one file */
    CONF_DEPTH_MAX = 16,     /* includes in includes */
    CONF_FILES_MAX = 1024,   /* all files of a conf: includes may fan out */
};

static const char include_key[] = "lxc.include";

static int parse_text(struct conf *c, const char *file, unsigned depth, const char *text,
                      size_t len, struct error *err);

/* An empty conf; name stands for its file in messages. */
struct conf *conf_new(const char *name)
{
    struct conf *c = xcalloc(1, sizeof *c);
    c->files = xcalloc(2, sizeof *c->files);
    c->files[0] = xstrdup(name);
    return c;
}

static void line_free(struct conf_line *l)
{
    free(l->key);
    free(l->value);
    free(l->raw);
}

/* Free a conf with all its lines; NULL is none. */
void conf_free(struct conf *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->count; i++)
        line_free(&c->lines[i]);
    free(c->lines);
    strv_free(c->files);
    free(c);
}

void conf_freep(struct conf **c)
{
    conf_free(*c);
}

/* Put a line, which the conf then owns, at a place among the others. */
static void line_insert(struct conf *c, size_t at, struct conf_line line)
{
    if (c->count == c->room) {
        c->room = c->room ? c->room * 2 : 16;
        c->lines = xrealloc(c->lines, c->room, sizeof *c->lines);
    }
    memmove(&c->lines[at + 1], &c->lines[at], (c->count - at) * sizeof *c->lines);
    c->lines[at] = line;
    c->count++;
}

/* Remember a file's name for the lines that come from it. */
static const char *file_add(struct conf *c, const char *path, struct error *err)
{
    size_t n = strv_len(c->files);
    if (n >= CONF_FILES_MAX) {
        error_set(err, ELOOP, "more than %d files are included", CONF_FILES_MAX);
        return NULL;
    }
    c->files = xrealloc(c->files, n + 2, sizeof *c->files);
    c->files[n] = xstrdup(path);
    c->files[n + 1] = NULL;
    return c->files[n];
}

struct conf *conf_copy(const struct conf *c)
{
    struct conf *copy = conf_new(c->files[0]);
    for (size_t i = 1; c->files[i]; i++)
        file_add(copy, c->files[i], NULL);
    for (size_t i = 0; i < c->count; i++) {
        struct conf_line l = c->lines[i];
        size_t file = 0;
        while (c->files[file] != l.file)
            file++;
        l.file = copy->files[file];
        l.key = l.key ? xstrdup(l.key) : NULL;
        l.value = l.value ? xstrdup(l.value) : NULL;
        l.raw = l.raw ? xstrdup(l.raw) : NULL;
        line_insert(copy, copy->count, l);
    }
    return copy;
}

static void line_remove(struct conf *c, size_t at)
{
    line_free(&c->lines[at]);
    c->count--;
    memmove(&c->lines[at], &c->lines[at + 1], (c->count - at) * sizeof *c->lines);
}

/* Reading */

/* Read one file into the conf. */
static int read_file(struct conf *c, const char *file, unsigned depth, struct error *err)
{
    cleanup_free char *text = NULL;
    size_t len;
    if (file_read_at(AT_FDCWD, file, CONF_SIZE_MAX, &text, &len, err) < 0)
        return -1;
    return parse_text(c, file, depth, text, len, err);
}

static int is_conf_name(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return e->d_name[0] != '.' && n > 5 && str_eq(e->d_name + n - 5, ".conf");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The *.conf files of a directory, in the order of their names. */
static int include_dir(struct conf *c, const char *dir, unsigned depth, struct error *err)
{
    struct dirent **entries;
    int rc = 0;
    int n = scandir(dir, &entries, is_conf_name, by_bytes);
    if (n < 0)
        return error_set(err, errno, "list '%s'", dir);
    for (int i = 0; i < n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", dir, entries[i]->d_name);
        const char *file = rc < 0 ? NULL : file_add(c, path, err);
        rc = file ? read_file(c, file, depth, err) : -1;
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/*
 * Read what an lxc.include names; a relative name starts at the directory of the naming file. A
 * directory, told by the slash at its end, need not be there: distributions name some that others
 * may fill.
 */
static int include(struct conf *c, const char *from, const char *what, unsigned depth,
                   struct error *err)
{
    struct stat st;
    const char *slash = strrchr(from, '/');
    int dir_len = what[0] == '/' || slash == NULL ? 0 : (int)(slash - from) + 1;
    cleanup_free char *path = xasprintf("%.*s%s", dir_len, from, what);

    if (depth > CONF_DEPTH_MAX)
        return error_set(err, ELOOP, "include '%s': more than %d deep", what, CONF_DEPTH_MAX);
    if (stat(path, &st) < 0)
        return errno == ENOENT && what[strlen(what) - 1] == '/'
                   ? 0
                   : error_set(err, errno, "include '%s'", path);
    if (S_ISDIR(st.st_mode))
        return include_dir(c, path, depth, err);
    const char *file = file_add(c, path, err);
    return file ? read_file(c, file, depth, err) : -1;
}

static bool is_key_char(char ch)
{
    return isalnum((unsigned char)ch) || ch == '_' || ch == '.' || ch == '-';
}

static bool is_command(const char *key)
{
    size_t len = strlen(key);
    return len > 4 && str_eq(key + len - 4, ".cmd");
}

/*
 * LXC takes quotes off that are around a whole value. Commands are cut into words, which takes
 * care of quotes around these: of theirs only a pair is taken off that has none of its kind inside.
 */
static bool is_quoted(const char *key, const char *value)
{
    size_t len = strlen(value);
    return str_starts(key, "lxc.") && len >= 2 && strchr("'\"", value[0]) &&
           value[len - 1] == value[0] && !(is_command(key) && memchr(value + 1, value[0], len - 2));
}

/* One line, which the conf owns from here on; raw is it as read. */
static int parse_line(struct conf *c, char *raw, const char *file, unsigned number, unsigned depth,
                      struct error *err)
{
    struct conf_line line = {.raw = raw, .file = file, .number = number, .depth = depth};
    cleanup_free char *copy = xstrdup(raw);
    char *text = str_trim(copy);

    if (*text != '\0' && *text != '#') {
        size_t n = 0;
        while (is_key_char(text[n]))
            n++;
        char *rest = text + n + strspn(text + n, " \t");
        if (n > 0 && *rest == '=') {
            line.key = xstrndup(text, n);
            const char *value = str_trim(rest + 1);
            line.value = is_quoted(line.key, value) ? xstrndup(value + 1, strlen(value) - 2)
                                                    : xstrdup(value);
        }
    }
    line_insert(c, c->count, line);
    if (line.key == NULL && *text != '\0' && *text != '#')
        return error_set(err, EINVAL, "%s:%u: '%.60s' is not of the form key = value", file, number,
                         text);
    if (line.key == NULL || !str_eq(line.key, include_key) || *line.value == '\0')
        return 0;
    if (include(c, file, line.value, depth + 1, err) < 0)
        return error_wrap(err, "%s:%u", file, number);
    return 0;
}

static int parse_text(struct conf *c, const char *file, unsigned depth, const char *text,
                      size_t len, struct error *err)
{
    unsigned number = 0;

    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - text) - at : len - at;
        number++;
        if (memchr(text + at, '\0', n))
            return error_set(err, EINVAL, "%s:%u: there is a zero byte in the line", file, number);
        if (parse_line(c, xstrndup(text + at, n), file, number, depth, err) < 0)
            return -1;
        at += n + 1;
    }
    return 0;
}

int conf_parse(const char *name, const char *text, size_t len, struct conf **out, struct error *err)
{
    cleanup_conf struct conf *c = conf_new(name);
    if (len > CONF_SIZE_MAX)
        return error_set(err, EFBIG, "read '%s'", name);
    if (parse_text(c, c->files[0], 0, text, len, err) < 0)
        return -1;
    *out = steal_ptr(c);
    return 0;
}

int conf_read(const char *path, struct conf **out, struct error *err)
{
    cleanup_conf struct conf *c = conf_new(path);
    if (read_file(c, c->files[0], 0, err) < 0)
        return -1;
    *out = steal_ptr(c);
    return 0;
}

/* Looking up */

static bool line_is(const struct conf_line *l, const char *key)
{
    return l->key != NULL && strcmp(l->key, key) == 0;
}

/* Backwards from the end: the first met is the last said, and an empty one ends the matter. */
const char *conf_get(const struct conf *c, const char *key)
{
    for (size_t i = c->count; i-- > 0;)
        if (line_is(&c->lines[i], key))
            return *c->lines[i].value ? c->lines[i].value : NULL;
    return NULL;
}

/* The first is the first behind the last empty one. */
const struct conf_line *conf_next(const struct conf *c, const char *key,
                                  const struct conf_line *after)
{
    size_t i = after ? (size_t)(after - c->lines) + 1 : 0;

    for (size_t j = c->count; after == NULL && i == 0 && j-- > 0;)
        if (line_is(&c->lines[j], key) && *c->lines[j].value == '\0')
            i = j + 1;
    for (; i < c->count; i++)
        if (line_is(&c->lines[i], key))
            return &c->lines[i];
    return NULL;
}

/* Changing */

/* A line of our own. The grammar knows no way to write a line's end, so it becomes a blank. */
static struct conf_line line_new(struct conf *c, const char *key, const char *value)
{
    cleanup_free char *copy = xstrdup(value);
    for (char *p = copy; *p != '\0'; p++)
        if (*p == '\n')
            *p = ' ';
    return (struct conf_line){
        .key = xstrdup(key),
        .value = xstrdup(str_trim(copy)),
        .file = c->files[0],
    };
}

void conf_add(struct conf *c, const char *key, const char *value)
{
    line_insert(c, c->count, line_new(c, key, value));
}

/*
 * Take out all lines of key. *first is where the first was in the file itself, or the end.
 * Where an include spoke of the key, an empty line at the end makes that forgotten.
 */
static size_t take_out(struct conf *c, const char *key, size_t *first)
{
    size_t removed = 0;
    bool included = false;

    *first = SIZE_MAX;
    for (size_t i = 0; i < c->count;) {
        if (!line_is(&c->lines[i], key)) {
            i++;
            continue;
        }
        included |= c->lines[i].depth > 0;
        if (c->lines[i].depth == 0 && *first == SIZE_MAX)
            *first = i;
        line_remove(c, i);
        removed++;
    }
    if (included)
        conf_add(c, key, "");
    if (included || *first == SIZE_MAX)
        *first = c->count;
    return removed;
}

void conf_set(struct conf *c, const char *key, const char *value)
{
    size_t at;
    struct conf_line line = line_new(c, key, value); /* before: key may lie in a line of c */
    take_out(c, line.key, &at);
    line_insert(c, at, line);
}

size_t conf_unset(struct conf *c, const char *key)
{
    size_t at;
    cleanup_free char *copy = xstrdup(key);
    return take_out(c, copy, &at);
}

void conf_rename(struct conf *c, size_t at, const char *key)
{
    struct conf_line *l = &c->lines[at];
    char *copy = xstrdup(key); /* key may be the line's */

    free(l->key);
    free(l->raw);
    l->key = copy;
    l->raw = NULL;
}

void conf_remove(struct conf *c, size_t at)
{
    line_remove(c, at);
}

void conf_includes_from(struct conf *c, const char *dir)
{
    for (size_t i = 0; i < c->count; i++) {
        struct conf_line *l = &c->lines[i];
        if (l->depth > 0 || !line_is(l, include_key) || !*l->value || l->value[0] == '/')
            continue;
        char *path = xasprintf("%s/%s", dir, l->value);
        free(l->value);
        free(l->raw);
        l->value = path;
        l->raw = NULL;
    }
}

/* A command that is one word in quotes is not to lose these when it is read. */
static void put_word(FILE *f, const struct conf_line *l)
{
    const char other = l->value[0] == '"' ? '\'' : '"';
    if (strchr(l->value, other))
        fprintf(f, "%s = %c%c%s\n", l->key, other, other, l->value);
    else
        fprintf(f, "%s = %c%s%c\n", l->key, other, l->value, other);
}

/* The file's own lines: those that were read as they were read, the others in the plain form. */
char *conf_text(const struct conf *c, size_t *len)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    for (size_t i = 0; f != NULL && i < c->count; i++) {
        const struct conf_line *l = &c->lines[i];
        if (l->depth > 0)
            continue;
        if (l->raw != NULL)
            fprintf(f, "%s\n", l->raw);
        else if (is_quoted(l->key, l->value) && is_command(l->key))
            put_word(f, l);
        else
            fprintf(f, is_quoted(l->key, l->value) ? "%s =%s\"%s\"\n" : "%s =%s%s\n", l->key,
                    *l->value ? " " : "", l->value);
    }
    if (f != NULL)
        fclose(f);
    if (text == NULL)
        text = xstrdup("");
    if (len != NULL)
        *len = n;
    return text;
}

/* Checking */

/* Does a key fit a table's name? '#' takes digits, a last '*' the rest. */
static bool key_fits(const char *name, const char *key)
{
    for (; *name != '\0'; name++) {
        if (name[0] == '*' && name[1] == '\0')
            return true;
        if (*name == '#') {
            if (!isdigit((unsigned char)*key))
                return false;
            while (isdigit((unsigned char)*key))
                key++;
        } else if (*name != *key++) {
            return false;
        }
    }
    return *key == '\0';
}

/* The first that fits, in the order of the tables. */
const struct conf_key *conf_key_find(const struct conf_key *const *tables, const char *key)
{
    for (; *tables != NULL; tables++)
        for (const struct conf_key *k = *tables; k->name != NULL; k++)
            if (key_fits(k->name, key))
                return k;
    return NULL;
}

/* A key with each run of digits that stands alone between dots as '#', to compare with tables. */
static char *key_pattern(const char *key)
{
    char *out = xcalloc(strlen(key) + 1, 1), *o = out;
    for (const char *p = key; *p != '\0';) {
        size_t n = strspn(p, "0123456789");
        if (n > 0 && p > key && p[-1] == '.' && (p[n] == '.' || p[n] == '\0')) {
            *o++ = '#';
            p += n;
        } else {
            *o++ = *p++;
        }
    }
    return out;
}

/* A table's name for the eyes of who wrote key: each '#' is the number that stands in key. */
static char *name_for(const char *name, const char *key)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    for (; f != NULL && *name != '\0'; name++) {
        key += strcspn(key, "0123456789");
        size_t n = strspn(key, "0123456789");
        if (*name == '#' && n > 0) {
            fwrite(key, 1, n, f);
            key += n;
        } else {
            fputc(*name, f);
        }
    }
    if (f != NULL)
        fclose(f);
    return text ? text : xstrdup("");
}

/* The known key that was probably meant, or NULL. Caller frees. */
static char *key_near(const struct conf_key *const *tables, const char *key)
{
    size_t n = 0;
    cleanup_free const char **names = NULL;
    cleanup_free char *pattern = key_pattern(key);

    for (; *tables != NULL; tables++)
        for (const struct conf_key *k = *tables; k->name != NULL; k++) {
            names = xrealloc(names, n + 1, sizeof *names);
            names[n++] = k->name;
        }
    const char *near = str_nearest(pattern, names, n);
    return near ? name_for(near, key) : NULL;
}

/* Put the place of a line in front of what err says. */
static int at_line(const struct conf_line *l, struct error *err)
{
    if (l->number == 0)
        return error_wrap(err, "%s", l->file);
    return error_wrap(err, "%s:%u", l->file, l->number);
}

static int check_line(const struct conf_line *l, const struct conf_key *const *tables,
                      void (*warn)(void *arg, const char *text), void *arg, struct error *err)
{
    const struct conf_key *k = conf_key_find(tables, l->key);
    if (k == NULL && str_eq(l->key, include_key))
        return 0;
    if (k == NULL) {
        cleanup_free char *near = key_near(tables, l->key);
        error_set(err, 0, "unknown key '%s'", l->key);
        if (near != NULL)
            error_hint(err, "did you mean '%s'?", near);
        if (err != NULL)
            err->code = EINVAL;
        return at_line(l, err);
    }
    if (k->ignored != NULL && warn != NULL) {
        struct error text;
        error_set(&text, 0, "'%s' has no effect: %s", l->key, k->ignored);
        at_line(l, &text);
        warn(arg, text.text);
    }
    if (k->check == NULL || *l->value == '\0' || k->check(l->value, err) == 0)
        return 0;
    if (err != NULL && err->code == 0)
        err->code = EINVAL;
    error_wrap(err, "%s", l->key);
    return at_line(l, err);
}

int conf_check(const struct conf *c, const struct conf_key *const *tables,
               void (*warn)(void *arg, const char *text), void *arg, struct error *err)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->lines[i].key != NULL && check_line(&c->lines[i], tables, warn, arg, err) < 0)
            return -1;
    return 0;
}

char *conf_key_now(const struct conf_key *k, const char *key)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    const char *tail = key + strlen(k->name) - 1; /* what a last '*' stands for */

    key += strcspn(key, "0123456789");
    for (const char *p = k->now; f != NULL && *p != '\0'; p++) {
        if (*p == '#')
            fprintf(f, "%.*s", (int)strspn(key, "0123456789"), key);
        else if (*p == '*' && p[1] == '\0')
            fputs(tail, f);
        else
            fputc(*p, f);
    }
    if (f != NULL)
        fclose(f);
    return text ? text : xstrdup("");
}

bool conf_line_counts(const struct conf *c, const struct conf_line *l, bool list)
{
    if (*l->value == '\0')
        return false;
    for (const struct conf_line *later = l + 1; later < c->lines + c->count; later++)
        if (line_is(later, l->key) && (!list || *later->value == '\0'))
            return false;
    return true;
}

int conf_take(const struct conf *c, const struct conf_key *table, void *to, struct error *err)
{
    const struct conf_key *const tables[] = {table, NULL};

    for (size_t i = 0; i < c->count; i++) {
        const struct conf_line *l = &c->lines[i];
        const struct conf_key *k = l->key ? conf_key_find(tables, l->key) : NULL;
        if (k == NULL || k->take == NULL || !conf_line_counts(c, l, k->list))
            continue;
        if (k->take((char *)to + k->at, l, err) < 0) {
            error_wrap(err, "%s", l->key);
            return at_line(l, err);
        }
    }
    return 0;
}

/* Does the line reach, and is the first of its key that does? */
static bool first_reaching(const struct conf *c, const struct conf_line *l,
                           const struct conf_key *const *tables)
{
    bool reaches = false;
    for (const struct conf_line *i = c->lines; i <= l; i++) {
        const struct conf_key *k = conf_key_find(tables, l->key);
        if (!line_is(i, l->key))
            continue;
        if (reaches)
            return false; /* an earlier one */
        reaches = str_eq(l->key, include_key) ||
                  (k && k->reach && conf_line_counts(c, i, k->list) && k->reach(i));
    }
    return reaches;
}

char *conf_reaching(const struct conf *c, const struct conf_key *table)
{
    const struct conf_key *const tables[] = {table, NULL};
    char *all = NULL;

    for (size_t i = 0; i < c->count; i++) {
        const char *key = c->lines[i].key;
        if (key == NULL || !first_reaching(c, &c->lines[i], tables))
            continue;
        char *more = xasprintf("%s%s%s", all ? all : "", all ? ", " : "", key);
        free(all);
        all = more;
    }
    return all;
}

bool conf_reaches(const struct conf_line *l)
{
    (void)l;
    return true;
}

/* Values */

static const char *const words_true[] = {"1", "yes", "true", "on"};
static const char *const words_false[] = {"0", "no", "false", "off"};

static bool is_one_of(const char *value, const char *const words[4])
{
    for (size_t i = 0; i < 4; i++)
        if (strcasecmp(value, words[i]) == 0)
            return true;
    return false;
}

bool conf_true(const char *value)
{
    return value != NULL && is_one_of(value, words_true);
}

int conf_is_bool(const char *value, struct error *err)
{
    if (is_one_of(value, words_true) || is_one_of(value, words_false))
        return 0;
    return error_set(err, 0, "'%s' is neither yes nor no", value);
}

int conf_is_size(const char *value, struct error *err)
{
    uint64_t bytes;
    return size_parse(value, &bytes, err);
}

int conf_is_uint(const char *value, struct error *err)
{
    int64_t n;
    return number_parse(value, 0, INT64_MAX, &n, err);
}

int conf_is_abs_path(const char *value, struct error *err)
{
    return value[0] == '/' ? 0 : error_set(err, 0, "'%s' does not begin with /", value);
}

/* Cores a guest may use, also in parts: "0.5" and up. */
int conf_is_cpus(const char *value, struct error *err)
{
    int64_t milli;
    return milli_parse(value, 10, 1024000, &milli, err);
}
