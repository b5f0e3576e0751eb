/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest prints, and the ring file in which a keeper keeps it: a history that anybody may
 * have written, its plain text, and the modes of the terminal behind it.
 */
#include "fuzz/feed.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "fuzz/dir.h"
#include "guest/console.h"
#include "guest/ttymodes.h"

static const char *const pieces[] = {
    "login: ",     "\r\n",
    "\n",          "\b\b",
    "\t",          "\033[",
    "\033[?",      "\033]0;",
    "\033P",       "\033\\",
    "\007",        "\033[?1049h",
    "\033[?25l",   "\033[?1000;1006h",
    "\033[?2004h", "\033[?7l",
    "\033c",       "\033[?1;25;2004l",
    "\x18",        "\033[1;31m",
    "\033(B",      "1049",
    ";",           "h",
    "l",           "m",
    "\xc3\xa4",    "\033[?99999999999h",
    "\033[?1$p",   "\033[?1",
};

/* Mostly control sequences, whole and broken off. */
static size_t generate(struct feed *f, char *out, size_t room)
{
    size_t n = 0;
    while (f->left > 0 && n < room) {
        if (feed_rarely(f, 8)) {
            n += feed_bytes(f, out + n, min(room - n, (size_t)16));
        } else {
            const char *piece = feed_pick(f, pieces);
            size_t len = min(strlen(piece), room - n);
            memcpy(out + n, piece, len);
            n += len;
        }
    }
    return n;
}

/* The scanner gives the same however the stream is cut, and what it restates is what it saw. */
static void modes(struct feed f, const char *text, size_t len)
{
    struct ttymodes whole = {0}, cut = {0}, again = {0};
    char out[TTYMODES_MAX];

    ttymodes_feed(&whole, text, len);
    for (size_t at = 0, n; at < len; at += n) {
        n = min((size_t)feed_byte(&f) % 8 + 1, len - at);
        ttymodes_feed(&cut, text + at, n);
    }
    must(whole.on == cut.on && whole.state == cut.state);
    size_t n = ttymodes_restate(&whole, out);
    must(n < sizeof out);
    ttymodes_feed(&again, out, n);
    must(again.on == whole.on);
    /* A reader in the middle of any sequence is brought to the same. */
    ttymodes_feed(&cut, out, n);
    must(cut.on == whole.on);
}

static void plain(const char *text, size_t len)
{
    cleanup_free char *copy = xcalloc(len + 1, 1);
    memcpy(copy, text, len);
    size_t n = console_plain(copy, len);
    must(n <= len);
    for (size_t i = 0; i < n; i++)
        must((unsigned char)copy[i] >= ' ' || copy[i] == '\n' || copy[i] == '\t');
    must(console_plain(copy, n) <= n);
}

/* A ring file with a header of mostly right numbers. */
static void history(struct feed *f, const char *text, size_t len)
{
    static int dir = -1, fd = -1;
    struct {
        char magic[8];
        uint64_t position, size;
    } header = {.magic = "pultring"};

    if (dir < 0) {
        dir = fuzz_dir();
        fd = openat(dir, CONSOLE_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        must(fd >= 0);
    }
    header.position = feed_rarely(f, 3) ? feed_u64(f) : feed_below(f, 3 * len + 1);
    header.size = feed_rarely(f, 4) ? feed_u64(f) : len;
    if (feed_rarely(f, 16))
        header.magic[feed_below(f, 8)] ^= 1;
    must(ftruncate(fd, 0) == 0 && pwrite(fd, &header, sizeof header, 0) == sizeof header);
    must(pwrite(fd, text, len, 4096) == (ssize_t)len);

    char *data = NULL;
    size_t n = 0;
    struct error err = {0};
    if (console_history(dir, &data, &n, &err) < 0) {
        must(*err.text != '\0');
        return;
    }
    must(n <= len && n <= header.position);
    if (header.size == len && header.position == len)
        must(n == len && memcmp(data, text, len) == 0);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size}, ring = {data, size};
    char text[4096];
    size_t len = generate(&f, text, sizeof text);

    modes((struct feed){data, size}, text, len);
    plain(text, len);
    history(&ring, text, len);
    return 0;
}
