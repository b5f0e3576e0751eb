/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See theme.h. gen/ui/themes.h is made from themes/ by rules.mk. */
#include "ui/theme.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/store.h"
#include "ui/themes.h"

#define THEME_MAX 65536 /* bytes */

static const char *const element_names[ELEMENTS] = {
    [EL_TEXT] = "text",
    [EL_FAINT] = "faint",
    [EL_STRONG] = "strong",
    [EL_HEADER] = "header",
    [EL_BRAND] = "brand",
    [EL_BAR] = "bar",
    [EL_BORDER] = "border",
    [EL_BORDER_FOCUS] = "border.focus",
    [EL_BORDER_ATTACHED] = "border.attached",
    [EL_TITLE] = "title",
    [EL_COLUMN] = "column",
    [EL_COLUMN_SORTED] = "column.sorted",
    [EL_SELECTED] = "selected",
    [EL_SELECTED_AWAY] = "selected.away",
    [EL_MARKED] = "marked",
    [EL_RUNNING] = "running",
    [EL_FROZEN] = "frozen",
    [EL_STOPPED] = "stopped",
    [EL_CHANGING] = "changing",
    [EL_CRASHED] = "crashed",
    [EL_CPU] = "cpu",
    [EL_MEMORY] = "memory",
    [EL_NETWORK] = "network",
    [EL_KEY] = "key",
    [EL_KEY_TEXT] = "key.text",
    [EL_GOOD] = "good",
    [EL_BAD] = "bad",
    [EL_PROMPT] = "prompt",
    [EL_FIELD] = "field",
    [EL_FIELD_NOW] = "field.now",
    [EL_FIELD_HINT] = "field.hint",
    [EL_MATCH] = "match",
    [EL_COPY] = "copy",
};

static const char *const colours[] = {"black", "red",     "green", "yellow",
                                      "blue",  "magenta", "cyan",  "white"};

static const struct {
    const char *name;
    uint32_t bit;
} attributes[] = {
    {"bold", CELL_BOLD},   {"dim", CELL_DIM},         {"italic", CELL_ITALIC},
    {"blink", CELL_BLINK}, {"reverse", CELL_REVERSE}, {"underline", CELL_UNDERLINE},
};

int colour_parse(const char *name, uint32_t *colour, struct error *err)
{
    int64_t n;
    if (strcmp(name, "default") == 0) {
        *colour = COLOUR_DEFAULT;
        return 0;
    }
    if (name[0] == '#' && strlen(name) == 7 && strspn(name + 1, "0123456789abcdefABCDEF") == 6) {
        *colour = 0x02000000u | (uint32_t)strtoul(name + 1, NULL, 16);
        return 0;
    }
    bool bright = str_starts(name, "bright-");
    for (size_t i = 0; i < ARRAY_SIZE(colours); i++) {
        if (strcmp(name + (bright ? strlen("bright-") : 0), colours[i]) == 0) {
            *colour = COLOUR_INDEX(i + (bright ? 8 : 0));
            return 0;
        }
    }
    if (number_parse(name, 0, 255, &n, NULL) == 0) {
        *colour = COLOUR_INDEX(n);
        return 0;
    }
    return error_set(err, 0,
                     "'%s' is not a colour; such are default, red, bright-blue, 208, #5fafd7",
                     name);
}

static int attribute_parse(const char *name, uint32_t *attrs, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
        if (strcmp(name, attributes[i].name) == 0) {
            *attrs |= attributes[i].bit;
            return 0;
        }
    }
    return error_set(err, 0,
                     "'%s' is not an attribute; they are bold, dim, italic, underline, blink, "
                     "reverse",
                     name);
}

/* "FG BG ATTRIBUTES…": what is left out is default and none. */
static int look_parse(const char *value, struct style *out, struct error *err)
{
    char **words = str_split_words(value, err);
    struct style look = {0};
    int ret = words ? 0 : -1;
    for (size_t i = 0; ret == 0 && words[i]; i++) {
        if (i < 2)
            ret = colour_parse(words[i], i == 0 ? &look.fg : &look.bg, err);
        else
            ret = attribute_parse(words[i], &look.attrs, err);
    }
    strv_free(words);
    if (ret == 0)
        *out = look;
    return ret;
}

static int line_parse(const struct conf_line *l, struct theme *t, struct error *err)
{
    for (size_t i = 0; i < ELEMENTS; i++) {
        if (strcmp(l->key, element_names[i]) != 0)
            continue;
        if (look_parse(l->value, &t->look[i], err) < 0)
            return error_wrap(err, "%s:%u", l->file, l->number);
        return 0;
    }
    const char *near = str_nearest(l->key, element_names, ELEMENTS);
    error_set(err, 0, "%s:%u: unknown element '%s'", l->file, l->number, l->key);
    return near ? error_hint(err, "did you mean '%s'?", near) : -1;
}

int theme_parse(const char *file, const char *text, size_t len, struct theme *t, struct error *err)
{
    cleanup_conf struct conf *c = NULL;
    if (conf_parse(file, text, len, &c, err) < 0)
        return -1;
    struct theme fresh = *t;
    for (size_t i = 0; i < c->count; i++) {
        if (c->lines[i].key && line_parse(&c->lines[i], &fresh, err) < 0)
            return -1;
    }
    *t = fresh;
    return 0;
}

const char *theme_builtin(unsigned i)
{
    return i < ARRAY_SIZE(builtin_themes) ? builtin_themes[i].name : NULL;
}

static void builtin(const char *name, struct theme *t)
{
    for (size_t i = 0; i < ARRAY_SIZE(builtin_themes); i++) {
        const char *text = builtin_themes[i].text;
        if (strcmp(builtin_themes[i].name, name) == 0)
            theme_parse(name, text, strlen(text), t, NULL);
    }
}

/* The path of a theme file in the i-th place where one may be; NULL after the last. */
static char *theme_path(unsigned i, const char *name)
{
    cleanup_free char *exe = xstrdup(self_exe());
    char *slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0';
    switch (i) {
    case 0:
        return xasprintf("%s/themes/%s.theme", place_home(), name);
    case 1:
        return xasprintf("%s/../themes/%s.theme", exe, name);
    case 2:
        return xasprintf("%s/themes/%s.theme", PULT_DATADIR, name);
    default:
        return NULL;
    }
}

int theme_load(const char *name, struct theme *t, struct error *err)
{
    *t = (struct theme){0};
    builtin("dark", t);
    struct theme fallback = *t;
    builtin(name, t);
    snprintf(t->name, sizeof t->name, "%s", name);
    if (strchr(name, '/'))
        return error_set(err, 0, "a theme is named without its directory: '%s'", name);
    for (unsigned i = 0;; i++) {
        cleanup_free char *path = theme_path(i, name), *text = NULL;
        size_t len;
        struct error why;
        if (path == NULL)
            break;
        if (file_read_at(AT_FDCWD, path, THEME_MAX, &text, &len, &why) == 0)
            return theme_parse(path, text, len, t, err);
        if (why.code != ENOENT && why.code != ENOTDIR) {
            if (err)
                *err = why;
            return -1;
        }
    }
    if (memcmp(fallback.look, t->look, sizeof t->look) != 0 || strcmp(name, "dark") == 0)
        return 0;
    snprintf(t->name, sizeof t->name, "dark");
    return error_set(err, 0, "there is no theme '%s' in %s/themes, nor one that came with pult",
                     name, place_home());
}
