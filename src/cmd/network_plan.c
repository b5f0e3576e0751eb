/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult network plan and create: what a network would do to the host, and its definition. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/network.h"
#include "cmd/newnetwork.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "net/host.h"
#include "net/journal.h"
#include "net/kinds.h"
#include "net/persist.h"

/* ---- plan ---- */

/* Lines of a text below each other. */
static void print_lines(const char *label, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        printf("     %-8s %.*s\n", label, (int)n, text);
        label = "";
        text += n + (text[n] == '\n');
    }
}

void network_print_plan(const struct plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        cleanup_free char *what = step_say(s, s->op->what, false);
        cleanup_free char *command = step_say(s, s->op->command, true);
        cleanup_free char *undo = step_say(s, s->op->undo_command, true);
        cleanup_free char *proof = step_say(s, s->op->proof, false);
        printf("%3zu  %s\n", i + 1, what);
        if (s->risk)
            print_lines("risk", s->risk);
        print_lines("command", command);
        print_lines("undo", undo);
        print_lines("check", proof);
    }
    if (!p->count)
        puts("nothing has to be done on the host");
    for (char **n = p->notes; n && *n; n++)
        printf("note: %s\n", *n);
    if (plan_risky(p))
        printf("This can cut off who is connected: it goes back after %u seconds unless it is "
               "confirmed.\n",
               CONFIRM_SECONDS);
}

static json_t *said(const struct step *s, const char *text, bool command)
{
    cleanup_free char *t = step_say(s, text, command);

    return *t ? json_string(t) : json_null();
}

static json_t *plan_facts(const struct plan *p)
{
    json_t *steps = json_array(), *notes = json_array();

    for (size_t i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        json_array_append_new(steps, json_pack("{s:s, s:o, s:o, s:o, s:o, s:s?}", "op", s->op->name,
                                               "what", said(s, s->op->what, false), "command",
                                               said(s, s->op->command, true), "undo",
                                               said(s, s->op->undo_command, true), "check",
                                               said(s, s->op->proof, false), "risk", s->risk));
    }
    for (char **n = p->notes; n && *n; n++)
        json_array_append_new(notes, json_string(*n));
    return json_pack("{s:s, s:b, s:o, s:o}", "network", p->network, "risk", (int)plan_risky(p),
                     "steps", steps, "notes", notes);
}

/* The network that is meant: the one of this name, or what the options make. */
static int find_network(const struct cmd_args *a, struct network **n)
{
    const char *name = cmd_pos(a, 0);
    struct error err = {0};
    struct conf *conf;

    if (!new_network_said(a))
        return network_load(name, n, &err) < 0 ? cmd_fail(a, &err) : EXIT_OK;
    cleanup_network struct network *there = NULL;
    if (network_load(name, &there, NULL) == 0) {
        error_set(&err, EEXIST, "plan the network '%s'", name);
        error_hint(&err, "without options the plan of what is defined is shown");
        return cmd_fail(a, &err);
    }
    int status = new_network(a, name, &conf);
    if (status != EXIT_OK)
        return status;
    if (network_from_conf(name, conf, n, &err) < 0 || network_check_others(*n, &err) < 0)
        return cmd_fail(a, &err);
    return EXIT_OK;
}

static json_t *persist_facts(const struct persist *p)
{
    json_t *files = json_array(), *notes = json_array();

    for (size_t i = 0; i < p->count; i++)
        json_array_append_new(files, json_pack("{s:s, s:i, s:s}", "path", p->files[i].path, "mode",
                                               (int)p->files[i].mode, "text", p->files[i].text));
    for (char **n = p->notes; n && *n; n++)
        json_array_append_new(notes, json_string(*n));
    return json_pack("{s:s, s:o, s:o}", "dialect", p->dialect, "files", files, "notes", notes);
}

/* The host's own configuration that would do the same, shown or saved for a review. */
static int show_persistent(const struct cmd_args *a, const struct network *n)
{
    const char *path = cmd_opt(a, "save");
    cleanup_persist struct persist p = {0};
    cleanup_host struct host h = {0};
    struct error err = {0};

    if (host_look(&h, &err) < 0 || persist_make(n, &h, cmd_opt(a, "dialect"), &p, &err) < 0 ||
        (path && persist_save(&p, path, false, &err) < 0))
        return cmd_fail(a, &err);
    if (cmd_json(a)) {
        print_json(persist_facts(&p));
        return EXIT_OK;
    }
    cleanup_free char *text = persist_text(&p);
    fputs(text, stdout);
    return EXIT_OK;
}

static int plan_run(const struct cmd_args *a)
{
    cleanup_network struct network *n = NULL;
    cleanup_host struct host h = {0};
    cleanup_plan struct plan p = {0};
    cleanup_journal struct journal j = {0};
    struct error err = {0};

    if (!cmd_opt(a, "persistent") && (cmd_opt(a, "dialect") || cmd_opt(a, "save")))
        return cmd_usage(a, "--dialect and --save go with --persistent");
    int status = find_network(a, &n);
    if (status != EXIT_OK)
        return status;
    if (cmd_opt(a, "persistent"))
        return show_persistent(a, n);
    if (journal_recover(&err) < 0 || journal_read(n->name, &j, &err) < 0)
        return cmd_fail(a, &err);
    if (j.state != NETWORK_DOWN) { /* what was done, and how it would be undone */
        p = j.plan;
        j.plan = (struct plan){0};
    } else if (host_look(&h, &err) < 0 || network_plan(n, &h, &p, &err) < 0) {
        return cmd_fail(a, &err);
    }
    if (cmd_json(a))
        print_json(plan_facts(&p));
    else
        network_print_plan(&p);
    return EXIT_OK;
}

const struct command cmd_network_plan = {
    .name = "network plan",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            NETWORK_OPTIONS,
            {"persistent", 0, NULL, false, "the host's own configuration of a bridge, instead"},
            {"dialect", 0, "NAME", false, "networkd, nm, ifupdown or netplan (who keeps the NIC)"},
            {"save", 0, "PATH", false,
             "write its files into this directory, too; or its one file here"},
            {0},
        },
    .help = "show what a network does to the host; change nothing",
    .detail =
        "Each step with the command that does the same, the one that undoes it, and what\n"
        "proves it. With options: of a network that is not there yet. Of one that is up: the\n"
        "steps that were done.\n\n"
        "--persistent shows files that make a bridge over a NIC at each boot, without pult, in\n"
        "the dialect of who configures the NIC. They are for you to review: --save PATH writes\n"
        "them where you say, and nothing is ever written where it takes effect.",
    .json = true,
    .safe = true,
    .run = plan_run,
};

/* ---- create ---- */

/* Under the lock, which who brings it up takes for himself. */
static int define(const char *name, const struct conf *conf, struct error *err)
{
    cleanup_close int lock = networks_lock(err);

    return lock < 0 ? -1 : network_store(name, conf, true, err);
}

static int create_run(const struct cmd_args *a)
{
    const char *name = cmd_pos(a, 0);
    cleanup_conf struct conf *conf = NULL;
    struct error err = {0};

    int status = new_network(a, name, &conf);
    if (status != EXIT_OK)
        return status;
    if (define(name, conf, &err) < 0)
        return cmd_fail(a, &err);
    if (!cmd_opt(a, "up"))
        return EXIT_OK;
    status = network_bring_up(a, name, CONFIRM_SECONDS);
    if (status != EXIT_OK)
        fprintf(stderr, "pult: it is defined all the same: pult network destroy %s\n", name);
    return status;
}

const struct command cmd_network_create = {
    .name = "network create",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            NETWORK_OPTIONS,
            {"up", 'u', NULL, false, "and bring it up at once, as `network apply` does"},
            {0},
        },
    .help = "define a network",
    .detail = "It comes up with the first guest that joins it, with the host (--autostart), or by\n"
              "`network apply` or --up. NAME is also the name of its bridge.\n\n"
              "  pult network create nat0 --kind nat --forward tcp:8080:web1:80\n"
              "  pult network create br0 --kind bridge --port eth0\n"
              "  pult network create lab --kind isolated --subnet 10.9.0.0/24",
    .safe = true,
    .run = create_run,
};
