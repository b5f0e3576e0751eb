/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network interfaces that a running container is given, or that are taken from it.
 *
 *     pult device add NAME --net CARD      a card, as guest.net.N has it
 *     pult device add NAME eth3 [eth1]     an interface of the host's, which moves: lxc.net.N.type = phys
 *
 * Either becomes lines of the keeper's copy of the definition, which is read again for it, so that
 * all is checked as at a start, and a container that reboots has it again. The next start knows of
 * it only if the stored definition got the lines, too, which is the caller's to do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "lxc/container.h"
#include "net/card.h"

#define PHYS     "phys="
#define LXC_MOST 64u
#define LXC_KEY  "lxc.net."

/* Is this line about the key, or about one below it? */
static bool is_of(const struct conf_line *l, const char *key)
{
    const size_t len = strlen(key);
    return l->key && strncmp(l->key, key, len) == 0 && (!l->key[len] || l->key[len] == '.');
}

static bool key_used(const struct conf *conf, const char *key)
{
    for (size_t i = 0; i < conf->count; i++)
        if (is_of(&conf->lines[i], key))
            return true;
    return false;
}

static void key_forget(struct conf *conf, const char *key)
{
    for (size_t i = conf->count; i-- > 0;)
        if (is_of(&conf->lines[i], key))
            conf_remove(conf, i);
}

/* The first number that nothing is said of. */
static int key_choose(const struct conf *conf, const char *prefix, unsigned most, char out[32],
                      struct error *err)
{
    for (unsigned i = 0; i < most; i++) {
        snprintf(out, 32, "%s%u", prefix, i);
        if (!key_used(conf, out))
            return 0;
    }
    return error_set(err, 0, "a container has at most %u of %sN", most, prefix);
}

/* What it is called inside, if nobody says. */
static int name_choose(const struct nics *all, char name[16], struct error *err)
{
    if (name[0])
        return nics_named(all, name)
                   ? error_set(err, EEXIST, "it has an interface '%s' already", name)
                   : 0;
    for (unsigned i = 0; i <= all->count; i++) {
        snprintf(name, 16, "eth%u", i);
        if (!nics_named(all, name))
            break;
    }
    return 0;
}

static void put(struct conf *conf, const char *key, const char *below, const char *value)
{
    cleanup_free char *whole = xasprintf("%s.%s", key, below);
    conf_set(conf, whole, value);
}

/* An interface of the host's, as lxc.net.N has it. */
static void put_phys(struct conf *conf, const struct plug_request *p)
{
    put(conf, p->key, "type", "phys");
    put(conf, p->key, "link", p->net + strlen(PHYS));
    if (p->name[0])
        put(conf, p->key, "name", p->name);
    put(conf, p->key, "flags", "up");
}

/* Does the card's own value say its name? */
static bool says_name(const struct plug_request *p)
{
    return !str_starts(p->net, PHYS) && strstr(p->net, ",name=");
}

int network_lines(struct conf *conf, struct plug_request *p, struct error *err)
{
    const bool phys = str_starts(p->net, PHYS);
    if (!phys && card_is_value(p->net, err) < 0)
        return -1;
    if (str_eq(p->net, "none"))
        return error_set(err, 0, "'none' is no network card");
    if (!p->key[0] && (phys ? key_choose(conf, LXC_KEY, LXC_MOST, p->key, err)
                            : key_choose(conf, CARD_KEY, CARDS_MOST, p->key, err)) < 0)
        return -1;
    if (key_used(conf, p->key))
        return error_set(err, EEXIST, "the definition has another %s", p->key);
    if (phys) {
        put_phys(conf, p);
        return 0;
    }
    if (!p->value)
        p->value = says_name(p) || !p->name[0] ? xstrdup(p->net)
                                               : xasprintf("%s,name=%s", p->net, p->name);
    conf_set(conf, p->key, p->value);
    return 0;
}

/* It gets a name, where it has none of its own, and lines. */
static int lines_add(const struct container *c, struct plug_request *p, struct conf *conf,
                     struct error *err)
{
    const bool named = says_name(p);
    if (named && p->name[0])
        return error_set(err, 0, "it is called '%s', and by '%s'", p->name, p->net);
    if (!named && name_choose(&c->config.nics, p->name, err) < 0)
        return -1;
    return network_lines(conf, p, err);
}

/* Make what the last of the list says. */
static int make(struct container *c, struct nic *n, struct error *err)
{
    const struct nics one = {.count = 1, .all = n};
    const bool knew = c->names[0];
    struct error why;
    if (network_check(c->keeper->def, &one, err) < 0 || network_add(c, n, err) < 0)
        return -1;
    if (!knew && c->names[0] && hotplug_resolver(c, &why) < 0)
        log_line("its resolv.conf stays as it is: %s", why.text);
    return 0;
}

int network_plug(struct container *c, struct plug_request *p, struct error *err)
{
    struct nics *all = &c->config.nics;
    struct guest_def def = *c->keeper->def;
    if (c->init <= 0)
        return error_set(err, ESRCH, "change the container's network");
    if (all->host || namespace_kind(&c->config.set, SHARE_NET) == NAMESPACE_KEPT)
        return error_set(err, 0, "it uses the host's network, and has none of its own");
    cleanup_conf struct conf *now = conf_copy(def.conf);
    if (lines_add(c, p, now, err) < 0)
        return -1;
    def.conf = now;
    struct nic *n = nics_take(all, &def, p->key, err);
    if (!n)
        return -1;
    snprintf(p->name, sizeof p->name, "%s", n->name);
    if (make(c, n, err) < 0) {
        nics_drop(all, n);
        return -1;
    }
    now = c->keeper->def->conf;
    c->keeper->def->conf = def.conf;
    return 0;
}

int network_unplug(struct container *c, struct plug_request *p, struct error *err)
{
    struct nics *all = &c->config.nics;
    struct conf *conf = c->keeper->def->conf;
    struct nic *n = NULL;
    for (unsigned i = 0; i < all->count; i++)
        if (str_eq(all->all[i].name, p->net) && !str_eq(p->net, ""))
            n = &all->all[i];
    if (c->init <= 0 || !n)
        return error_set(err, 0, "it was given no interface '%s'", p->net);
    snprintf(p->name, sizeof p->name, "%s", n->name);
    snprintf(p->key, sizeof p->key, "%s", n->where);
    const char *value = conf_get(conf, n->where);
    p->value = value ? xstrdup(value) : NULL;
    if (network_remove(c, n, err) < 0)
        return -1;
    key_forget(conf, n->where);
    nics_drop(all, n);
    return 0;
}
