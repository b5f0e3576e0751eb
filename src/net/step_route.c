/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steps about addresses, routes and rules, whose arguments are specs (spec.h).
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/host.h"
#include "net/rtnl.h"
#include "net/spec.h"
#include "net/step_private.h"

/* An argument; "" where there is none. */
static const char *arg(const struct step *s, unsigned n)
{
    return s->args[n] ? s->args[n] : "";
}

/* Send it; an answer that is one of these two is as good as success. */
static int send_spec(struct nl_msg *m, int fine, int fine_too, const char *what, const char *spec,
                     struct error *err)
{
    char why[RTNL_WHY];

    if (!m)
        return -1;
    int code = rtnl_change(m, why);
    if (!code || code == fine || code == fine_too)
        return 0;
    error_set(err, code, "%s '%s'", what, spec);
    if (*why)
        error_hint(err, "the kernel says: %s", why);
    return code == EPERM ? error_hint(err, "this needs root, or CAP_NET_ADMIN") : -1;
}

/* ---- addresses ---- */

/*
 * An address of IPv6 is fit to be used at once: others were told of it long ago where it moves, and
 * a route may need it as its source. So it is added without the detection of duplicates, and that
 * flag, which is nobody's choice, is taken away again.
 */
int step_address_add(const struct step *s, struct error *err)
{
    const char *device = arg(s, 0), *spec = arg(s, 1);
    const int flags = NLM_F_CREATE | NLM_F_EXCL;

    if (!strchr(spec, ':') || spec_has(spec, "nodad", NULL)) {
        struct nl_msg *m = spec_to_address(spec, device, RTM_NEWADDR, flags, err);
        return send_spec(m, EEXIST, 0, "add the address", spec, err);
    }
    cleanup_free char *at_once = xasprintf("%s nodad", spec);
    struct nl_msg *m = spec_to_address(at_once, device, RTM_NEWADDR, flags, err);
    if (send_spec(m, EEXIST, 0, "add the address", spec, err) < 0)
        return -1;
    m = spec_to_address(spec, device, RTM_NEWADDR, NLM_F_REPLACE, err);
    return send_spec(m, 0, 0, "change the address", spec, err);
}

int step_address_del(const struct step *s, struct error *err)
{
    if (!if_nametoindex(arg(s, 0)))
        return 0; /* with its interface */
    return send_spec(spec_to_address(arg(s, 1), arg(s, 0), RTM_DELADDR, 0, err), EADDRNOTAVAIL,
                     ENODEV, "remove the address", arg(s, 1), err);
}

/* Is there an address like that of a step? -1: nobody can tell. */
static int has_address(const struct step *s, struct error *err)
{
    cleanup_host struct host h = {0};
    struct address wanted;
    unsigned index = if_nametoindex(arg(s, 0));
    cleanup_free char *first = xstrdup(arg(s, 1));

    first[strcspn(first, " ")] = '\0';
    if (host_look(&h, err) < 0 || address_parse(first, &wanted, err) < 0)
        return -1;
    for (size_t i = 0; i < h.address_count; i++)
        if (h.addresses[i].index == (int)index && address_equal(&h.addresses[i].address, &wanted))
            return 1;
    return 0;
}

int step_address_there(const struct step *s, struct error *err)
{
    int there = has_address(s, err);

    return there ? min(there, 0)
                 : error_set(err, 0, "'%s' has no address '%s'", arg(s, 0), arg(s, 1));
}

int step_address_gone(const struct step *s, struct error *err)
{
    int there = has_address(s, err);

    return there <= 0 ? there
                      : error_set(err, 0, "'%s' still has the address '%s'", arg(s, 0), arg(s, 1));
}

/* ---- routes and rules ---- */

static int family_of(const struct step *s)
{
    return str_eq(arg(s, 0), "6") ? AF_INET6 : AF_INET;
}

/*
 * Behind those of the same metric, as they were in order. One that is the same in all is not made
 * twice (EEXIST). Of IPv6, NLM_F_APPEND would join routes to one with several nexthops.
 */
int step_route_add(const struct step *s, struct error *err)
{
    int family = family_of(s), flags = NLM_F_CREATE | (family == AF_INET ? NLM_F_APPEND : 0);
    struct nl_msg *m = spec_to_route(family, arg(s, 1), RTM_NEWROUTE, flags, err);

    return send_spec(m, EEXIST, 0, "add the route", arg(s, 1), err);
}

/* A route whose interface is gone has gone with it. */
int step_route_del(const struct step *s, struct error *err)
{
    struct error why = {0};
    struct nl_msg *m = spec_to_route(family_of(s), arg(s, 1), RTM_DELROUTE, 0, &why);

    if (!m && why.code == ENODEV)
        return 0;
    if (!m)
        return error_set(err, 0, "%s", why.text);
    return send_spec(m, ESRCH, ENODEV, "remove the route", arg(s, 1), err);
}

int step_rule_add(const struct step *s, struct error *err)
{
    struct nl_msg *m =
        spec_to_rule(family_of(s), arg(s, 1), RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, err);

    return send_spec(m, EEXIST, 0, "add the rule", arg(s, 1), err);
}

int step_rule_del(const struct step *s, struct error *err)
{
    return send_spec(spec_to_rule(family_of(s), arg(s, 1), RTM_DELRULE, 0, err), ENOENT, ESRCH,
                     "remove the rule", arg(s, 1), err);
}

/* Is this spec among the host's? Times aside. -1: nobody can tell. */
static int has_spec(const struct step *s, bool rule, struct error *err)
{
    cleanup_free char *wanted = spec_timeless(arg(s, 1));
    cleanup_host struct host h = {0};

    if (host_look(&h, err) < 0)
        return -1;
    for (size_t i = 0; i < (rule ? h.rule_count : h.route_count); i++) {
        int family = rule ? h.rules[i].family : h.routes[i].to.family;
        cleanup_free char *spec = spec_timeless(rule ? h.rules[i].spec : h.routes[i].spec);
        if (family == family_of(s) && str_eq(spec, wanted))
            return 1;
    }
    return 0;
}

static int check_spec(const struct step *s, bool rule, bool wanted, struct error *err)
{
    int there = has_spec(s, rule, err);

    if (there < 0)
        return -1;
    return (bool)there == wanted ? 0
                                 : error_set(err, 0, "the %s '%s' is %s", rule ? "rule" : "route",
                                             arg(s, 1), wanted ? "not there" : "still there");
}

int step_route_there(const struct step *s, struct error *err)
{
    return check_spec(s, false, true, err);
}

int step_route_gone(const struct step *s, struct error *err)
{
    return check_spec(s, false, false, err);
}

int step_rule_there(const struct step *s, struct error *err)
{
    return check_spec(s, true, true, err);
}

int step_rule_gone(const struct step *s, struct error *err)
{
    return check_spec(s, true, false, err);
}
