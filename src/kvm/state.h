/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is to be kept of a machine that stands still, as bytes.
 *
 * One function of each part goes through its fields, and saves them or loads them as the state
 * says: so what is saved and what is loaded cannot differ. Sections have names; one that is not
 * where it is expected, a length that does not fit or bytes that are missing make the whole state
 * invalid, with the first reason kept, and everything loaded after that is zeroes. Numbers are as
 * the host has them: a state goes back to the same kind of host.
 *
 * What is loaded is a file's word. Each part checks what it got, as it checks what a guest says.
 */
#ifndef PULT_KVM_STATE_H
#define PULT_KVM_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct state {
    bool loading, invalid;
    uint64_t elapsed_ns; /* loading: how long ago it was saved, in the real world */
    struct error *err;   /* the first reason for being invalid; may be NULL */
    uint8_t *data;
    size_t len, room, at; /* bytes that are there; that there is memory for; of them read */
};

/* Save into an empty state, whose data the caller frees; or load from what the caller has. */
void state_save(struct state *s, struct error *err);
void state_load(struct state *s, void *data, size_t len, struct error *err);

/* Save len bytes from data, or load them to there. */
void state_bytes(struct state *s, void *data, size_t len);
#define state_item(s, x) state_bytes((s), &(x), sizeof(x))

/*
 * Begin a part. A newer pult may know older versions: returns the one that is in the state, which
 * is `version` when saving, and 0 where it is invalid.
 */
uint32_t state_section(struct state *s, const char *name, uint32_t version);

/* Loaded something that cannot be. Returns -1. */
int state_refuse(struct state *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* At the end: 0, or -1 if it is invalid; bytes that nobody asked for make it so. */
int state_finish(struct state *s);

#endif
