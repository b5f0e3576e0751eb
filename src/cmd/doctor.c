/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult doctor: what this host can do, one line each, with the remedy. Each engine reports for
 * itself; what concerns pult as a whole is in host_checks.c. It ends with 1 if anything is bad.
 */
#include "guest/doctor.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/hostchecks.h"
#include "cmd/print.h"
#include "cmd/table.h"

/* The report so far. */
struct report {
    json_t *findings; /* NULL: printed as they come */
    const char *topic;
    unsigned bad;
};

static const struct {
    const char *word, *sign;
} signs[] = {
    [FINDING_OK] = {"ok", "ok  "},
    [FINDING_NOTE] = {"note", "note"},
    [FINDING_BAD] = {"bad", "BAD "},
};

static void add_finding(void *arg, enum finding f, const char *subject, const char *text,
                        const char *remedy)
{
    struct report *r = arg;
    r->bad += f == FINDING_BAD;
    if (r->findings) {
        json_array_append_new(r->findings,
                              json_pack("{s:s, s:s, s:s, s:s, s:s?}", "topic", r->topic, "subject",
                                        subject, "finding", signs[f].word, "text", text, "remedy",
                                        remedy && *remedy ? remedy : NULL));
        return;
    }
    cleanup_free char *line =
        xasprintf("%s  %-10s %-14s %s", signs[f].sign, r->topic, subject, text);
    puts(printable(line));
    if (remedy && *remedy)
        printf("      %-10s %-14s → %s\n", "", "", remedy);
    fflush(stdout); /* a deep finding may take a second: show each when it is there */
}

static int doctor_run(const struct cmd_args *a)
{
    bool deep = cmd_opt(a, "vm") != NULL;
    struct report r = {.findings = cmd_json(a) ? json_array() : NULL};
    struct doctor d = {add_finding, &r};
    r.topic = "host";
    host_checks(&d);
    for (const struct engine *const *e = engines_all(); *e; e++) {
        r.topic = (*e)->type;
        if ((*e)->doctor)
            (*e)->doctor(&d, deep);
    }
    if (r.findings)
        print_json(r.findings);
    return r.bad ? EXIT_FAILED : EXIT_OK;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .args = "",
    .options =
        (const struct cmd_option[]){
            {"vm", 0, NULL, false, "also boot a tiny built-in VM, and measure it"},
            {0},
        },
    .help = "tell what this host can do, and how to mend what it cannot",
    .detail = "Each line is ok, a note (something does less than it could, or only matters to\n"
              "some) or bad (something will not work), with the remedy below it. The exit status\n"
              "is 1 if anything is bad. -o json prints an array of objects with topic, subject,\n"
              "finding, text and remedy.",
    .json = true,
    .safe = true,
    .run = doctor_run,
};
