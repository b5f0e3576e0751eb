/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See field.h. */
#include "ui/field.h"

#include "base/util.h"
#include "ui/screen.h"

#define LABEL_WIDTH 16

void field_draw(const struct field_look *look, const struct edit *e, int y, struct rect in)
{
    int x = in.x + LABEL_WIDTH + 2, w = in.w - LABEL_WIDTH - 4;
    enum element el = look->now ? EL_FIELD_NOW : EL_FIELD;
    screen_putf(y, in.x + 2, LABEL_WIDTH,
                look->wrong ? EL_BAD
                : look->now ? EL_STRONG
                            : EL_FAINT,
                "%s%s", look->label, look->required ? " *" : "");
    screen_fill((struct rect){y, x, 1, w}, el);
    if (e->len > 0 || look->now)
        edit_draw(e, y, x, w, el, look->now);
    if (e->len == 0)
        screen_put(y, x + (look->now ? 2 : 0), w - 2, look->now ? EL_FIELD_NOW : EL_FIELD_HINT,
                   look->hint);
}

void words_push(char ***words, const char *word)
{
    size_t n = *words ? strv_len(*words) : 0;
    *words = xrealloc(*words, n + 2, sizeof(char *));
    (*words)[n] = xstrdup(word);
    (*words)[n + 1] = NULL;
}

void words_push_split(char ***words, const char *line)
{
    char **more = str_split_words(line, NULL);
    for (size_t i = 0; more && more[i]; i++)
        words_push(words, more[i]);
    strv_free(more);
}
