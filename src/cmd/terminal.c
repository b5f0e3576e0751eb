/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Raw mode, and back; terminal.h says what is undone. */
#include "cmd/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"

static struct termios before;
static bool is_raw;

/* DEC private modes that a program may leave switched: number, and how a shell wants it. */
static struct mode {
    unsigned number;
    bool normal, now;
} modes[] = {
    {1, false, false},  /* application cursor keys */
    {9, false, false},  /* mouse: X10 */
    {25, true, true},   /* cursor visible */
    {47, false, false}, /* alternate screen, in its three forms */
    {1047, false, false}, {1049, false, false}, {1000, false, false}, /* mouse: presses, drags,
                                                                         moves, and how they are
                                                                         told */
    {1002, false, false}, {1003, false, false}, {1005, false, false}, {1006, false, false},
    {1015, false, false}, {1004, false, false}, /* focus events */
    {2004, false, false},                       /* bracketed paste */
};

bool terminal_here(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

void terminal_size(unsigned *cols, unsigned *rows)
{
    struct winsize ws = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0)
        ioctl(STDIN_FILENO, TIOCGWINSZ, &ws);
    *cols = ws.ws_col;
    *rows = ws.ws_row;
}

int terminal_raw(struct error *err)
{
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return error_set(err, errno, "read the settings of the terminal");
    struct termios raw = before;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        return error_set(err, errno, "switch the terminal to raw mode");
    is_raw = true;
    return 0;
}

static void mode_switched(unsigned number, bool on)
{
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        if (modes[i].number == number)
            modes[i].now = on;
}

/* Follow CSI ? N ; N … h and l, through any cut between two calls. */
void terminal_printed(const char *data, size_t len)
{
    static enum { TEXT, ESCAPE, CSI, PRIVATE } state;
    static unsigned numbers[8], count;
    for (size_t i = 0; i < len; i++) {
        char c = data[i];
        if (c == 033) {
            state = ESCAPE;
        } else if (state == ESCAPE) {
            state = c == '[' ? CSI : TEXT;
        } else if (state == CSI) {
            state = c == '?' ? PRIVATE : TEXT;
            numbers[0] = count = 0;
        } else if (state == PRIVATE && c >= '0' && c <= '9') {
            numbers[count] = (numbers[count] * 10 + (unsigned)(c - '0')) % 100000;
        } else if (state == PRIVATE && c == ';') {
            count = (count + 1) % ARRAY_SIZE(numbers);
            numbers[count] = 0;
        } else if (state == PRIVATE) {
            for (unsigned n = 0; n <= count && (c == 'h' || c == 'l'); n++)
                mode_switched(numbers[n], c == 'h');
            state = TEXT;
        }
    }
}

void terminal_restore(void)
{
    if (!is_raw)
        return;
    char undo[256] = "\033[0m";
    size_t len = 4;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        if (modes[i].now == modes[i].normal)
            continue;
        modes[i].now = modes[i].normal;
        len += (size_t)snprintf(undo + len, sizeof undo - len, "\033[?%u%c", modes[i].number,
                                modes[i].normal ? 'h' : 'l');
    }
    write_all(STDOUT_FILENO, undo, len);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    is_raw = false;
}
