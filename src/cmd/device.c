/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult device add and remove: devices, directories and files of the host's for a container, and
 * network cards, while it runs. What they send to its keeper is what the definition would have.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/table.h"
#include "guest/client.h"
#include "guest/engine.h"
#include "guest/store.h"
#include "net/card.h"

/* What is to be added, or was. */
struct part {
    char *source, *target, *entry, *rule; /* rule: of a device; NULL: it is none */
    bool optional;                        /* to be removed: it may be in the running guest alone */
};

static void part_clear(struct part *p)
{
    free(p->source);
    free(p->target);
    free(p->entry);
    free(p->rule);
}

/* Blanks and backslashes as fstab(5) has them. */
static char *escape(const char *s)
{
    char *out = xcalloc(strlen(s) * 4 + 1, 1), *p = out;
    for (; *s; s++)
        if (*s == ' ' || *s == '\t' || *s == '\\')
            p += sprintf(p, "\\%03o", (unsigned char)*s);
        else
            *p++ = *s;
    return out;
}

/* The rule that lets it be used; NULL: it is no device. */
static char *device_rule(const struct stat *st)
{
    if (!S_ISCHR(st->st_mode) && !S_ISBLK(st->st_mode))
        return NULL;
    return xasprintf("%c %u:%u rwm", S_ISCHR(st->st_mode) ? 'c' : 'b', gnu_dev_major(st->st_rdev),
                     gnu_dev_minor(st->st_rdev));
}

/* A path inside as a definition has it: without slashes before and behind it. */
static char *target_of(const char *path)
{
    char *target = xstrdup(path + strspn(path, "/"));
    for (size_t n = strlen(target); n > 0 && target[n - 1] == '/'; n--)
        target[n - 1] = '\0';
    return target;
}

/* A new part: its lines, as the definition would have them. */
static int part_make(const struct cmd_args *a, struct part *p, struct error *err)
{
    struct stat st;
    const char *path = cmd_pos(a, 1), *to = cmd_pos(a, 2) ? cmd_pos(a, 2) : path;
    p->source = realpath(path, NULL);
    if (!p->source || stat(p->source, &st) < 0)
        return error_set(err, errno, "look at '%s'", path);
    if (to[0] != '/')
        return error_set(err, 0, "'%s' is not an absolute path", to);
    p->target = target_of(to);
    p->rule = device_rule(&st);
    cleanup_free char *source = escape(p->source);
    cleanup_free char *target = escape(p->target);
    p->entry = xasprintf("%s %s none %s,create=%s%s%s", source, target,
                         S_ISDIR(st.st_mode) ? "rbind" : "bind",
                         S_ISDIR(st.st_mode) ? "dir" : "file", cmd_opt(a, "ro") ? ",ro" : "",
                         p->rule || cmd_opt(a, "idmap") ? ",idmap=container" : "");
    return 0;
}

/* Does the line put something there? */
static bool is_target(const char *entry, const char *target)
{
    cleanup_free char *copy = xstrdup(entry);
    char *save, *field = strtok_r(copy, " \t", &save);
    field = field ? strtok_r(NULL, " \t", &save) : NULL;
    cleanup_free char *want = escape(target);
    cleanup_free char *have = field ? target_of(field) : NULL;
    return str_eq(have, want);
}

/* store_edit_fn */
static int edit_add(void *arg, struct conf *conf, struct error *err)
{
    const struct part *p = arg;
    const struct conf_line *l;
    conf_for_each (conf, "lxc.mount.entry", l)
        if (is_target(l->value, p->target))
            return error_set(err, EEXIST, "the definition mounts on '/%s' already", p->target);
    conf_add(conf, "lxc.mount.entry", p->entry);
    if (p->rule)
        conf_add(conf, "lxc.cgroup2.devices.allow", p->rule);
    return 0;
}

static int edit_remove(void *arg, struct conf *conf, struct error *err)
{
    const struct part *p = arg;
    bool found = false, ruled = !p->rule;
    for (size_t i = conf->count; i-- > 0;)
        if (str_eq(conf->lines[i].key, "lxc.mount.entry") &&
            is_target(conf->lines[i].value, p->target)) {
            conf_remove(conf, i);
            found = true;
        }
    if (!found)
        return p->optional ? 0
                           : error_set(err, 0, "the definition mounts nothing on '/%s'", p->target);
    /* The last that allows the device: one before it may be for another reason. */
    for (size_t i = conf->count; !ruled && i-- > 0;) {
        const struct conf_line *l = &conf->lines[i];
        ruled = str_eq(l->key, "lxc.cgroup2.devices.allow") && str_eq(l->value, p->rule);
        if (ruled)
            conf_remove(conf, i);
    }
    return 0;
}

/* ---- network cards ---- */

#define PHYS "phys="

/* One of them: as asked for, and then as the keeper says that it is. */
struct nic_part {
    const struct engine *engine;
    struct plug_request p;
};

static void take_member(const json_t *answer, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(answer, name));
    if (text)
        snprintf(out, size, "%s", text);
}

static int nic_ask(const char *guest, const char *cmd, struct plug_request *p, struct error *err)
{
    cleanup_close int control = ask_connect(guest, err);
    json_t *answer = NULL;
    if (control < 0)
        return -1;
    json_t *request = json_pack("{s:s, s:s, s:s*}", "cmd", cmd, "net", p->net, "name",
                                p->name[0] ? p->name : NULL);
    if (client_call(control, request, NULL, 0, ASK_MS, &answer, NULL, err) < 0)
        return -1;
    const char *value = json_string_value(json_object_get(answer, "value"));
    take_member(answer, "key", p->key, sizeof p->key);
    take_member(answer, "name", p->name, sizeof p->name);
    p->value = value ? xstrdup(value) : NULL;
    json_decref(answer);
    return p->key[0] ? 0 : error_set(err, EPROTO, "hear which card it is");
}

/* store_edit_fn: as its keeper has it, or the first that is free. */
static int edit_nic_add(void *arg, struct conf *conf, struct error *err)
{
    struct nic_part *n = arg;
    return n->engine->plug_lines(conf, &n->p, err);
}

/* store_edit_fn: what the keeper had is taken out, not what has come in its place since. */
static int edit_nic_remove(void *arg, struct conf *conf, struct error *err)
{
    const struct plug_request *p = arg;
    const size_t len = strlen(p->key);
    const bool card = str_starts(p->key, CARD_KEY);
    const char *now = conf_get(conf, p->key);
    (void)err;
    if (card && (!p->value || !now || !str_eq(now, p->value)))
        return 0;
    for (size_t i = conf->count; i-- > 0;) {
        const char *key = conf->lines[i].key;
        if (key && strncmp(key, p->key, len) == 0 && key[len] == (card ? '\0' : '.'))
            conf_remove(conf, i);
    }
    return 0;
}

static int nic_add(const struct cmd_args *a, const struct engine *engine, const char *net,
                   const char *name, bool alive)
{
    struct error err = {0};
    struct nic_part n = {.engine = engine, .p.net = net};
    int ret = str_starts(net, PHYS) ? 0 : card_is_value(net, &err);
    if (ret == 0 && name && strlen(name) >= sizeof n.p.name)
        ret = error_set(&err, 0, "'%s' is too long for an interface", name);
    snprintf(n.p.name, sizeof n.p.name, "%s", name ? name : "");
    if (ret == 0 && (!engine || !engine->plug_lines))
        ret = error_set(&err, 0, "'%s' is given no network cards so", cmd_pos(a, 0));
    if (ret == 0 && alive)
        ret = nic_ask(cmd_pos(a, 0), "device-add", &n.p, &err);
    if (ret == 0 && cmd_opt(a, "keep"))
        ret = store_edit(cmd_pos(a, 0), edit_nic_add, &n, &err);
    if (ret == 0 && alive)
        puts(n.p.name);
    free(n.p.value);
    return ret < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

static int nic_remove(const struct cmd_args *a, const char *name, bool alive, bool throwaway)
{
    struct error err = {0};
    struct plug_request p = {.net = name};
    int ret = 0;
    if (!alive) {
        ret = error_set(&err, 0, "'%s' does not run", cmd_pos(a, 0));
        error_hint(&err, "pult config unset takes a card out of its definition");
    }
    if (ret == 0)
        ret = nic_ask(cmd_pos(a, 0), "device-remove", &p, &err);
    if (ret == 0 && !throwaway)
        ret = store_edit(cmd_pos(a, 0), edit_nic_remove, &p, &err);
    free(p.value);
    return ret < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

/* ---- the verbs ---- */

/* An interface of the host's, and no file: LXC's rule is the same. */
static bool is_interface(const char *word)
{
    return !strchr(word, '/') && if_nametoindex(word) > 0;
}

static int add_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct guest_info info = {0};
    struct part p = {0};
    const char *name = cmd_pos(a, 0);
    if (store_info(name, &info, &err) < 0)
        return cmd_fail(a, &err);
    const bool alive = state_alive(info.state), keep = cmd_opt(a, "keep");
    const struct engine *engine = info.engine;
    const char *net = cmd_opt(a, "net"), *what = cmd_pos(a, 1);
    guest_info_clear(&info);
    if (!net && !what)
        return cmd_usage(a, "missing argument: PATH, INTERFACE or --net CARD");
    if (net && cmd_pos(a, 2))
        return cmd_usage(a, "--net goes with one name at most");
    if (!alive && !keep) {
        error_set(&err, 0, "'%s' does not run; with --keep it has it when it is started", name);
        return cmd_fail(a, &err);
    }
    if (net || is_interface(what)) {
        cleanup_free char *card = net ? card_expand(net) : xasprintf(PHYS "%s", what);
        return nic_add(a, engine, card, net ? what : cmd_pos(a, 2), alive);
    }
    int ret = part_make(a, &p, &err);
    if (ret == 0 && alive)
        ret = ask(name, json_pack("{s:s, s:s}", "cmd", "device-add", "entry", p.entry), &err);
    if (ret == 0 && keep)
        ret = store_edit(name, edit_add, &p, &err);
    part_clear(&p);
    return ret < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

const struct command cmd_device_add = {
    .name = "device add",
    .args = "NAME [PATH|INTERFACE] [TARGET]",
    .min = 1,
    .max = 3,
    .options =
        (const struct cmd_option[]){
            {"ro", 'r', NULL, false, "it can only be read"},
            {"idmap", 'i', NULL, false, "its files are shown as the container's own users'"},
            {"net", 'N', "CARD", false,
             "a network card, as `pult create --net` has it: a network, user, bridge=NAME"},
            {"keep", 'k', NULL, false, "write it into the definition, too"},
            {0},
        },
    .help = "give a running container a device, a directory, a file or a network card",
    .detail =
        "It appears as TARGET, or under the path that it has here. A device gets a node that\n"
        "the container's root owns, and the container may use it. With --net it is another\n"
        "network card, called TARGET or eth1 and so on, which is printed; an INTERFACE of the\n"
        "host's moves into the container and comes back when that ends. Without --keep it\n"
        "has it for as long as it runs.\n\n"
        "  pult device add web1 /dev/fuse\n"
        "  pult device add web1 /srv/data /data --ro --keep\n"
        "  pult device add web1 --net lan\n"
        "  pult device add web1 enp3s0 eth2",
    .safe = true,
    .states = ON_STATE(GUEST_RUNNING),
    .run = add_run,
};

static int remove_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct guest_info info = {0};
    const char *name = cmd_pos(a, 0), *target = cmd_pos(a, 1);
    if (strchr(target, '/') && target[0] != '/')
        return cmd_usage(a, "'%s' is not an absolute path", target);
    if (store_info(name, &info, &err) < 0)
        return cmd_fail(a, &err);
    const bool alive = state_alive(info.state), throwaway = info.throwaway;
    guest_info_clear(&info);
    if (target[0] != '/')
        return nic_remove(a, target, alive, throwaway);
    struct part p = {.target = target_of(target), .optional = alive};
    cleanup_free char *inside = escape(p.target);
    /* The device of that name, should it be one, is no more to be used. */
    const char *path = cmd_pos(a, 2) ? cmd_pos(a, 2) : target;
    cleanup_free char *source = escape(path);
    struct stat st;
    p.rule = stat(path, &st) == 0 ? device_rule(&st) : NULL;
    cleanup_free char *entry = xasprintf("%s %s none bind", source, inside);
    int ret = 0;
    if (alive)
        ret = ask(name, json_pack("{s:s, s:s}", "cmd", "device-remove", "entry", entry), &err);
    if (ret == 0 && !throwaway)
        ret = store_edit(name, edit_remove, &p, &err);
    part_clear(&p);
    return ret < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

const struct command cmd_device_remove = {
    .name = "device remove",
    .args = "NAME TARGET|INTERFACE [PATH]",
    .min = 2,
    .max = 3,
    .help = "take from a container what `pult device add` gave it",
    .detail = "An INTERFACE is meant by its name in the container.\n"
              "What is mounted on TARGET goes, from the definition, too. The device PATH of the\n"
              "host, or the one that is called TARGET there, can be used no more.",
    .safe = true,
    .states = ON_STATE(GUEST_RUNNING),
    .run = remove_run,
};
