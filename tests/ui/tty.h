/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real program on a terminal, as a person has it: a pty, what comes out of it fed to libvterm,
 * keys sent as typed. Nothing sleeps: tty_wait() returns as soon as the text is on the screen.
 */
#ifndef PULT_TESTS_UI_TTY_H
#define PULT_TESTS_UI_TTY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TTY_MS 15000 /* how long to wait for what must come */

struct tty {
    int fd;
    pid_t pid;
    int rows, cols;
    void *vt, *screen;
    size_t bytes;                  /* that came out */
    int changed_top, changed_rest; /* times that cells of row 0, or below, were drawn */
    char raw[1 << 16];             /* the newest of them */
    size_t raw_len;
    int status;
    bool ended;
};

/* Run build/pult (or argv[0]) with TERM=term. env: "NAME=value" or NULL. */
struct tty *tty_start(int cols, int rows, const char *term, const char *env, char *const *argv);
void tty_resize(struct tty *t, int cols, int rows);
void tty_send(struct tty *t, const char *keys);
/* Take in what comes for ms milliseconds at most, or until nothing came for quiet_ms. */
void tty_pump(struct tty *t, int ms, int quiet_ms);
/* Until text is anywhere on the screen (tty_wait_row: in that row; tty_wait_gone: nowhere). */
bool tty_wait(struct tty *t, const char *text);
bool tty_wait_row(struct tty *t, int row, const char *text);
bool tty_wait_gone(struct tty *t, const char *text);
/* Until it ended; its exit status, or 128 + signal; -1: it did not. */
int tty_wait_end(struct tty *t);
bool tty_has(struct tty *t, const char *text);
char *tty_row(struct tty *t, int row); /* UTF-8, trailing blanks off; caller frees */
void tty_dump(struct tty *t);
/* Hang up, wait for the end, free. Returns as tty_wait_end() does; what does not end is killed. */
int tty_hang_up(struct tty *t);
void tty_close(struct tty *t);

/* Fail with a picture of the screen. */
#define tty_expect(t, text)                          \
    do {                                             \
        if (!tty_wait(t, text)) {                    \
            tty_dump(t);                             \
            fail_msg("not on the screen: %s", text); \
        }                                            \
    } while (0)
#define tty_expect_gone(t, text)                       \
    do {                                               \
        if (!tty_wait_gone(t, text)) {                 \
            tty_dump(t);                               \
            fail_msg("still on the screen: %s", text); \
        }                                              \
    } while (0)

#endif
