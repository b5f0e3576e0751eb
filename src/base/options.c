/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of options in one value, see options.h. */
#include "base/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

/* Cut the next option off *rest, making ",," one comma. NULL: there is none. */
static char *next_option(char **rest)
{
    char *start = *rest, *to = start;

    if (!start)
        return NULL;
    for (const char *p = start;; p++) {
        if (*p == ',' && p[1] == ',')
            p++;
        else if (*p == ',' || *p == '\0') {
            *rest = *p ? (char *)(uintptr_t)p + 1 : NULL;
            *to = '\0';
            return start;
        }
        *to++ = *p;
    }
}

static int unknown(const char *name, const struct option *known, struct error *err)
{
    const char *names[64];
    size_t n = 0;

    for (const struct option *o = known; o->name && n < ARRAY_SIZE(names); o++)
        if (*o->name)
            names[n++] = o->name;
    error_set(err, 0, "there is no option '%s'", name);
    const char *near = str_nearest(name, names, n);
    if (near)
        return error_hint(err, "perhaps '%s'", near);
    if (n == 0)
        return error_hint(err, "it takes none");
    cleanup_free char *all = xstrdup("");
    for (size_t i = 0; i < n; i++) {
        char *more = xasprintf("%s%s%s", all, i ? ", " : "", names[i]);
        free(all);
        all = more;
    }
    return error_hint(err, "there is %s", all);
}

/* One option as it was cut off. `first`: the one without a name may stand here. */
static int add(struct options *o, char *word, const struct option *known, bool first,
               struct error *err)
{
    const struct option *k = known;
    char *value;

    if (first && k->name && !*k->name) {
        value = word;
        word = word + strlen(word); /* its name */
    } else {
        value = strchr(word, '=');
        if (value)
            *value++ = '\0';
        while (k->name && (!*k->name || strcmp(k->name, word) != 0))
            k++;
        if (!*word)
            return error_set(err, 0, "an option without a name");
        if (!k->name)
            return unknown(word, known, err);
    }
    if (k->kind != OPTION_LIST && options_get(o, word))
        return error_set(err, 0, "'%s' is said twice", word);
    if (k->kind == OPTION_FLAG && value)
        return error_set(err, 0, "'%s' takes no value", word);
    if ((k->kind == OPTION_VALUE || k->kind == OPTION_LIST) && (!value || !*value))
        return *word ? error_set(err, 0, "'%s' needs a value: %s=…", word, word)
                     : error_set(err, 0, "what comes first is missing");
    if (value && k->check && k->check(value, err) < 0)
        return *word ? error_wrap(err, "%s", word) : -1;
    o->given = xrealloc(o->given, o->count + 1, sizeof(o->given[0]));
    o->given[o->count++] = (struct option_given){word, value ? value : ""};
    return 0;
}

int options_parse(const char *value, const struct option *known, struct options *out,
                  struct error *err)
{
    *out = (struct options){.text = xstrdup(value)};
    char *rest = out->text, *word;

    for (bool first = true; (word = next_option(&rest)); first = false)
        if (add(out, word, known, first, err) < 0) {
            options_clear(out);
            return -1;
        }
    return 0;
}

void options_clear(struct options *o)
{
    free(o->text);
    free(o->given);
    *o = (struct options){0};
}

const char *options_nth(const struct options *o, const char *name, size_t i)
{
    for (size_t n = 0; n < o->count; n++)
        if (strcmp(o->given[n].name, name) == 0 && i-- == 0)
            return o->given[n].value;
    return NULL;
}

const char *options_get(const struct options *o, const char *name)
{
    return options_nth(o, name, 0);
}
