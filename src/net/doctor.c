/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way of a packet, see doctor.h: one function for each stretch of it. */
#include "net/doctor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/firewall.h"
#include "net/foreign.h"
#include "net/host.h"
#include "net/join.h"
#include "net/journal.h"
#include "net/network.h"
#include "net/pool.h"
#include "net/probe.h"
#include "net/server.h"
#include "net/step_private.h"
#include "net/taps.h"

#define DNS_MS      1000
#define RESOLV_CONF "/etc/resolv.conf"

struct walk {
    const struct network *net;
    const struct journal *journal;
    const struct host *host;
    net_finding_fn *report;
    void *arg;
};

static void __attribute__((format(printf, 5, 6)))
say(const struct walk *w, enum net_finding f, const char *subject, const char *remedy,
    const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cleanup_free char *text = xvasprintf(fmt, ap);
    va_end(ap);
    w->report(w->arg, f, subject, text, remedy);
}

/* Is it up at all? False: there is nothing more to look at. */
static bool see_state(const struct walk *w)
{
    cleanup_free char *remedy = xasprintf("pult network apply %s", w->net->name);
    cleanup_free char *confirm = xasprintf("pult network confirm %s", w->net->name);

    if (w->net->kind == NET_USER) {
        say(w, NET_FINDING_OK, "state", NULL, "a program for each guest; nothing on the host");
        return false;
    }
    if (w->journal->state == NETWORK_UP) {
        say(w, NET_FINDING_OK, "state", NULL, "up");
        return true;
    }
    bool counts = w->journal->state == NETWORK_UNCONFIRMED;
    say(w, NET_FINDING_BAD, "state", counts ? confirm : remedy, "%s",
        network_state_name(w->journal->state));
    return counts;
}

/* Does one command mend what this step made? Not where other steps rest on what is lost. */
static bool mends_itself(const struct step *s, const char *command)
{
    static const char *const bases[] = {"bridge-add", "link-add", "firewall"};

    for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
        if (str_eq(s->op->name, bases[i]))
            return false;
    return *command && !strchr(command, '\n');
}

/* Is it about an interface as such? An address or a route may be gone because that is off. */
static bool is_base(const struct step *s)
{
    static const char *const names[] = {"bridge-add", "vlan-add", "port-add",
                                        "link-up",    "link-mtu", "link-mac"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_eq(s->op->name, names[i]))
            return true;
    return false;
}

/*
 * Each step that made it is still as it was made; what others rest on first. The server is looked at
 * by itself. What one command does not mend, pult does, unless that could cut somebody off.
 */
static void see_steps(const struct walk *w)
{
    const size_t count = w->journal->plan.count;
    cleanup_free struct finding {
        const struct step *step;
        struct error why;
        bool bad;
    } *found = xcalloc(count + 1, sizeof(*found));
    cleanup_free char *all = xasprintf("pult network apply %s", w->net->name);
    cleanup_free char *again = xasprintf("pult network down --force %s && pult network apply %s",
                                         w->net->name, w->net->name);
    size_t n = 0, bad = 0;

    for (int base = 1; base >= 0; base--)
        for (size_t i = 0; i < count; i++) {
            const struct step *s = &w->journal->plan.steps[i];
            if (is_base(s) != base || !s->op->check || s->state != STEP_DONE ||
                str_eq(s->op->name, "server"))
                continue;
            found[n].step = s;
            found[n].bad = s->op->check(s, &found[n].why) < 0;
            bad += found[n++].bad;
        }
    for (size_t i = 0; i < n; i++) {
        const struct step *s = found[i].step;
        cleanup_free char *proof = step_say(s, s->op->proof, false);
        cleanup_free char *command = step_say(s, s->op->command, true);
        if (!found[i].bad)
            say(w, NET_FINDING_OK, s->op->name, NULL, "%s", proof);
        else
            say(w, NET_FINDING_BAD, s->op->name,
                bad == 1 && mends_itself(s, command) ? command
                : s->risk                            ? again
                                                     : all,
                "%s", found[i].why.text);
    }
}

static void see_cable(const struct walk *w)
{
    const struct link *nic = *w->net->port ? host_link(w->host, w->net->port) : NULL;

    if (!*w->net->port)
        return;
    if (!nic)
        say(w, NET_FINDING_BAD, "cable", "ip link", "there is no interface '%s'", w->net->port);
    else if (!nic->running)
        say(w, NET_FINDING_BAD, "cable", "plug it in, or switch its other end on",
            "%s has no carrier", nic->name);
    else
        say(w, NET_FINDING_OK, "cable", NULL, "%s has a carrier", nic->name);
}

/* The host itself has to know a way out, of each family that the network has. */
static void see_route_of(const struct walk *w, int family)
{
    const char *version = family == AF_INET ? "IPv4" : "IPv6";
    char name[IFNAMSIZ];
    bool wanted = false;

    for (unsigned i = 0; i < w->net->address_count; i++)
        wanted |= w->net->addresses[i].family == family;
    for (size_t i = 0; wanted && i < w->host->route_count; i++) {
        const struct host_route *r = &w->host->routes[i];
        if (r->to.family != family || !str_starts(r->spec, "default"))
            continue;
        say(w, NET_FINDING_OK, "route", NULL, "the host's way out is %s (%s)",
            r->index ? link_name(r->index, name) : "several interfaces", version);
        return;
    }
    if (wanted)
        say(w, NET_FINDING_NOTE, "route",
            family == AF_INET ? "ip route add default via ROUTER"
                              : "ip -6 route add default via ROUTER",
            "the host has no default route (%s): guests reach what it reaches", version);
}

/* Where the host forwarded before the network came there is no step that says so. */
static void see_forwarding(const struct walk *w, int family)
{
    const char *key = family == AF_INET ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding";
    cleanup_free char *now = sysctl_read(key);
    cleanup_free char *remedy = xasprintf("sysctl -w %s=1", key);
    bool wanted = false;

    for (unsigned i = 0; i < w->net->address_count; i++)
        wanted |= w->net->addresses[i].family == family;
    for (size_t i = 0; i < w->journal->plan.count; i++) {
        const struct step *s = &w->journal->plan.steps[i];
        wanted &= !str_eq(s->op->name, "sysctl") || !s->args[0] || !str_eq(s->args[0], key);
    }
    if (wanted && now)
        say(w, str_eq(now, "0") ? NET_FINDING_BAD : NET_FINDING_OK, "sysctl",
            str_eq(now, "0") ? remedy : NULL, "%s is %s", key, now);
}

static void see_route(const struct walk *w)
{
    if (w->net->kind != NET_NAT && w->net->kind != NET_ROUTED)
        return;
    see_forwarding(w, AF_INET);
    see_forwarding(w, AF_INET6);
    see_route_of(w, AF_INET);
    see_route_of(w, AF_INET6);
}

/*
 * Rules of others. What was mended may be lost since, as when their owner was started anew: then it is
 * mended again with the network.
 */
static void see_foreign(const struct walk *w)
{
    cleanup_plan struct plan p = {0};
    cleanup_free char *consent =
        xasprintf("pult network set %s net.mend=1 && pult network down --force %s && "
                  "pult network apply %s",
                  w->net->name, w->net->name, w->net->name);
    cleanup_free char *again = xasprintf("pult network down --force %s && pult network apply %s",
                                         w->net->name, w->net->name);
    bool mended = false;
    struct error err;

    for (size_t i = 0; i < w->journal->plan.count; i++)
        mended |= str_eq(w->journal->plan.steps[i].op->name, "mend");
    if (foreign_plan(w->net, false, &p, &err) < 0) {
        say(w, NET_FINDING_NOTE, "firewalls", NULL, "%s", err.text);
        return;
    }
    for (char **n = p.notes; n && *n; n++)
        say(w, NET_FINDING_BAD, "firewalls", mended ? again : consent, "%s", *n);
    if (!p.notes)
        say(w, NET_FINDING_OK, "firewalls", NULL, "no other rules are in the way%s",
            mended ? " (they were mended)" : "");
}

static void see_counts(const struct walk *w)
{
    struct firewall_counts c;

    if (firewall_counts(w->net->name, &c, NULL) < 0)
        return;
    say(w, c.dropped_packets ? NET_FINDING_NOTE : NET_FINDING_OK, "counters", NULL,
        "%llu packets out, %llu in, %llu dropped", (unsigned long long)c.out_packets,
        (unsigned long long)c.in_packets, (unsigned long long)c.dropped_packets);
}

static void see_members(const struct walk *w)
{
    const struct link *bridge =
        net_kind_has_bridge(w->net->kind) ? host_link(w->host, w->net->name) : NULL;
    cleanup_free char *apply = xasprintf("pult network apply %s", w->net->name);
    cleanup_free struct member *list = NULL;
    size_t count = 0;

    if (!bridge || network_members(w->net->name, &list, &count, NULL) < 0)
        return; /* without a bridge nobody is in it, and that has been said */
    for (size_t i = 0; i < count; i++) {
        const struct link *l = *list[i].port ? host_link(w->host, list[i].port) : NULL;
        if (!*list[i].port)
            continue;
        cleanup_free char *again =
            xasprintf("pult kill %s; pult wait --state stopped %s; pult start %s", list[i].guest,
                      list[i].guest, list[i].guest);
        if (!l)
            say(w, NET_FINDING_BAD, "guest", again, "%s: its interface %s is gone", list[i].guest,
                list[i].port);
        else if (l->master != bridge->index)
            say(w, NET_FINDING_BAD, "guest", apply, "%s: its interface %s is not in the bridge",
                list[i].guest, l->name);
        else if (w->net->guard && !firewall_guards(w->net->name, l->name))
            say(w, NET_FINDING_BAD, "guest", apply, "%s: nothing guards its interface %s",
                list[i].guest, l->name);
        else if (l->isolated != w->net->isolate)
            say(w, NET_FINDING_BAD, "guest", apply, "%s: its interface %s is %sisolated",
                list[i].guest, l->name, w->net->isolate ? "not " : "");
        else if (firewall_needs_hairpin(w->net) && !l->hairpin)
            say(w, NET_FINDING_BAD, "guest", apply, "%s: its interface %s is not in hairpin mode",
                list[i].guest, l->name);
        else if (!l->running)
            say(w, NET_FINDING_NOTE, "guest", "switch its card on, in the guest",
                "%s: its card is off", list[i].guest);
        else
            say(w, NET_FINDING_OK, "guest", NULL, "%s by %s", list[i].guest, l->name);
    }
}

/* That they are as they were made has been looked at: what a guest has of them. */
static void see_taps(const struct walk *w)
{
    for (unsigned i = 0; i < w->net->tap_count; i++) {
        const struct net_tap *t = &w->net->taps[i];
        const bool used = tap_is_used(w->net->name, t->name);
        say(w, NET_FINDING_OK, "tap", NULL, "%s of %s%s%s: %s", t->name, t->user,
            *t->user && *t->group ? ", " : "", t->group,
            used ? "a guest has it open" : "nobody has it open");
    }
}

/* A socket that asks this name server; -1 with errno. */
static int dns_socket(const struct address *server)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(53)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
    const bool is_six = server->family == AF_INET6;
    const struct sockaddr *to = is_six ? (const struct sockaddr *)&six : (void *)&four;

    memcpy(&four.sin_addr, server->bytes, 4);
    memcpy(&six.sin6_addr, server->bytes, 16);
    cleanup_close int fd = socket(server->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, to, is_six ? sizeof(six) : sizeof(four)) < 0)
        return -1;
    return steal_fd(fd);
}

/* Does the name server answer at all? Any answer will do, also that there is no such name. */
static int ask_dns(const struct address *server, struct error *err)
{
    /* RFC 1035, 4.1: one question: version.bind, TXT, CHAOS, which is answered without asking others. */
    static const uint8_t question[] = {0x70, 0x75, 1,   0,   0,   1,   0,   0,   0,   0,
                                       0,    0,    7,   'v', 'e', 'r', 's', 'i', 'o', 'n',
                                       4,    'b',  'i', 'n', 'd', 0,   0,   16,  0,   3};
    uint8_t answer[512];
    char text[ADDRESS_TEXT];

    cleanup_close int fd = dns_socket(server);
    if (fd < 0 || send(fd, question, sizeof question, 0) < 0)
        return error_set(err, errno, "ask the name server %s", address_text(server, true, text));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (poll(&p, 1, DNS_MS) <= 0)
        return error_set(err, ETIMEDOUT, "ask the name server %s",
                         address_text(server, true, text));
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    if (n < 12 || memcmp(answer, question, 2) != 0)
        return error_set(err, n < 0 ? errno : EPROTO, "hear from the name server %s",
                         address_text(server, true, text));
    return 0;
}

/* Whom the network's name server asks for names of elsewhere: those of the host. */
static void see_upstream(const struct walk *w)
{
    cleanup_free char *text = NULL;

    if (w->net->kind == NET_ISOLATED)
        return;
    if (file_read_at(AT_FDCWD, RESOLV_CONF, 65536, &text, NULL, NULL) == 0) {
        char *rest = text;
        for (char *line; (line = strsep(&rest, "\n"));)
            if (str_starts(line, "nameserver"))
                return;
    }
    say(w, NET_FINDING_NOTE, "dns", "echo nameserver ADDRESS >>" RESOLV_CONF,
        RESOLV_CONF " names no server: guests get no names but each other's");
}

/* The largest range that the network of net.dhcp has, but for the host's address: a command. */
static char *larger_range(const struct network *n)
{
    char first[ADDRESS_TEXT], last[ADDRESS_TEXT];

    for (unsigned i = 0; i < n->address_count; i++) {
        const struct address *own = &n->addresses[i];
        if (!address_contains(own, &n->dhcp_first))
            continue;
        const struct address net = address_network(own);
        struct address from = address_add(&net, 1);
        struct address to = address_add(&net, ((int64_t)1 << (32 - own->prefix)) - 2);
        const int64_t below = address_distance(&from, own), above = address_distance(own, &to);
        if (above >= below)
            from = address_add(own, 1);
        else
            to = address_add(own, -1);
        if (address_distance(&from, &to) <= address_distance(&n->dhcp_first, &n->dhcp_last))
            break;
        return xasprintf(
            "pult network set %s net.dhcp=%s-%s && pult network down --force %s && pult "
            "network apply %s",
            n->name, address_text(&from, true, first), address_text(&to, true, last), n->name,
            n->name);
    }
    return xasprintf(
        "destroy guests that are not needed, or give the network a larger net.address");
}

/* Why a server that runs makes no offer. */
static void see_silence(const struct walk *w, const struct probe *p)
{
    const struct network *n = w->net;
    cleanup_free char *log = network_run_path(n->name, "log");
    cleanup_free char *words = xasprintf("cat %s", log);
    cleanup_free char *larger = larger_range(n);
    char first[ADDRESS_TEXT], last[ADDRESS_TEXT];

    if (!p->heard)
        say(w, NET_FINDING_BAD, "dhcp", "nft list ruleset; iptables-save",
            "what guests ask the DHCP server does not come to it: a rule drops what comes by %s to "
            "port 67 of UDP",
            n->name);
    else if (!pool_has_room(n))
        say(w, NET_FINDING_BAD, "dhcp", larger,
            "no address of %s-%s is left: who joins next gets none",
            address_text(&n->dhcp_first, true, first), address_text(&n->dhcp_last, true, last));
    else
        say(w, NET_FINDING_BAD, "dhcp", words,
            "the DHCP server hears what it is asked, but no offer of it comes back");
}

/* Is it one of the host's own, in this network? */
static bool is_own(const struct network *n, const struct address *a)
{
    for (unsigned i = 0; i < n->address_count; i++)
        if (address_equal(&n->addresses[i], a))
            return true;
    return false;
}

/* What a guest gets that asks: an offer, and what the router says of itself. */
static void see_answers(const struct walk *w)
{
    cleanup_free char *log = network_run_path(w->net->name, "log");
    cleanup_free char *words = xasprintf("cat %s", log);
    cleanup_free char *guard =
        xasprintf("pult network set %s net.guard=1 && pult network down --force %s && pult network "
                  "apply %s",
                  w->net->name, w->net->name, w->net->name);
    char text[ADDRESS_TEXT];
    bool six = false;
    struct error err;
    struct probe p;

    for (unsigned i = 0; i < w->net->address_count; i++)
        six |= w->net->addresses[i].family == AF_INET6;
    if (geteuid() != 0 || (!w->net->dhcp_first.family && !six) || !host_link(w->host, w->net->name))
        return;
    if (network_probe(w->net, &p, &err) < 0) {
        say(w, NET_FINDING_NOTE, "dhcp", NULL, "the server was not asked: %s", err.text);
        return;
    }
    if (w->net->dhcp_first.family && !p.offered)
        see_silence(w, &p);
    else if (p.offered && p.server.family && !is_own(w->net, &p.server))
        say(w, NET_FINDING_BAD, "dhcp", guard, "another DHCP server is in the network: %s",
            address_text(&p.server, true, text));
    else if (p.offered)
        say(w, NET_FINDING_OK, "dhcp", NULL, "who asks is offered an address");
    if (six && p.advertised)
        say(w, NET_FINDING_OK, "ra", NULL, "who asks is told of the router (IPv6)");
    else if (six)
        say(w, NET_FINDING_BAD, "ra", words,
            "who asks is told of no router (IPv6): a rule drops ICMPv6, or the server is silent");
}

static void see_server(const struct walk *w)
{
    cleanup_free char *log = network_run_path(w->net->name, "log");
    cleanup_free char *remedy = xasprintf("cat %s", log);
    cleanup_free char *apply = xasprintf("pult network apply %s", w->net->name);
    struct error err;
    bool answers = w->net->address_count != 0;

    if (!net_kind_has_server(w->net->kind))
        return;
    if (!server_runs(w->net->name)) {
        say(w, NET_FINDING_BAD, "dhcp", apply, "the DHCP and DNS server does not run");
        return;
    }
    const pid_t stopped = server_stopped(w->net->name);
    cleanup_free char *go_on = xasprintf("kill -CONT %d", (int)stopped);
    if (stopped) {
        say(w, NET_FINDING_BAD, "dhcp", go_on,
            "the DHCP and DNS server was stopped (SIGSTOP): it answers nobody");
        return;
    }
    say(w, NET_FINDING_OK, "dhcp", NULL, "the DHCP and DNS server runs");
    see_answers(w);
    for (unsigned i = 0; i < w->net->address_count; i++)
        if (ask_dns(&w->net->addresses[i], &err) < 0) {
            say(w, NET_FINDING_BAD, "dns", remedy, "%s", err.text);
            answers = false;
        }
    if (answers)
        say(w, NET_FINDING_OK, "dns", NULL, "the name server answers");
    see_upstream(w);
}

int network_examine(const char *name, net_finding_fn *report, void *arg, struct error *err)
{
    cleanup_network struct network *n = NULL;
    cleanup_journal struct journal j = {0};
    cleanup_host struct host h = {0};

    if (network_load(name, &n, err) < 0 || journal_read(name, &j, err) < 0 ||
        host_look(&h, err) < 0)
        return -1;
    const struct walk w = {n, &j, &h, report, arg};
    if (!see_state(&w))
        return 0;
    see_steps(&w);
    see_members(&w);
    see_taps(&w);
    see_cable(&w);
    see_route(&w);
    see_foreign(&w); /* whose rules may also keep from the server what it is asked */
    see_server(&w);
    see_counts(&w);
    return 0;
}
