/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes from the admin's terminal → keys. The sequences of xterm, tmux, screen, rxvt and the Linux
 * console are decoded from their grammar rather than from terminfo, which knows no modifiers, no
 * mouse and no paste. Nothing waits here: input_next() says that it needs more, and the owner
 * sets a timer of INPUT_ESC_MS, after which a lone ESC is the key itself.
 */
#ifndef PULT_UI_INPUT_H
#define PULT_UI_INPUT_H

#include "ui/key.h"

#define INPUT_ESC_MS 25

struct input {
    unsigned char buf[4096];
    size_t len;
};

/* How many bytes input_add() has room for. */
size_t input_room(const struct input *in);
void input_add(struct input *in, const void *bytes, size_t len);

/*
 * Take the next key out. False: there is none; if bytes are left (in->len), they begin a sequence
 * that is not complete. flush: no more will come, take what is there as it stands.
 */
bool input_next(struct input *in, bool flush, struct key *key);

#endif
