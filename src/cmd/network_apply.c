/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult network apply, confirm, rollback and down: the life of a network. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/network.h"
#include "cmd/table.h"
#include "cmd/terminal.h"
#include "net/host.h"
#include "net/join.h"
#include "net/journal.h"
#include "net/kinds.h"

#define SECONDS_MOST 3600

/* Each step as it is done, or undone. */
static void print_step(void *arg, const struct plan *p, size_t step, bool undoing)
{
    const struct step *s = &p->steps[step];

    (void)arg;
    if (s->state != (undoing ? STEP_UNDONE : STEP_DONE))
        return;
    cleanup_free char *what = step_say(s, s->op->what, false);
    printf("%s %s\n", undoing ? "undone " : "done   ", what);
    fflush(stdout);
}

/* Is everything as the steps wanted it? Each proof is printed. */
static int print_proofs(const struct plan *p, struct error *err)
{
    int ret = 0;

    for (size_t i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        struct error why;
        if (!s->op->check)
            continue;
        cleanup_free char *proof = step_say(s, s->op->proof, false);
        if (s->op->check(s, &why) == 0) {
            printf("proof  %s\n", proof);
        } else {
            printf("FAILED %s: %s\n", proof, why.text);
            ret = error_set(err, 0, "%s", why.text);
        }
    }
    return ret;
}

/* Does it still wait for us? Otherwise, by another's doing, *status is what this ends with. */
static bool still_asked(const struct cmd_args *a, const char *name, int64_t deadline_ns,
                        int *status)
{
    cleanup_journal struct journal j = {0};
    struct error err = {0};

    if (journal_read(name, &j, NULL) < 0 ||
        (j.state == NETWORK_UNCONFIRMED && j.deadline_ns == deadline_ns))
        return true; /* what cannot be read now will be; the deadline decides */
    fprintf(stderr, "\n");
    if (j.state == NETWORK_UP) {
        fprintf(stderr, "pult: the network '%s' was confirmed\n", name);
        *status = EXIT_OK;
        return false;
    }
    error_set(&err, 0, "the network '%s' was put back", name);
    *status = cmd_fail(a, &err);
    return false;
}

/* Wait for Enter until the deadline. Who presses it, having seen the question, is connected. */
static int ask_to_confirm(const struct cmd_args *a, const char *name, int64_t deadline_ns)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    struct error err = {0};
    int64_t left;
    int status;

    tcflush(STDIN_FILENO, TCIFLUSH);
    while ((left = deadline_ns - (int64_t)now_boot_ns()) > 0) {
        if (!still_asked(a, name, deadline_ns, &status))
            return status;
        fprintf(stderr, "\rStill connected? Press Enter within %3lld s, or all goes back. ",
                (long long)(left / 1000000000));
        if (poll(&p, 1, 1000) <= 0)
            continue;
        if (getchar() == EOF)
            break;
        fprintf(stderr, "\n");
        return journal_confirm(name, &err) < 0 ? cmd_fail(a, &err) : EXIT_OK;
    }
    fprintf(stderr, "\n");
    error_set(&err, 0, "nobody confirmed: the network '%s' goes back to how it was", name);
    return cmd_fail(a, &err);
}

static int after_risk(const struct cmd_args *a, const char *name)
{
    cleanup_journal struct journal j = {0};
    struct error err = {0};

    if (journal_read(name, &j, &err) < 0)
        return cmd_fail(a, &err);
    if (terminal_here())
        return ask_to_confirm(a, name, j.deadline_ns);
    const int64_t left = max(j.deadline_ns - (int64_t)now_boot_ns(), INT64_C(0));
    fprintf(stderr,
            "pult: confirm within %lld seconds, or all goes back: pult network confirm %s\n",
            (long long)(left / 1000000000), name);
    return EXIT_OK;
}

/* A network that is up already: what somebody undid since then is done again. */
static int bring_back(const struct cmd_args *a, const struct network *n)
{
    struct error err = {0};

    if (journal_repair(n->name, print_step, NULL, &err) < 0 || network_put_back(n, &err) < 0)
        return cmd_fail(a, &err);
    printf("the network '%s' is up\n", n->name);
    return EXIT_OK;
}

int network_bring_up(const struct cmd_args *a, const char *name, unsigned seconds)
{
    cleanup_network struct network *n = NULL;
    cleanup_host struct host h = {0};
    cleanup_plan struct plan p = {0};
    cleanup_journal struct journal j = {0};
    struct error err = {0};

    if (journal_recover(&err) < 0 || network_load(name, &n, &err) < 0 ||
        journal_read(name, &j, &err) < 0)
        return cmd_fail(a, &err);
    if (j.state == NETWORK_UP)
        return bring_back(a, n);
    if (j.state == NETWORK_UNCONFIRMED)
        return after_risk(a, name);
    if (host_look(&h, &err) < 0 || network_plan(n, &h, &p, &err) < 0 ||
        journal_apply(&p, seconds, print_step, NULL, &err) < 0)
        return cmd_fail(a, &err);
    int status = print_proofs(&p, &err) < 0 ? cmd_fail(a, &err) : EXIT_OK;
    fflush(stdout);
    return plan_risky(&p) ? after_risk(a, name) : status;
}

static int apply_run(const struct cmd_args *a)
{
    const char *given = cmd_opt(a, "seconds");
    struct error err = {0};
    int64_t seconds = CONFIRM_SECONDS;

    if (given && number_parse(given, 5, SECONDS_MOST, &seconds, &err) < 0)
        return cmd_usage(a, "--seconds: %s", err.text);
    return network_bring_up(a, cmd_pos(a, 0), (unsigned)seconds);
}

const struct command cmd_network_apply = {
    .name = "network apply",
    .alias = "network up",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            {"seconds", 's', "N", false, "time to confirm what can cut you off (30)"},
            {0},
        },
    .help = "bring a network up, step by step",
    .detail =
        "A step that fails undoes those before it. Where a step touches the interface by which\n"
        "the host, or your session, is reached, everything is put back unless you confirm:\n"
        "with Enter in this terminal, or by `network confirm` in another. That holds also when\n"
        "this command, or the session it runs in, has ended.",
    .safe = true,
    .run = apply_run,
};

static int confirm_run(const struct cmd_args *a)
{
    struct error err = {0};

    if (journal_recover(&err) < 0 || journal_confirm(cmd_pos(a, 0), &err) < 0)
        return cmd_fail(a, &err);
    return EXIT_OK;
}

const struct command cmd_network_confirm = {
    .name = "network confirm",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .help = "keep what was applied: you are still connected",
    .safe = true,
    .run = confirm_run,
};

static int rollback_run(const struct cmd_args *a)
{
    const char *name = cmd_pos(a, 0);
    cleanup_journal struct journal j = {0};
    struct error err = {0};

    if (journal_recover(&err) < 0 || journal_read(name, &j, &err) < 0)
        return cmd_fail(a, &err);
    if (j.state == NETWORK_DOWN) {
        error_set(&err, 0, "the network '%s' is down: there is nothing to put back", name);
        return cmd_fail(a, &err);
    }
    if (j.state == NETWORK_UP) {
        error_set(&err, 0, "the network '%s' is up and confirmed", name);
        error_hint(&err, "`pult network down %s` takes it down", name);
        return cmd_fail(a, &err);
    }
    return journal_undo(name, print_step, NULL, &err) < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

const struct command cmd_network_rollback = {
    .name = "network rollback",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .help = "put back at once what was applied and not confirmed",
    .safe = true,
    .run = rollback_run,
};

static int down_run(const struct cmd_args *a)
{
    struct error err = {0};

    if (journal_recover(&err) < 0 ||
        network_down(cmd_pos(a, 0), cmd_opt(a, "force") != NULL, &err) < 0)
        return cmd_fail(a, &err);
    return EXIT_OK;
}

const struct command cmd_network_down = {
    .name = "network down",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            {"force", 'f', NULL, false, "also while guests are in it"},
            {0},
        },
    .help = "take a network down: the host is as it was before",
    .confirm = "Take the network '%s' down?",
    .run = down_run,
};
