/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/figures.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define TEXT_MAX  8192
#define LINKS_MAX (64u << 10) /* of /proc/net/dev: some 500 interfaces */

#define PROC_LINKS      "/proc/net/dev"
#define PROC_NEIGHBOURS "/proc/net/arp"

/* The number behind "key" at the start of a line, or 0. */
static uint64_t line_value(const char *text, const char *key)
{
    size_t n = strlen(key);
    for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (strncmp(p, key, n) == 0 && p[n] == ' ')
            return strtoull(p + n, NULL, 10);
    return 0;
}

/* The sum of the numbers behind each occurrence of a word. */
static uint64_t sum_after(const char *text, const char *word)
{
    uint64_t sum = 0;
    for (const char *p = text; (p = strstr(p, word));) {
        p += strlen(word);
        sum += strtoull(p, NULL, 10);
    }
    return sum;
}

static void parse_number(const char *text, uint64_t v[2])
{
    v[0] = strtoull(text, NULL, 10);
}

static void parse_cpu_stat(const char *text, uint64_t v[2])
{
    v[0] = line_value(text, "usage_usec") * 1000;
}

/* proc(5): fields 14 and 15, counted behind the name, which may hold anything. */
static void parse_proc_stat(const char *text, uint64_t v[2])
{
    const char *p = strrchr(text, ')');
    uint64_t user, kernel;
    if (p && sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user,
                    &kernel) == 2)
        v[0] = (user + kernel) * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
}

static void parse_statm(const char *text, uint64_t v[2])
{
    const char *p = strchr(text, ' ');
    if (p)
        v[0] = strtoull(p, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void parse_io_stat(const char *text, uint64_t v[2])
{
    v[0] = sum_after(text, "rbytes=");
    v[1] = sum_after(text, "wbytes=");
}

static void parse_blkio(const char *text, uint64_t v[2])
{
    v[0] = sum_after(text, " Read ");
    v[1] = sum_after(text, " Write ");
}

/* Received bytes are the first number behind "name:", sent ones the ninth. */
static void parse_net_dev(const char *text, uint64_t v[2])
{
    for (const char *p = text; (p = strchr(p, ':')); p++) {
        uint64_t rx, tx;
        bool loopback = p - text >= 3 && memcmp(p - 3, " lo", 3) == 0;
        if (!loopback &&
            sscanf(p, ": %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &rx, &tx) == 2) {
            v[0] += rx;
            v[1] += tx;
        }
    }
}

static void parse_proc_io(const char *text, uint64_t v[2])
{
    v[0] = line_value(text, "read_bytes:");
    v[1] = line_value(text, "write_bytes:");
}

static void (*const parsers[FIGURE_KINDS])(const char *text, uint64_t v[2]) = {
    [FIGURE_NUMBER] = parse_number,       [FIGURE_CPU_STAT] = parse_cpu_stat,
    [FIGURE_PROC_STAT] = parse_proc_stat, [FIGURE_PROC_STATM] = parse_statm,
    [FIGURE_IO_STAT] = parse_io_stat,     [FIGURE_BLKIO] = parse_blkio,
    [FIGURE_NET_DEV] = parse_net_dev,     [FIGURE_PROC_IO] = parse_proc_io,
};

void figure_parse(enum figure_kind kind, const char *text, uint64_t v[2])
{
    v[0] = v[1] = 0;
    if ((unsigned)kind < FIGURE_KINDS && parsers[kind])
        parsers[kind](text, v);
}

/* ---- guests on taps ---- */

static const char *next_line(const char *p)
{
    p = strchr(p, '\n');
    return p ? p + 1 : NULL;
}

/* Is "KIND" followed by exactly these bytes one of the words? */
static bool has_word(const char *words, const char *kind, const char *value, size_t len)
{
    const size_t n = strlen(kind);
    for (const char *p = words; *p;) {
        size_t word = strcspn(p, " ");
        if (word == n + len && strncmp(p, kind, n) == 0 && strncasecmp(p + n, value, len) == 0)
            return true;
        p += word + (p[word] == ' ');
    }
    return false;
}

void taps_parse(const char *words, const char *net_dev, uint64_t v[2])
{
    for (const char *p = net_dev; p && *p; p = next_line(p)) {
        const char *name = p + strspn(p, " ");
        size_t len = strcspn(name, ":\n");
        uint64_t rx, tx;
        if (name[len] == ':' && has_word(words, "tap=", name, len) &&
            sscanf(name + len, ": %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &rx, &tx) ==
                2) {
            v[0] += tx; /* what the host sends there the guest receives */
            v[1] += rx;
        }
    }
}

/* proc(5): address, type, flags, hardware address, … of each; flag 2 says that it is known. */
/* One more address, unless it is there already. */
static void add_address(const char *address, size_t len, char *out, size_t room)
{
    const size_t used = strlen(out);
    if (used + len + 2 > room || has_word(out, "", address, len))
        return;
    snprintf(out + used, room - used, "%s%.*s", used ? " " : "", (int)len, address);
}

void neighbours_parse(const char *words, const char *arp, char *out, size_t room)
{
    out[0] = '\0';
    for (const char *p = words; (p = strstr(p, "ip=")); p++)
        if (p == words || p[-1] == ' ')
            add_address(p + 3, strcspn(p + 3, " "), out, room);
    for (const char *p = next_line(arp); p && *p; p = next_line(p)) {
        char address[16], mac[18];
        unsigned flags;
        if (sscanf(p, "%15[0-9.] 0x%*x 0x%x %17[0-9a-fA-F:]", address, &flags, mac) != 3 ||
            !(flags & 2) || !has_word(words, "mac=", mac, strlen(mac)))
            continue;
        add_address(address, strlen(address), out, room);
    }
}

/* A whole file of /proc/net, which comes in pieces. */
static void read_whole(int fd, char *text, size_t room)
{
    size_t len = 0;
    ssize_t n;
    while (len < room - 1 && (n = pread(fd, text + len, room - 1 - len, (off_t)len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
}

static void read_taps(int fd, const char *words, uint64_t v[2])
{
    char text[LINKS_MAX];
    read_whole(fd, text, sizeof text);
    taps_parse(words, text, v);
}

static void find_neighbours(const char *words, char *out, size_t room)
{
    cleanup_close int fd = open(PROC_NEIGHBOURS, O_RDONLY | O_CLOEXEC);
    char text[LINKS_MAX];
    text[0] = '\0';
    if (fd >= 0)
        read_whole(fd, text, sizeof text);
    neighbours_parse(words, text, out, room);
}

/* ---- files ---- */

/* Are there taps that the page does not count? */
static bool has_taps(const struct status_page *page)
{
    const struct figure_source *net = &page->figures[FIGURE_NET];
    return net->kind == FIGURE_PAGE && strstr(net->path, "tap=");
}

bool figures_say(const struct status_page *page, const char *kind, const char *value)
{
    const struct figure_source *net = &page->figures[FIGURE_NET];
    return net->kind == FIGURE_PAGE && has_word(net->path, kind, value, strlen(value));
}

void figures_open(struct figure_files *f, const struct status_page *page)
{
    for (unsigned i = 0; i < FIGURES; i++) {
        bool file = page->figures[i].kind < FIGURE_KINDS && parsers[page->figures[i].kind];
        f->fd[i] = file ? open(page->figures[i].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    }
    if (has_taps(page))
        f->fd[FIGURE_NET] = open(PROC_LINKS, O_RDONLY | O_CLOEXEC);
}

void figures_close(struct figure_files *f)
{
    for (unsigned i = 0; i < FIGURES; i++) {
        if (f->fd[i] >= 0)
            close(f->fd[i]);
        f->fd[i] = -1;
    }
}

void figures_read(const struct figure_files *f, const struct status_page *page, struct totals *out)
{
    uint64_t v[FIGURES][2] = {0};
    char text[TEXT_MAX];
    for (unsigned i = 0; i < FIGURES; i++) {
        if (f->fd[i] < 0 || page->figures[i].kind == FIGURE_PAGE)
            continue;
        ssize_t n = pread(f->fd[i], text, sizeof text - 1, 0);
        if (n < 0)
            continue;
        text[n] = '\0';
        figure_parse((enum figure_kind)page->figures[i].kind, text, v[i]);
    }
    if (page->figures[FIGURE_DISK].kind == FIGURE_PAGE) {
        v[FIGURE_DISK][0] = page->disk_read;
        v[FIGURE_DISK][1] = page->disk_written;
    }
    if (page->figures[FIGURE_NET].kind == FIGURE_PAGE) {
        v[FIGURE_NET][0] = page->net_rx;
        v[FIGURE_NET][1] = page->net_tx;
        if (f->fd[FIGURE_NET] >= 0)
            read_taps(f->fd[FIGURE_NET], page->figures[FIGURE_NET].path, v[FIGURE_NET]);
    }
    uint64_t exits = 0;
    for (unsigned i = 0; i < STATUS_COUNTERS; i++)
        exits += page->exits[i].count;
    *out = (struct totals){
        .exits = exits,
        .cpu_ns = v[FIGURE_CPU][0],
        .memory_bytes = page->memory_used ? page->memory_used : v[FIGURE_MEMORY][0],
        .resident_bytes =
            page->figures[FIGURE_MEMORY].kind == FIGURE_PROC_STATM ? v[FIGURE_MEMORY][0] : 0,
        .disk_read = v[FIGURE_DISK][0],
        .disk_written = v[FIGURE_DISK][1],
        .net_rx = v[FIGURE_NET][0],
        .net_tx = v[FIGURE_NET][1],
    };
}

/*
 * fib_trie lists each local address as "|-- ADDRESS" followed by a line "/32 host LOCAL"; it does
 * so in two tables, so an address that is there already is passed over.
 */
void addresses_parse(const char *fib_trie, char *out, size_t room)
{
    char last[48] = "";
    out[0] = '\0';
    for (const char *p = fib_trie; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        size_t len = strcspn(p, "\n");
        const char *at = memmem(p, len, "|-- ", 4);
        if (at) {
            size_t n = min((size_t)(p + len - at - 4), sizeof last - 1);
            memcpy(last, at + 4, n);
            last[n] = '\0';
        } else if (memmem(p, len, "host LOCAL", 10) && !str_starts(last, "127.")) {
            size_t used = strlen(out), n = strlen(last);
            const char *there = strstr(out, last);
            if ((there && (there[n] == ' ' || there[n] == '\0')) || used + n + 2 > room)
                continue;
            snprintf(out + used, room - used, "%s%s", used ? " " : "", last);
        }
    }
}

void figures_addresses(const struct status_page *page, char *out, size_t room)
{
    const struct figure_source *net = &page->figures[FIGURE_NET];
    const char *slash = strrchr(net->path, '/');
    out[0] = '\0';
    if (net->kind == FIGURE_PAGE && strstr(net->path, "mac="))
        find_neighbours(net->path, out, room);
    if (net->kind != FIGURE_NET_DEV || !slash)
        return;
    cleanup_free char *path = xasprintf("%.*s/fib_trie", (int)(slash - net->path), net->path);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char text[TEXT_MAX];
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n <= 0)
        return;
    text[n] = '\0';
    addresses_parse(text, out, room);
}
