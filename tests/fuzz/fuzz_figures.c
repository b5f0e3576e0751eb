/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of /proc and cgroupfs as a kernel of another version, or a container's own naming of
 * processes and interfaces, would have them.
 */
#include "fuzz/feed.h"

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/figures.h"

static const char *const pieces[] = {
    "usage_usec 12\n",
    "user_usec 7\n",
    "1 (a b) S 1 1 1 0 -1 4194560 1 2 3 4 55 66 0 0 20 0 1\n",
    "1 (x) ) 9",
    "100 20 3 4\n",
    "8:0 rbytes=1 wbytes=2 rios=3\n",
    "8:0 Read 10\n",
    "Total 9\n",
    "8:0 Write 18446744073709551615\n",
    "  eth0: 1 2 3 4 5 6 7 8 9 10\n",
    "    lo: 5 0 0 0 0 0 0 0 5\n",
    "read_bytes: 4\n",
    "write_bytes: 5\n",
    "  |-- 10.0.0.2\n     /32 host LOCAL\n",
    "  |-- ",
    "127.0.0.1\n",
    "10.0.0.22",
    "/32 host LOCAL\n",
    "Main:\n",
    "192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0\n",
    "192.0.2.2        0x1         0x0         02:fc:00:00:00:05",
    "18446744073709551616",
    "-1",
    " ",
    "\n",
    ":",
    ")",
    "(",
    "=",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    char *text = NULL, out[32];
    size_t len;
    FILE *file = open_memstream(&text, &len);
    unsigned kind = feed_below(&f, FIGURE_KINDS + 1);
    uint64_t v[2];

    while (f.left > 0) {
        if (feed_rarely(&f, 8)) {
            cleanup_free char *raw = feed_string(&f, 16);
            fputs(raw, file);
        } else {
            fputs(feed_pick(&f, pieces), file);
        }
    }
    fclose(file);
    figure_parse((enum figure_kind)kind, text, v);
    memset(out, 'x', sizeof out);
    addresses_parse(text, out, sizeof out);
    must(strnlen(out, sizeof out) < sizeof out);
    taps_parse("tap=eth0 mac=02:fc:00:00:00:05 tap=", text, v);
    memset(out, 'x', sizeof out);
    neighbours_parse("tap=eth0 mac=02:fc:00:00:00:05 mac=", text, out, sizeof out);
    must(strnlen(out, sizeof out) < sizeof out);
    free(text);
    return 0;
}
