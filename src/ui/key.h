/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys. What the admin's terminal sends is a stream of bytes; input.c makes of it a stream of
 * these. A key has a name ("F1", "Ctrl-]", "Alt-x", "PgUp", "a") that key_parse() reads and
 * key_name() writes, so that tables and config files can speak of it.
 */
#ifndef PULT_UI_KEY_H
#define PULT_UI_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum key_mod { MOD_SHIFT = 1, MOD_ALT = 2, MOD_CTRL = 4 }; /* as xterm counts them */

/* Codes above Unicode. A key is one of these or a character. */
enum key_code {
    K_NONE = 0,
    K_ENTER = 0x110000,
    K_TAB,
    K_ESC,
    K_BACKSPACE,
    K_UP,
    K_DOWN,
    K_LEFT,
    K_RIGHT,
    K_HOME,
    K_END,
    K_PGUP,
    K_PGDN,
    K_INS,
    K_DEL,
    K_F0,
    K_F1,
    K_F12 = K_F0 + 12,
    K_F24 = K_F0 + 24,
    K_MOUSE,       /* see the mouse fields */
    K_PASTE_BEGIN, /* the characters up to K_PASTE_END were pasted, not typed */
    K_PASTE_END,
};

enum mouse_kind { MOUSE_PRESS, MOUSE_RELEASE, MOUSE_MOVE, MOUSE_WHEEL_UP, MOUSE_WHEEL_DOWN };

struct key {
    uint32_t code;
    unsigned mods; /* enum key_mod */
    /* K_MOUSE only; the screen's upper left cell is 0, 0. */
    enum mouse_kind mouse;
    int button, row, col;
};

/* Read a key's name; case matters for single characters only. */
int key_parse(const char *name, struct key *key, struct error *err);
/* "Ctrl-Alt-Shift-Backspace" fits. */
#define KEY_NAME_ROOM 28
void key_name(const struct key *key, char out[KEY_NAME_ROOM]);
bool key_equal(const struct key *a, const struct key *b);

#endif
