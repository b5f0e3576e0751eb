/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Journals, see journal.h. A journal is written before a step and after it, so whoever finds one
 * knows which steps may be done: those that are "done", and the one that is "doing". As undoing
 * what was not done is a success (plan.h), all of these are undone, last first.
 *
 * The lock tells a process at work from one that was killed: who holds it is alive. A journal of
 * another boot is of interfaces that are gone.
 */
#include "net/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "net/journal_private.h"
#include "net/network.h"

#define JOURNAL_MAX (4u << 20)

static const char *const state_names[] = {"down", "applying", "unconfirmed", "up", "undoing"};

const char *network_state_name(enum network_state s)
{
    return state_names[s];
}

void journal_clear(struct journal *j)
{
    plan_clear(&j->plan);
    *j = (struct journal){0};
}

/* ---- on disk ---- */

/* Which boot this is; "" where that cannot be told. Static storage. */
static const char *boot_id(void)
{
    static char id[64];
    char *text;

    if (!*id && file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", sizeof(id) - 1, &text,
                             NULL, NULL) == 0) {
        memcpy(id, text, strcspn(text, "\n"));
        free(text);
    }
    return id;
}

int journal_write(const struct journal *j, struct error *err)
{
    cleanup_free char *path = network_run_path(j->plan.network, NULL);

    if (j->state == NETWORK_DOWN) {
        cleanup_free char *file = network_run_path(j->plan.network, "journal");
        return unlink(file) == 0 || errno == ENOENT ? 0
                                                    : error_set(err, errno, "remove '%s'", file);
    }
    if (network_run_make(j->plan.network, err) < 0)
        return -1;
    json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "state", state_names[j->state],
                          "boot", boot_id(), "deadline_ns", (json_int_t)j->deadline_ns, "since",
                          (json_int_t)j->since, "guardian", (json_int_t)j->guardian, "amending",
                          (json_int_t)j->amending, "plan", plan_json(&j->plan));
    char *text = json_dumps(o, JSON_INDENT(1));
    json_decref(o);
    cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = -1;
    if (!text)
        error_set(err, EINVAL, "write the journal of '%s'", j->plan.network);
    else if (dir < 0)
        error_set(err, errno, "open '%s'", path);
    else
        rc = file_replace_at(dir, "journal", text, strlen(text), 0600, err);
    free(text);
    return rc;
}

static int read_fields(const json_t *o, struct journal *out, struct error *err)
{
    const char *state = json_string_value(json_object_get(o, "state"));
    unsigned i = 0;

    while (i < ARRAY_SIZE(state_names) && !str_eq(state_names[i], state))
        i++;
    if (i == ARRAY_SIZE(state_names))
        return error_set(err, 0, "it has no state");
    out->state = i;
    out->deadline_ns = json_integer_value(json_object_get(o, "deadline_ns"));
    out->since = json_integer_value(json_object_get(o, "since"));
    out->guardian = (pid_t)json_integer_value(json_object_get(o, "guardian"));
    out->amending = (size_t)json_integer_value(json_object_get(o, "amending"));
    return plan_from_json(json_object_get(o, "plan"), &out->plan, err);
}

int journal_read(const char *network, struct journal *out, struct error *err)
{
    cleanup_free char *path = network_run_path(network, "journal");
    cleanup_free char *text = NULL;
    struct error why = {0};
    json_error_t wrong;
    size_t len;

    *out = (struct journal){0};
    if (file_read_at(AT_FDCWD, path, JOURNAL_MAX, &text, &len, &why) < 0) {
        if (why.code != ENOENT && why.code != ENOTDIR)
            return error_set(err, 0, "%s", why.text);
    } else {
        json_t *o = json_loadb(text, len, 0, &wrong);
        int rc = 0;
        if (!o)
            rc = error_set(err, 0, "'%s' is broken: %s", path, wrong.text);
        else if (str_eq(json_string_value(json_object_get(o, "boot")), boot_id()))
            rc = read_fields(o, out, err);
        json_decref(o);
        if (rc < 0) {
            journal_clear(out);
            return error_wrap(err, "'%s'", path);
        }
    }
    strncpy(out->plan.network, network, sizeof(out->plan.network) - 1);
    return 0;
}

/* ---- steps ---- */

static void tell(const struct watcher *w, const struct journal *j, size_t step, bool undoing)
{
    if (w && w->progress)
        w->progress(w->arg, &j->plan, step, undoing);
}

int journal_undo_steps(struct journal *j, size_t to, const struct watcher *w, struct error *err)
{
    struct error why;
    int rc = 0;

    for (size_t i = j->plan.count; i-- > to;) {
        struct step *s = &j->plan.steps[i];
        if (s->state != STEP_DOING && s->state != STEP_DONE)
            continue;
        tell(w, j, i, true);
        if (s->op->undo && s->op->undo(s, &why) < 0) {
            if (rc == 0)
                error_set(err, 0, "%s", why.text);
            rc = -1;
            continue;
        }
        s->state = STEP_UNDONE;
        if (journal_write(j, &why) < 0 && rc == 0) {
            error_set(err, 0, "%s", why.text);
            rc = -1;
        }
        tell(w, j, i, true);
    }
    return rc;
}

/* One step; nothing of it is done where that fails. */
static int do_step(struct journal *j, size_t i, const struct watcher *w, struct error *err)
{
    struct step *s = &j->plan.steps[i];

    s->state = STEP_DOING;
    if (journal_write(j, err) < 0) {
        s->state = STEP_PENDING;
        return -1;
    }
    tell(w, j, i, false);
    if (s->op->apply(s, err) < 0) {
        cleanup_free char *what = step_say(s, s->op->what, false);
        s->state = STEP_PENDING;
        return error_wrap(err, "%s", what);
    }
    s->state = STEP_DONE;
    if (journal_write(j, err) < 0)
        return -1;
    tell(w, j, i, false);
    return 0;
}

int journal_do(struct journal *j, size_t from, const struct watcher *w, struct error *err)
{
    struct error why;

    for (size_t i = from; i < j->plan.count; i++) {
        if (j->plan.steps[i].state == STEP_DONE || do_step(j, i, w, err) == 0)
            continue;
        if (journal_undo_steps(j, from, w, &why) < 0)
            return error_hint(err, "and putting back what was done failed, too: %s", why.text);
        return i > from ? error_hint(err, "what had been done was put back") : -1;
    }
    return 0;
}

/* What is left of it: nothing, or what could not be undone. */
static enum network_state state_left(const struct journal *j)
{
    for (size_t i = 0; i < j->plan.count; i++)
        if (j->plan.steps[i].state == STEP_DOING || j->plan.steps[i].state == STEP_DONE)
            return NETWORK_UNDOING;
    return NETWORK_DOWN;
}

int journal_carry_out(struct journal *j, bool undo, unsigned seconds, const struct watcher *w,
                      struct error *err)
{
    struct error why;
    int rc;

    j->state = undo ? NETWORK_UNDOING : NETWORK_APPLYING;
    j->since = time(NULL);
    if (journal_write(j, &why) < 0 && !undo)
        return error_set(err, 0, "%s", why.text); /* the way back is gone without it, too */
    rc = undo ? journal_undo_steps(j, 0, w, err) : journal_do(j, 0, w, err);
    if (!undo && rc == 0) {
        j->state = seconds ? NETWORK_UNCONFIRMED : NETWORK_UP;
        j->deadline_ns = seconds ? (int64_t)(now_boot_ns() + seconds * 1000000000ull) : 0;
        if (journal_write(j, err) == 0)
            return 0;
        rc = -1;
        journal_undo_steps(j, 0, w, NULL);
    }
    j->state = state_left(j);
    if (journal_write(j, &why) < 0 && rc == 0)
        return error_set(err, 0, "%s", why.text);
    return rc;
}

/* ---- what others ask for ---- */

/* Here, or in a process of its own where our session could end meanwhile. */
static int carry_out(struct journal *j, bool undo, unsigned seconds, int lock,
                     journal_progress_fn *progress, void *arg, struct error *err)
{
    const struct watcher w = {.progress = progress, .arg = arg};
    cleanup_journal struct journal left = {0};

    if (!plan_risky(&j->plan))
        return journal_carry_out(j, undo, 0, &w, err);
    int rc = guardian_run(j, undo, seconds, lock, &w, err);
    if (rc != GUARDIAN_KILLED)
        return rc;
    /* The lock is still held by us. */
    error_set(err, 0, "the process that changed the network was ended by somebody");
    if (journal_read(j->plan.network, &left, NULL) == 0 && left.state != NETWORK_DOWN &&
        journal_carry_out(&left, true, 0, &w, NULL) == 0)
        error_hint(err, "what it had done was put back");
    return -1;
}

/* Under the lock: undo what a killed process left, complete what can be. */
static int mend(struct journal *j, int lock, struct error *err)
{
    size_t from = j->amending;

    if (j->state == NETWORK_UNCONFIRMED && (uint64_t)j->deadline_ns > now_boot_ns())
        return guardian_alive(j->plan.network) ? 0 : guardian_again(j, err);
    if (j->state == NETWORK_DOWN || (j->state == NETWORK_UP && !from))
        return j->state == NETWORK_DOWN ? journal_write(j, err) : 0;
    if (j->state != NETWORK_UP)
        return carry_out(j, true, 0, lock, NULL, NULL, err);
    /* What was being added is taken back, and what it should have replaced is done again. */
    if (journal_undo_steps(j, from, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < from && i < j->plan.count; i++)
        if (j->plan.steps[i].state != STEP_DONE && do_step(j, i, NULL, err) < 0)
            return -1;
    while (j->plan.count > from) {
        struct step *s = &j->plan.steps[--j->plan.count];
        for (unsigned n = 0; n < STEP_ARGS; n++)
            free(s->args[n]);
        free(s->risk);
    }
    j->amending = 0;
    return journal_write(j, err);
}

static bool needs_mending(const struct journal *j)
{
    switch (j->state) {
    case NETWORK_UP:
        return j->amending;
    case NETWORK_UNCONFIRMED:
        return (uint64_t)j->deadline_ns <= now_boot_ns() || !guardian_alive(j->plan.network);
    case NETWORK_DOWN:
        return false;
    case NETWORK_APPLYING:
    case NETWORK_UNDOING:
        break;
    }
    return true;
}

int journal_apply(const struct plan *p, unsigned seconds, journal_progress_fn *progress, void *arg,
                  struct error *err)
{
    cleanup_journal struct journal j = {0};
    cleanup_close int lock = networks_lock(err);

    if (lock < 0 || journal_read(p->network, &j, err) < 0)
        return -1;
    if (needs_mending(&j)) {
        if (mend(&j, lock, err) < 0)
            return error_wrap(err, "mend what is left of the network '%s'", p->network);
        flock(lock, LOCK_EX); /* a guardian gave it back */
        journal_clear(&j);
        if (journal_read(p->network, &j, err) < 0)
            return -1;
    }
    if (j.state != NETWORK_DOWN) {
        error_set(err, 0, "the network '%s' is %s", p->network, state_names[j.state]);
        if (err)
            err->code = EBUSY;
        return error_hint(err, "take it down first: pult network rollback %s", p->network);
    }
    journal_clear(&j);
    json_t *o = plan_json(p);
    int rc = plan_from_json(o, &j.plan, err);
    json_decref(o);
    for (size_t i = 0; rc == 0 && i < j.plan.count; i++)
        j.plan.steps[i].state = STEP_PENDING;
    return rc < 0 ? -1 : carry_out(&j, false, seconds, lock, progress, arg, err);
}

/* Keep the definition that was confirmed. That this fails is no reason to take the network back. */
static void keep_confirmed(const char *network)
{
    cleanup_network struct network *n = NULL;
    cleanup_free char *dir = network_home_path(network, "confirmed");
    char *slash = strrchr(dir, '/');
    size_t len;

    if (!slash || network_load(network, &n, NULL) < 0)
        return;
    *slash = '\0';
    cleanup_free char *text = conf_text(n->conf, &len);
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        file_replace_at(fd, slash + 1, text, len, 0600, NULL);
}

bool journal_was_confirmed(const struct network *n)
{
    cleanup_free char *path = network_home_path(n->name, "confirmed");
    cleanup_free char *now = conf_text(n->conf, NULL);
    cleanup_free char *then = NULL;

    return file_read_at(AT_FDCWD, path, JOURNAL_MAX, &then, NULL, NULL) == 0 && str_eq(now, then);
}

int journal_confirm(const char *network, struct error *err)
{
    cleanup_journal struct journal j = {0};
    cleanup_close int lock = networks_lock(err);

    if (lock < 0 || journal_read(network, &j, err) < 0)
        return -1;
    if (j.state == NETWORK_UP)
        return 0;
    if (j.state != NETWORK_UNCONFIRMED)
        return error_set(err, 0, "the network '%s' is %s: there is nothing to confirm", network,
                         state_names[j.state]);
    if ((uint64_t)j.deadline_ns <= now_boot_ns())
        return error_set(err, ETIMEDOUT, "the network '%s' is being taken back", network);
    j.state = NETWORK_UP;
    j.guardian = 0;
    if (journal_write(&j, err) < 0)
        return -1;
    keep_confirmed(network);
    return 0;
}

int journal_undo(const char *network, journal_progress_fn *progress, void *arg, struct error *err)
{
    cleanup_journal struct journal j = {0};
    cleanup_close int lock = networks_lock(err);

    if (lock < 0 || journal_read(network, &j, err) < 0)
        return -1;
    return j.state == NETWORK_DOWN ? 0 : carry_out(&j, true, 0, lock, progress, arg, err);
}

/* ---- more steps for a network that is up ---- */

static bool same_step(const struct step *a, const struct step *b)
{
    for (unsigned n = 0; n < STEP_ARGS; n++)
        if (!str_eq(a->args[n] ? a->args[n] : "", b->args[n] ? b->args[n] : ""))
            return false;
    return a->op == b->op;
}

/* Does a new step do what this one did, so that it need not be undone before? */
static bool is_done_again(const struct step *s, const struct plan *more)
{
    for (size_t i = 0; i < more->count; i++) {
        const struct step *new = &more->steps[i];
        if (same_step(s, new) ||
            (s->op->again && s->op == new->op &&str_eq(s->args[0], new->args[0])))
            return true;
    }
    return false;
}

/* Undo the steps before `end` that others will replace. Marked first: mend() does those again. */
static int undo_replaced(struct journal *j, size_t end, const char *op, const struct plan *more,
                         struct error *err)
{
    for (size_t i = end; op && i-- > 0;) {
        struct step *s = &j->plan.steps[i];
        if (!str_eq(s->op->name, op))
            continue;
        s->state = STEP_UNDONE;
        if (journal_write(j, err) < 0)
            return -1;
        if (!is_done_again(s, more) && s->op->undo && s->op->undo(s, err) < 0)
            return -1;
    }
    return 0;
}

static void append(struct plan *p, const struct plan *more)
{
    for (size_t i = 0; i < more->count; i++) {
        const struct step *s = &more->steps[i];
        char *const *a = s->args;
        struct step *copy =
            plan_add(p, s->op->name, a[0], a[1], a[2], a[3], a[4], a[5], (char *)NULL);
        copy->risk = s->risk ? xstrdup(s->risk) : NULL;
    }
}

/* What took the place of a step that others rest on stands where that did: before them. */
static void take_places(struct plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct step *s = &p->steps[i];
        for (size_t k = i + 1; k < p->count && s->op->again && s->state != STEP_DONE; k++) {
            struct step *by = &p->steps[k];
            if (by->op != s->op || by->state != STEP_DONE || !str_eq(by->args[0], s->args[0]))
                continue;
            const struct step old = *s;
            *s = *by;
            *by = old;
        }
    }
}

/* Take out the steps that were undone or replaced. */
static void drop_steps(struct plan *p)
{
    size_t kept = 0;

    take_places(p);
    for (size_t i = 0; i < p->count; i++) {
        if (p->steps[i].state == STEP_DONE) {
            p->steps[kept++] = p->steps[i];
            continue;
        }
        for (unsigned n = 0; n < STEP_ARGS; n++)
            free(p->steps[i].args[n]);
        free(p->steps[i].risk);
    }
    p->count = kept;
}

int journal_amend(const struct plan *more, const char *replaces, struct error *err)
{
    cleanup_journal struct journal j = {0};
    cleanup_close int lock = networks_lock(err);
    struct error why;

    if (lock < 0 || journal_read(more->network, &j, err) < 0)
        return -1;
    if (needs_mending(&j) && mend(&j, lock, err) < 0)
        return -1;
    if (j.state != NETWORK_UP)
        return error_set(err, 0, "the network '%s' is %s", more->network, state_names[j.state]);
    const size_t old = j.plan.count;
    if (!old)
        return error_set(err, 0, "the network '%s' has no steps to add to", more->network);
    j.amending = old;
    append(&j.plan, more);
    if (journal_write(&j, err) < 0)
        return -1;
    if (undo_replaced(&j, old, replaces, more, err) < 0 || journal_do(&j, old, NULL, err) < 0) {
        if (mend(&j, lock, &why) < 0)
            error_hint(err, "and putting back what was before failed, too: %s", why.text);
        return -1;
    }
    drop_steps(&j.plan);
    j.amending = 0;
    return journal_write(&j, err);
}

/* What a step did is there no more: do it again. */
static int repair_step(const struct step *s, struct error *err)
{
    if (!s->risk)
        return s->op->apply(s, err);
    cleanup_free char *what = step_say(s, s->op->what, false);
    error_set(err, EPERM, "to %s could cut off who is connected", what);
    return error_hint(err, "take the network down and up again, with the timer");
}

int journal_repair(const char *network, journal_progress_fn *progress, void *arg, struct error *err)
{
    cleanup_journal struct journal j = {0};
    cleanup_close int lock = networks_lock(err);
    struct error why;

    if (lock < 0 || journal_read(network, &j, err) < 0)
        return -1;
    if (j.state != NETWORK_UP)
        return error_set(err, 0, "the network '%s' is %s", network, state_names[j.state]);
    for (size_t i = 0; i < j.plan.count; i++) {
        const struct step *s = &j.plan.steps[i];
        if (s->state != STEP_DONE || !s->op->check || s->op->check(s, &why) == 0)
            continue;
        if (repair_step(s, err) < 0)
            return -1;
        if (progress)
            progress(arg, &j.plan, i, false);
    }
    return 0;
}

/* ---- after accidents ---- */

/* The names of all networks that something is known of at run time; to be freed. */
static char **run_names(void)
{
    cleanup_free char *path = xasprintf("%s/.networks", place_run());
    cleanup_closedir DIR *d = opendir(path);
    struct dirent *e;
    char **names = xcalloc(1, sizeof(*names));
    size_t n = 0;

    while (d && (e = readdir(d)))
        if (*e->d_name != '.' && network_name_check(e->d_name, NULL) == 0) {
            names = xrealloc(names, n + 2, sizeof(*names));
            names[n++] = xstrdup(e->d_name);
            names[n] = NULL;
        }
    return names;
}

/* The lock, if nobody has it: who has it is at work. */
static int try_lock(void)
{
    cleanup_free char *path = xasprintf("%s/networks", place_home());
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? steal_fd(fd) : -1;
}

static int recover_one(const char *name, struct error *err)
{
    cleanup_journal struct journal j = {0};
    cleanup_journal struct journal now = {0};

    if (journal_read(name, &j, err) < 0)
        return -1;
    if (!needs_mending(&j))
        return 0;
    cleanup_close int lock = try_lock();
    if (lock < 0)
        return 0;
    if (journal_read(name, &now, err) < 0)
        return -1;
    return needs_mending(&now) ? mend(&now, lock, err) : 0;
}

int journal_recover(struct error *err)
{
    char **names = run_names();
    struct error why;
    int rc = 0;

    for (char **n = names; *n; n++)
        if (recover_one(*n, &why) < 0 && rc == 0)
            rc = error_set(err, 0, "mend the network '%s': %s", *n, why.text);
    strv_free(names);
    return rc;
}

/* Has this network set a key, and to what was it before? */
static bool has_sysctl(const struct journal *j, const char *key, char **old)
{
    for (size_t i = 0; i < j->plan.count; i++) {
        const struct step *s = &j->plan.steps[i];
        if (!str_eq(s->op->name, "sysctl") || !str_eq(s->args[0], key) ||
            (s->state != STEP_DONE && s->state != STEP_DOING))
            continue;
        if (old)
            *old = xstrdup(s->args[2] ? s->args[2] : "");
        return true;
    }
    return false;
}

bool journal_sysctl(const char *key, const char *except, char **old)
{
    char **names = run_names();
    bool found = false;

    for (char **n = names; *n && !found; n++) {
        cleanup_journal struct journal j = {0};
        if (!str_eq(*n, except) && journal_read(*n, &j, NULL) == 0)
            found = has_sysctl(&j, key, old);
    }
    strv_free(names);
    return found;
}
