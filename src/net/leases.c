/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a network's server gave out (server.h): the file that dnsmasq keeps, HOME/networks/
 * NAME.leases, a lease a line: "EXPIRES MAC ADDRESS NAME CLIENT-ID". Below the line "duid …" come
 * those of IPv6, whose second word is no MAC. Names are what clients call themselves, so they are
 * made fit to be shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/server.h"

#define FILE_MAX (4u << 20)

static bool parse_mac(const char *text, uint8_t m[6])
{
    int end = 0;

    return strlen(text) == 17 && !text[strspn(text, "0123456789abcdefABCDEF:")] &&
           sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &m[0], &m[1], &m[2], &m[3], &m[4],
                  &m[5], &end) == 6 &&
           end == 17;
}

static bool parse_line(char *line, struct lease *l)
{
    char *rest = line;
    const char *expires = strsep(&rest, " "), *mac = strsep(&rest, " ");
    const char *address = strsep(&rest, " "), *name = strsep(&rest, " ");

    *l = (struct lease){0};
    if (!name || !parse_mac(mac, l->mac) || strchr(address, '/') ||
        number_parse(expires, 0, INT64_MAX, &l->expires, NULL) < 0 ||
        address_parse(address, &l->address, NULL) < 0)
        return false;
    if (!str_eq(name, "*"))
        snprintf(l->name, sizeof(l->name), "%s", name);
    str_printable(l->name);
    return true;
}

int server_leases(const char *network, struct lease **out, size_t *count, struct error *err)
{
    cleanup_free char *path = network_home_path(network, "leases"), *text = NULL;
    size_t room = 0;

    *out = NULL;
    *count = 0;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (file_read_at(AT_FDCWD, path, FILE_MAX, &text, NULL, err) < 0)
        return -1;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (*count == room) {
            room = room ? 2 * room : 64;
            *out = xrealloc(*out, room, sizeof(**out));
        }
        if (parse_line(line, &(*out)[*count]))
            ++*count;
    }
    return 0;
}
