/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of keys, one table for both directions. */
#include "ui/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "ui/cell.h"

static const struct {
    uint32_t code;
    const char *name;
} names[] = {
    {K_ENTER, "Enter"}, {K_TAB, "Tab"},   {K_ESC, "Esc"},   {K_BACKSPACE, "Backspace"},
    {K_UP, "Up"},       {K_DOWN, "Down"}, {K_LEFT, "Left"}, {K_RIGHT, "Right"},
    {K_HOME, "Home"},   {K_END, "End"},   {K_PGUP, "PgUp"}, {K_PGDN, "PgDn"},
    {K_INS, "Ins"},     {K_DEL, "Del"},   {' ', "Space"},   {'=', "Equal"},
    {'#', "Hash"},
};

static const struct {
    unsigned mod;
    const char *prefix;
} mods[] = {{MOD_CTRL, "Ctrl-"}, {MOD_ALT, "Alt-"}, {MOD_SHIFT, "Shift-"}};

int key_parse(const char *name, struct key *key, struct error *err)
{
    *key = (struct key){0};
    const char *s = name;
    for (size_t i = 0; i < ARRAY_SIZE(mods); i++) {
        size_t n = strlen(mods[i].prefix);
        if (strncasecmp(s, mods[i].prefix, n) == 0 && s[n]) {
            key->mods |= mods[i].mod;
            s += n;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcasecmp(s, names[i].name) == 0) {
            key->code = names[i].code;
            return 0;
        }
    }
    size_t len = strlen(s);
    if ((s[0] == 'F' || s[0] == 'f') && len > 1) {
        int64_t n;
        if (number_parse(s + 1, 1, 24, &n, NULL) == 0) {
            key->code = K_F0 + (uint32_t)n;
            return 0;
        }
    }
    uint32_t c = 0;
    if (len > 0 && utf8_get(s, len, &c) == len && c >= 0x20 && c != 0x7f && c != 0xfffd) {
        if ((key->mods & MOD_CTRL) && c >= 'A' && c <= 'Z')
            c += 'a' - 'A';
        key->code = c;
        return 0;
    }
    return error_set(err, 0, "'%s' is not the name of a key; such are a, F5, Ctrl-L, Space, PgUp",
                     name);
}

void key_name(const struct key *key, char out[KEY_NAME_ROOM])
{
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(mods); i++) {
        if (key->mods & mods[i].mod)
            n += (size_t)snprintf(out + n, KEY_NAME_ROOM - n, "%s", mods[i].prefix);
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].code == key->code) {
            snprintf(out + n, KEY_NAME_ROOM - n, "%s", names[i].name);
            return;
        }
    }
    if (key->code >= K_F1 && key->code <= K_F24) {
        snprintf(out + n, KEY_NAME_ROOM - n, "F%u", key->code - K_F0);
        return;
    }
    uint32_t c = key->code < 0x110000 ? key->code : '?';
    if (n > 0 && c >= 'a' && c <= 'z' && (key->mods & MOD_CTRL))
        c -= 'a' - 'A'; /* people write Ctrl-L */
    n += utf8_put(out + n, c);
    out[n] = '\0';
}

bool key_equal(const struct key *a, const struct key *b)
{
    return a->code == b->code && a->mods == b->mods;
}
