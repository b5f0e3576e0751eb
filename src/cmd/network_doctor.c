/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult network doctor: where a packet's way through a network ends. */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "net/doctor.h"
#include "net/journal.h"
#include "net/network.h"

struct report {
    json_t *findings; /* NULL: printed as they come */
    const char *network;
    unsigned bad;
};

static void add_finding(void *arg, enum net_finding f, const char *subject, const char *text,
                        const char *remedy)
{
    static const struct {
        const char *word, *sign;
    } signs[] = {
        [NET_FINDING_OK] = {"ok", "ok  "},
        [NET_FINDING_NOTE] = {"note", "note"},
        [NET_FINDING_BAD] = {"bad", "BAD "},
    };
    struct report *r = arg;

    r->bad += f == NET_FINDING_BAD;
    if (r->findings) {
        json_array_append_new(r->findings,
                              json_pack("{s:s, s:s, s:s, s:s, s:s?}", "network", r->network,
                                        "subject", subject, "finding", signs[f].word, "text", text,
                                        "remedy", remedy));
        return;
    }
    cleanup_free char *line =
        xasprintf("%s  %-10s %-12s %s", signs[f].sign, r->network, subject, text);
    puts(printable(line));
    if (remedy)
        printf("      %-10s %-12s → %s\n", "", "", remedy);
}

static int doctor_run(const struct cmd_args *a)
{
    struct report r = {.findings = cmd_json(a) ? json_array() : NULL};
    struct error err = {0};
    char **names = NULL;
    int status = EXIT_OK;

    if (journal_recover(&err) < 0)
        status = cmd_fail(a, &err);
    if (cmd_npos(a)) {
        names = xcalloc(2, sizeof *names);
        names[0] = xstrdup(cmd_pos(a, 0));
    } else {
        network_names(&names);
    }
    for (char **n = names; *n; n++) {
        r.network = *n;
        if (network_examine(*n, add_finding, &r, &err) < 0)
            status = cmd_fail(a, &err);
    }
    strv_free(names);
    if (r.findings)
        print_json(r.findings);
    return r.bad ? EXIT_FAILED : status;
}

const struct command cmd_network_doctor = {
    .name = "network doctor",
    .args = "[NAME]",
    .max = 1,
    .help = "walk a packet's path through a network, and tell what is wrong",
    .detail =
        "The first BAD line is where to begin; below it stands what mends it. The exit status is\n"
        "1 if there is one. As root it asks the DHCP server and the router of IPv6 as a guest\n"
        "would, without having anything lent. -o json: an array of objects with network,\n"
        "subject, finding, text and remedy.",
    .json = true,
    .safe = true,
    .run = doctor_run,
};
