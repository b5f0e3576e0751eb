/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's console, as its keeper has it: one ring of what the guest printed, any number of
 * readers, and a way in for what they type.
 *
 *     guest ──► pty master or console_put() ──► ring (RUN/NAME/console, mapped) ──► each reader's
 *                                                │                                   socket
 *                                                └─► `pult log` reads the file itself
 *
 * Nothing is queued per reader: a reader is a position in the ring, and writev() sends from there.
 * A reader that falls behind by more than the ring holds is cut off and goes on near the end, with
 * the terminal's modes (alternate screen, mouse, …) restated first, so that a slow reader never
 * holds up the guest. Only a reader that asked for every byte (`pult run` into a pipe) makes the
 * guest wait, as a pipe would.
 *
 * The ring file: a page with the magic "pultring", a u64 position (bytes ever written) and the u64
 * size, then `size` bytes; byte number n lies at n % size.
 */
#ifndef PULT_GUEST_CONSOLE_H
#define PULT_GUEST_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct event_base;
struct console;

#define CONSOLE_FILE      "console"
#define CONSOLE_LOG       "console.log" /* in the definition: the last run, oldest byte first */
#define CONSOLE_RING_SIZE (1u << 20)    /* bytes of history, by default */
#define CONSOLE_RING_MAX  (64u << 20)

/*
 * Create the ring file in run_dir_fd, `size` bytes (rounded up to pages; guest.console.history).
 * base is the keeper's loop.
 */
struct console *console_create(struct event_base *base, int run_dir_fd, const char *file,
                               size_t size, struct error *err);
void console_free(struct console *c);

/*
 * It is no terminal, but carries bytes for programs: there is no past and no mode to be restated,
 * and every reader is one that wants every byte.
 */
void console_make_stream(struct console *c);

/* ---- engine's side ---- */

/* What an engine that is not a file descriptor plugs in. All are called in the loop thread. */
struct console_port {
    /* Bytes for the guest. Returns how many it took; after fewer, console_input_ready(). */
    size_t (*input)(void *arg, const void *data, size_t len);
    /* console_put() took fewer than given; now it would take more. */
    void (*output_ready)(void *arg);

    /* Both optional. The size in cells, when it is set and when the port is plugged in. */
    void (*resize)(void *arg, unsigned cols, unsigned rows);
    /* The first reader has come, or the last is gone; also told when the port is plugged in. */
    void (*attended)(void *arg, bool yes);
};
void console_plug(struct console *c, const struct console_port *port, void *arg);
/*
 * Plug a pty master in: the console reads and writes it itself. The caller keeps the fd, and one
 * of the slave too, so that the pty does not hang up while nobody in the guest has it open.
 */
int console_plug_fd(struct console *c, int fd, struct error *err);
/*
 * Take everything out that is still in the pty, then forget it; what does not fit into the ring
 * because of a reader that wants every byte is kept beside it. For a port: just forget.
 */
void console_unplug(struct console *c);

/* The guest prints. Thread-safe, never blocks. Returns how many bytes were taken. */
size_t console_put(struct console *c, const void *data, size_t len);
/*
 * What a guest that is gone had printed and the port still holds, before the unplugging: what does
 * not fit into the ring is kept beside it. In the loop thread.
 */
void console_put_last(struct console *c, const void *data, size_t len);
/* The port can take input again. Thread-safe. */
void console_input_ready(struct console *c);

/* ---- keeper's side (loop thread) ---- */

struct console_reader {
    size_t history;  /* at most so many bytes of the past first */
    bool every_byte; /* the guest waits for this reader */
    bool mute;       /* what it sends is thrown away */
};
/* fd is a connected stream socket, owned by the console from now on. `first` is sent before. */
int console_attach(struct console *c, int fd, const struct console_reader *how, const void *first,
                   size_t first_len, struct error *err);
/* Bytes for the guest that came another way than from a reader; what it has no room for is lost. */
void console_type(struct console *c, const void *data, size_t len);
unsigned console_readers(const struct console *c);
/* Tell the port that it has a new size. */
void console_resize(struct console *c, unsigned cols, unsigned rows);
/*
 * Nothing more will be printed: send each reader the rest, close it, and call done when none is
 * left. Readers that want every byte are waited for as long as they live, others for ms.
 */
void console_finish(struct console *c, unsigned ms, void (*done)(void *arg), void *arg);

/* ---- anybody's side ---- */

/* The history in RUN/NAME/console, oldest byte first. Caller frees. Distrusts the file. */
int console_history(int run_dir_fd, char **data, size_t *len, struct error *err);
/* The same bytes without escape sequences and carriage returns: text for `pult log`. */
size_t console_plain(char *data, size_t len); /* in place; the new length */

#endif
