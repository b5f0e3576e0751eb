/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult network set, forward add, tap add, … remove and destroy: changes to definitions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/network.h"
#include "cmd/table.h"
#include "net/firewall.h"
#include "net/host.h"
#include "net/journal.h"
#include "net/kinds.h"
#include "net/pool.h"
#include "net/taps.h"

struct conf *network_conf_copy(const struct network *n)
{
    struct conf *copy = NULL;
    size_t len;
    cleanup_free char *text = conf_text(n->conf, &len);

    return conf_parse(n->name, text, len, &copy, NULL) < 0 ? NULL : copy;
}

/* Keep a definition, under the lock. */
static int keep(const char *name, const struct conf *conf, struct error *err)
{
    cleanup_close int lock = networks_lock(err);

    return lock < 0 ? -1 : network_store(name, conf, false, err);
}

/* Have the rules of a network that is up follow its definition. */
static int follow(const struct network *n, struct error *err)
{
    cleanup_plan struct plan p = {0};
    cleanup_free char *script = firewall_script(n);
    cleanup_free char *undo = firewall_undo_script(n->name);

    snprintf(p.network, sizeof p.network, "%s", n->name);
    if (*script)
        plan_add(&p, "firewall", n->name, script, undo, NULL);
    return journal_amend(&p, "firewall", err);
}

/* And its taps. Those that are as they were are left alone. */
static int follow_taps(const struct network *n, struct error *err)
{
    cleanup_host struct host h = {0};
    cleanup_plan struct plan p = {0};

    snprintf(p.network, sizeof p.network, "%s", n->name);
    if (host_look(&h, err) < 0 || taps_plan(n, &h, &p, err) < 0)
        return -1;
    return journal_amend(&p, TAP_STEP, err);
}

/* Does anything but forwards and taps differ? */
static bool differ(const struct network *a, const struct network *b)
{
    cleanup_conf struct conf *x = network_conf_copy(a), *y = network_conf_copy(b);
    size_t len;

    conf_unset(x, "net.forward");
    conf_unset(y, "net.forward");
    conf_unset(x, "net.tap");
    conf_unset(y, "net.tap");
    cleanup_free char *before = conf_text(x, &len);
    cleanup_free char *after = conf_text(y, &len);
    return !str_eq(before, after);
}

static bool taps_differ(const struct network *a, const struct network *b)
{
    bool same = a->tap_count == b->tap_count;

    for (unsigned i = 0; same && i < a->tap_count; i++)
        same = str_eq(a->taps[i].text, b->taps[i].text);
    return !same;
}

/* What is up follows the new definition, or stays as the old one has it. */
static int follow_all(const struct network *old, const struct network *fresh, struct error *err)
{
    const bool taps = taps_differ(old, fresh);

    if (taps && follow_taps(fresh, err) < 0)
        return -1;
    if (follow(fresh, err) == 0)
        return 0;
    if (taps)
        follow_taps(old, NULL);
    return -1;
}

/* The addresses of taps that are in it no more are anybody's. */
static void release_taps(const struct network *old, const struct network *fresh)
{
    for (unsigned i = 0; i < old->tap_count; i++) {
        bool stays = false;
        for (unsigned k = 0; k < fresh->tap_count; k++)
            stays |= str_eq(old->taps[i].name, fresh->taps[k].name);
        if (!stays)
            pool_release_tap(old->name, old->taps[i].name, NULL);
    }
}

static int check_used(const struct network *old, const struct network *fresh, struct error *err)
{
    const char *tap = old ? taps_used(old, fresh) : NULL;

    if (!tap)
        return 0;
    error_set(err, 0, "a guest has the tap '%s' of the network '%s' open", tap, old->name);
    if (err)
        err->code = EBUSY;
    return error_hint(err, "have it stopped first, or: pult network tap remove --force %s %s",
                      old->name, tap);
}

/* Make this the definition; old: NULL: that is broken. conf is taken over. */
static int change(const char *name, const struct network *old, struct conf *conf, bool force,
                  bool *later, struct error *err)
{
    cleanup_network struct network *fresh = NULL;
    cleanup_journal struct journal j = {0};
    struct address addresses[NET_TAPS];

    *later = false;
    if (network_from_conf(name, conf, &fresh, err) < 0 || network_check_others(fresh, err) < 0 ||
        journal_read(name, &j, err) < 0 || pool_plan_taps(fresh, addresses, err) < 0 ||
        (!force && check_used(old, fresh, err) < 0) || keep(name, fresh->conf, err) < 0)
        return -1;
    if (j.state == NETWORK_UP && fresh->kind != NET_USER) {
        *later = !old || differ(old, fresh);
        if (!*later && follow_all(old, fresh, err) < 0) {
            keep(name, old->conf, NULL);
            return error_hint(err, "the definition is as it was");
        }
    }
    if (old && !*later)
        release_taps(old, fresh);
    return 0;
}

static int edit_network(const char *name, network_edit_fn *edit, void *arg, bool force, bool *later,
                        struct error *err)
{
    cleanup_network struct network *old = NULL;

    if (journal_recover(err) < 0 || network_load(name, &old, err) < 0)
        return -1;
    struct conf *conf = network_conf_copy(old);
    if (edit(arg, conf, err) < 0) {
        conf_free(conf);
        return -1;
    }
    return change(name, old, conf, force, later, err);
}

int network_edit(const char *name, network_edit_fn *edit, void *arg, bool *later, struct error *err)
{
    return edit_network(name, edit, arg, false, later, err);
}

static void note_later(const char *name)
{
    fprintf(stderr, "pult: '%s' is up; this takes effect when it is brought up again\n", name);
}

int network_replace(const char *name, const char *text, size_t len, struct error *err)
{
    cleanup_network struct network *old = NULL;
    struct conf *conf;
    bool later;

    if (network_load(name, &old, NULL) < 0)
        old = NULL;
    if (conf_parse(name, text, len, &conf, err) < 0 ||
        change(name, old, conf, false, &later, err) < 0)
        return -1;
    if (later)
        note_later(name);
    return 0;
}

/* ---- set ---- */

static bool set_before(const struct cmd_args *a, int i, const char *pair, size_t len)
{
    for (int k = 1; k < i; k++)
        if (strncmp(cmd_pos(a, k), pair, len + 1) == 0)
            return true;
    return false;
}

static int edit_set(void *arg, struct conf *conf, struct error *err)
{
    const struct cmd_args *a = arg;

    for (int i = 1; i < cmd_npos(a); i++) {
        const char *pair = cmd_pos(a, i), *equals = strchr(pair, '=');
        if (strchr(pair, '\n'))
            return error_set(err, 0, "'%s' has a line break", pair);
        cleanup_free char *key = xstrndup(pair, (size_t)(equals - pair));
        if (!equals[1])
            conf_unset(conf, key);
        else if (set_before(a, i, pair, (size_t)(equals - pair)))
            conf_add(conf, key, equals + 1);
        else
            conf_set(conf, key, equals + 1);
    }
    return 0;
}

static int set_run(const struct cmd_args *a)
{
    struct error err = {0};
    bool later;

    for (int i = 1; i < cmd_npos(a); i++)
        if (!strchr(cmd_pos(a, i), '=') || *cmd_pos(a, i) == '=')
            return cmd_usage(a, "'%s' is not KEY=VALUE", cmd_pos(a, i));
    if (network_edit(cmd_pos(a, 0), edit_set, (void *)(uintptr_t)a, &later, &err) < 0)
        return cmd_fail(a, &err);
    if (later)
        note_later(cmd_pos(a, 0));
    return EXIT_OK;
}

const struct command cmd_network_set = {
    .name = "network set",
    .args = "NAME KEY=VALUE...",
    .min = 2,
    .max = -1,
    .help = "set keys of a network's definition; KEY= takes one out",
    .detail =
        "A key that is given several times gets all of these values. Either all is set or, if\n"
        "the result is not a valid definition, nothing.\n\n"
        "  pult network set nat0 net.isolate=1 net.autostart=1",
    .safe = true,
    .run = set_run,
};

/* ---- forwards ---- */

/* NAME's definition, by what stands behind it. */
static int edit_line(const struct cmd_args *a, network_edit_fn *edit, bool force)
{
    struct error err = {0};
    bool later;

    if (edit_network(cmd_pos(a, 0), edit, (void *)(uintptr_t)cmd_pos(a, 1), force, &later, &err) <
        0)
        return cmd_fail(a, &err);
    return EXIT_OK;
}

static int add_forward(void *arg, struct conf *conf, struct error *err)
{
    const char *spec = arg;
    const struct conf_line *l;

    if (net_is_forward(spec, err) < 0)
        return -1;
    conf_for_each (conf, "net.forward", l)
        if (str_eq(l->value, spec))
            return error_set(err, EEXIST, "forward '%s'", spec);
    conf_add(conf, "net.forward", spec);
    return 0;
}

/* Take the lines of a list out that `is_it` knows. False: there was none. */
static bool remove_lines(struct conf *conf, const char *key,
                         bool (*is_it)(const char *value, const char *what), const char *what)
{
    const struct conf_line *l;
    char **others = xcalloc(1, sizeof *others);
    size_t n = 0;
    bool found = false;

    conf_for_each (conf, key, l) {
        if (is_it(l->value, what)) {
            found = true;
            continue;
        }
        others = xrealloc(others, n + 2, sizeof *others);
        others[n++] = xstrdup(l->value);
        others[n] = NULL;
    }
    conf_unset(conf, key);
    for (size_t i = 0; i < n; i++)
        conf_add(conf, key, others[i]);
    strv_free(others);
    return found;
}

static bool is_forward(const char *value, const char *spec)
{
    return str_eq(value, spec);
}

static int remove_forward(void *arg, struct conf *conf, struct error *err)
{
    const char *spec = arg;

    if (remove_lines(conf, "net.forward", is_forward, spec))
        return 0;
    error_set(err, 0, "there is no forward '%s'", spec);
    return error_hint(err, "name it as `pult network info` does");
}

static int forward_add_run(const struct cmd_args *a)
{
    return edit_line(a, add_forward, false);
}

static int forward_remove_run(const struct cmd_args *a)
{
    return edit_line(a, remove_forward, false);
}

const struct command cmd_network_forward_add = {
    .name = "network forward add",
    .args = "NAME FORWARD",
    .min = 2,
    .max = 2,
    .help = "lead a port of the host to a guest, at once",
    .detail = "FORWARD is tcp|udp:[ADDRESS:]PORT[-PORT]:GUEST[:PORT[-PORT]], GUEST a name or an\n"
              "address of the network.\n\n"
              "  pult network forward add nat0 tcp:8080:web1:80\n"
              "  pult network forward add nat0 udp:[2001:db8::1]:5000-5009:web1",
    .safe = true,
    .run = forward_add_run,
};

const struct command cmd_network_forward_remove = {
    .name = "network forward remove",
    .args = "NAME FORWARD",
    .min = 2,
    .max = 2,
    .help = "lead a port of the host to a guest no more",
    .safe = true,
    .run = forward_remove_run,
};

/* ---- taps ---- */

static int add_tap(void *arg, struct conf *conf, struct error *err)
{
    const char *spec = arg;

    if (strchr(spec, '\n'))
        return error_set(err, 0, "'%s' has a line break", spec);
    if (net_is_tap(spec, err) < 0)
        return -1;
    conf_add(conf, "net.tap", spec);
    return 0;
}

static bool is_tap(const char *value, const char *name)
{
    const size_t len = strlen(name);

    return strncmp(value, name, len) == 0 && (value[len] == ',' || value[len] == '\0');
}

static int remove_tap(void *arg, struct conf *conf, struct error *err)
{
    const char *name = arg;

    if (remove_lines(conf, "net.tap", is_tap, name))
        return 0;
    error_set(err, 0, "the network's definition has no tap '%s'", name);
    return error_hint(err, "name it as `pult network info` does");
}

static int tap_add_run(const struct cmd_args *a)
{
    return edit_line(a, add_tap, false);
}

static int tap_remove_run(const struct cmd_args *a)
{
    return edit_line(a, remove_tap, cmd_opt(a, "force") != NULL);
}

const struct command cmd_network_tap_add = {
    .name = "network tap add",
    .args = "NAME TAP",
    .min = 2,
    .max = 2,
    .help = "give a user a port of a network for his own guests, at once",
    .detail =
        "TAP is NAME,user=USER[,group=GROUP][,mac=MAC][,address=ADDRESS]. While the network is\n"
        "up the tap is there, and that user's VM has it with --net tap=NAME, without any rights:\n"
        "guarded and isolated as root's guests are, with an address that is kept for it. With\n"
        "group= alone it is for all of a group; with both, for that user while he is in it.\n\n"
        "  pult network tap add nat0 tap-bob,user=bob\n"
        "  pult network tap add nat0 lab0,group=students,address=10.87.0.50",
    .safe = true,
    .run = tap_add_run,
};

const struct command cmd_network_tap_remove = {
    .name = "network tap remove",
    .args = "NAME TAP",
    .min = 2,
    .max = 2,
    .options =
        (const struct cmd_option[]){
            {"force", 'f', NULL, false, "also while a guest has it open"},
            {0},
        },
    .help = "take a user's tap out of a network",
    .safe = true,
    .run = tap_remove_run,
};

/* ---- destroy ---- */

static int destroy_one(const struct cmd_args *a, const char *name, struct error *err)
{
    cleanup_network struct network *n = NULL;
    struct error why = {0};

    if (journal_recover(err) < 0)
        return -1;
    if (network_load(name, &n, &why) < 0 && why.code == ENOENT) {
        *err = why;
        return -1;
    }
    if (network_down(name, cmd_opt(a, "force") != NULL, err) < 0)
        return -1;
    cleanup_close int lock = networks_lock(err);
    return lock < 0 ? -1 : network_forget(name, err);
}

static int destroy_run(const struct cmd_args *a)
{
    return cmd_each(a, destroy_one);
}

const struct command cmd_network_destroy = {
    .name = "network destroy",
    .alias = "network rm",
    .args = "NAME...",
    .min = 1,
    .max = -1,
    .options =
        (const struct cmd_option[]){
            {"force", 'f', NULL, false, "also while guests are in it"},
            {0},
        },
    .help = "take networks down and remove their definitions",
    .confirm = "Destroy the network '%s'?",
    .run = destroy_run,
};
