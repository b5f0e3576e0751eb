/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a network's dnsmasq reads (server.h), in RUN/.networks/NAME, for all to read, since it gives
 * up its rights:
 *
 *     dnsmasq.conf   its configuration
 *     hosts          which MAC gets which address and name: the pool as it stands
 *     names          which name has which address, also for guests whose address is set by pult
 *
 * Both are made of HOME/networks/NAME.hosts and read anew at SIGHUP. The file of leases, in HOME, is
 * opened while it still has its rights.
 */
#include "net/server_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/pool.h"
#include "net/server.h"

#define FILE_MAX   (8u << 20)
#define LEASE_TIME "12h"
#define SHORT_TIME "1h" /* of IPv6: for so long an address is that of a system that was replaced */
#define LEASES_MAX 65536

/* A path as its grammar quotes it. */
static void put_path(FILE *f, const char *key, char *path)
{
    fprintf(f, "%s=\"", key);
    for (const char *p = path; *p; p++)
        fprintf(f, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    fputs("\"\n", f);
    free(path);
}

static void put_dhcp4(FILE *f, const struct network *n)
{
    char first[ADDRESS_TEXT], last[ADDRESS_TEXT], mask[ADDRESS_TEXT];
    struct address m = {.family = AF_INET, .prefix = 32};

    if (!n->dhcp_first.family)
        return;
    for (unsigned i = 0; i < n->address_count; i++)
        if (address_contains(&n->addresses[i], &n->dhcp_first))
            for (unsigned bit = 0; bit < n->addresses[i].prefix; bit++)
                m.bytes[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
    fprintf(f, "dhcp-range=%s,%s,%s," LEASE_TIME "\n", address_text(&n->dhcp_first, true, first),
            address_text(&n->dhcp_last, true, last), address_text(&m, true, mask));
    fprintf(f, "dhcp-authoritative\nno-ping\ndhcp-lease-max=%d\n", LEASES_MAX);
    if (n->mtu)
        fprintf(f, "dhcp-option=option:mtu,%u\n", n->mtu);
    if (n->kind == NET_ISOLATED)
        fputs("dhcp-option=option:router\n", f); /* none */
}

/*
 * Guests may make their addresses themselves, or ask for them: each gets the same one either way.
 * Only guests of the pool do, since a client of DHCPv6 can call itself what it likes, and would have
 * as many leases as it wants.
 */
static void put_dhcp6(FILE *f, const struct network *n)
{
    const char *mode = n->dhcp_first.family ? "static,slaac" : "ra-stateless";
    char text[ADDRESS_TEXT];
    bool some = false;

    for (unsigned i = 0; i < n->address_count; i++) {
        if (n->addresses[i].family != AF_INET6)
            continue;
        const struct address net = address_network(&n->addresses[i]);
        fprintf(f, "dhcp-range=%s,%s,ra-names,%u," SHORT_TIME "\n", address_text(&net, true, text),
                mode, net.prefix);
        some = true;
    }
    if (!some)
        return;
    fputs("enable-ra\n", f);
    if (n->kind == NET_ISOLATED)
        fprintf(f, "ra-param=%s,0,0\n", n->name); /* it is no way out */
}

static void put_domain(FILE *f, const struct network *n)
{
    char text[ADDRESS_TEXT];

    if (!n->domain)
        return;
    fprintf(f, "domain=%s\nlocal=/%s/\n", n->domain, n->domain);
    for (unsigned i = 0; i < n->address_count; i++) {
        const struct address net = address_network(&n->addresses[i]);
        if (net.family == AF_INET ? net.prefix % 8 == 0 : net.prefix % 4 == 0)
            fprintf(f, "domain=%s,%s,local\n", n->domain, address_text(&net, false, text));
    }
}

/* Nobody else's names lead in here, past what a browser holds for one site (DNS rebinding). */
static void put_rebinding(FILE *f, const struct network *n)
{
    char text[ADDRESS_TEXT];

    for (unsigned i = 0; i < n->address_count; i++) {
        const struct address net = address_network(&n->addresses[i]);
        if (net.family == AF_INET) /* of IPv6 dnsmasq takes no subnets */
            fprintf(f, "bogus-nxdomain=%s\n", address_text(&net, false, text));
    }
}

static void put_host(FILE *f, const struct address *prefix6, const struct pool_entry *e,
                     const char *label);
static void label_of(const char *guest, char out[64]);

/* Who starts it by hand has no file of hosts: the taps of the definition are said here. */
static void put_taps(FILE *f, const struct network *n)
{
    struct address addresses[NET_TAPS], six = {0};

    if (pool_plan_taps(n, addresses, NULL) < 0)
        return;
    for (unsigned i = 0; i < n->address_count && !six.family; i++)
        if (n->addresses[i].family == AF_INET6)
            six = address_network(&n->addresses[i]);
    for (unsigned i = 0; i < n->tap_count; i++) {
        struct pool_entry e = {.address = addresses[i]};
        char label[64];
        if (!addresses[i].family)
            continue;
        memcpy(e.mac, n->taps[i].mac, 6);
        label_of(n->taps[i].name, label);
        fputs("dhcp-host=", f);
        put_host(f, &six, &e, label);
    }
}

static char *config_of(const struct network *n, bool alone)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return xstrdup("");
    if (!alone)
        fprintf(f, "# the network %s, written by pult: changes are lost\n", n->name);
    fprintf(f, "interface=%s\nexcept-interface=lo\nbind-dynamic\nno-hosts\n", n->name);
    fputs("domain-needed\nquiet-dhcp\nquiet-dhcp6\nquiet-ra\n", f);
    fputs("dhcp-ignore-names\n", f); /* who is called what says the pool, no guest */
    if (alone) {
        fprintf(f, "pid-file=" SERVER_ALONE ".pid\n", n->name);
        fprintf(f, "dhcp-leasefile=" SERVER_ALONE ".leases\n", n->name);
        put_taps(f, n);
    } else {
        put_path(f, "addn-hosts", network_run_path(n->name, "names"));
        put_path(f, "dhcp-hostsfile", network_run_path(n->name, "hosts"));
        put_path(f, "dhcp-leasefile", network_home_path(n->name, "leases"));
    }
    if (n->kind == NET_ISOLATED)
        fputs("no-resolv\n", f);
    put_domain(f, n);
    put_rebinding(f, n);
    put_dhcp4(f, n);
    put_dhcp6(f, n);
    fclose(f);
    return text;
}

char *server_config(const struct network *n)
{
    return config_of(n, false);
}

char *server_config_alone(const struct network *n)
{
    return config_of(n, true);
}

/* ---- guests ---- */

/* A guest's name as one of DNS: a label (RFC 1035, 2.3.1). */
static void label_of(const char *guest, char out[64])
{
    size_t n = 0;

    for (const char *p = guest; *p && n < 63; p++) {
        const bool fits =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        out[n++] = fits ? *p : '-';
    }
    while (n && out[n - 1] == '-')
        n--;
    out[n] = '\0';
}

/* Was there a card of this guest before? Its name leads to the first. */
static bool had(const struct pool_entry *all, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (str_eq(all[j].guest, all[i].guest))
            return true;
    return false;
}

/* What a configuration says that was written: it is in force, whatever the definition says. */
struct in_force {
    char domain[256];       /* "": none */
    struct address prefix6; /* family 0: no addresses of IPv6 are given */
};

static struct in_force read_config(const char *network)
{
    cleanup_free char *path = network_run_path(network, "dnsmasq.conf"), *text = NULL;
    struct in_force c = {0};

    if (file_read_at(AT_FDCWD, path, FILE_MAX, &text, NULL, NULL) < 0)
        return c;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        const char *local = str_starts(line, "local=/") ? line + strlen("local=/") : "";
        char *range = str_starts(line, "dhcp-range=") ? line + strlen("dhcp-range=") : NULL;
        if (*local)
            snprintf(c.domain, sizeof(c.domain), "%.*s", (int)strcspn(local, "/"), local);
        if (!range || c.prefix6.family || !strstr(range, ",static,"))
            continue;
        range[strcspn(range, ",")] = '\0';
        address_parse(range, &c.prefix6, NULL);
    }
    return c;
}

static void put_name(FILE *names, const struct in_force *c, const struct address *a,
                     const char *label)
{
    char text[ADDRESS_TEXT];

    fprintf(names, "%s %s", address_text(a, true, text), label);
    if (*c->domain)
        fprintf(names, " %s.%s", label, c->domain);
    fputc('\n', names);
}

/* A line of the file of hosts. */
static void put_host(FILE *f, const struct address *prefix6, const struct pool_entry *e,
                     const char *label)
{
    const uint8_t *m = e->mac;
    struct address six = *prefix6, spare = *prefix6;
    char text[ADDRESS_TEXT];

    fprintf(f, "%02x:%02x:%02x:%02x:%02x:%02x,%s", m[0], m[1], m[2], m[3], m[4], m[5],
            address_text(&e->address, true, text));
    if (six.family) {
        pool_address6_in(six.bytes, m, six.bytes);
        for (unsigned i = POOL_SPARES; i > 0; i--) { /* dnsmasq gives the last one first */
            pool_spare6(six.bytes, i, spare.bytes);
            fprintf(f, ",[%s]", address_text(&spare, true, text));
        }
        fprintf(f, ",[%s]", address_text(&six, true, text));
    }
    fprintf(f, "%s%s\n", *label ? "," : "", label);
}

/*
 * That a guest has its address of IPv6 is known of those only whose engine sets it; of others the
 * server finds out by itself, when they ask for one or answer there (ra-names).
 */
static void put_entry(FILE *hosts, FILE *names, const struct in_force *c,
                      const struct pool_entry *e, bool first)
{
    struct address six = c->prefix6;
    char label[64];

    label_of(e->guest, label);
    put_host(hosts, &c->prefix6, e, first ? label : "");
    if (!first || !*label)
        return;
    put_name(names, c, &e->address, label);
    if (!six.family || !e->set)
        return;
    pool_address6_in(six.bytes, e->mac, six.bytes);
    put_name(names, c, &six, label);
}

/* Replace a file if it says something else now. 1: it was replaced. */
static int refresh(const char *network, const char *name, const char *text, struct error *err)
{
    cleanup_free char *path = network_run_path(network, name), *old = NULL;

    if (file_read_at(AT_FDCWD, path, FILE_MAX, &old, NULL, NULL) == 0 && str_eq(old, text))
        return 0;
    return file_replace_at(AT_FDCWD, path, text, strlen(text), 0644, err) < 0 ? -1 : 1;
}

int server_write_config(const struct network *n, struct error *err)
{
    cleanup_free char *text = server_config(n);

    return refresh(n->name, "dnsmasq.conf", text, err);
}

/* Of two that do this at once the later one has read the later pool. */
static int lock_dir(const char *network, struct error *err)
{
    cleanup_free char *dir = network_run_path(network, NULL);
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = -1;

    while (fd >= 0 && (rc = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
        ;
    return rc < 0 ? error_set(err, errno, "lock '%s'", dir) : steal_fd(fd);
}

int server_write_hosts(const char *network, struct error *err)
{
    cleanup_free char *hosts = NULL, *names = NULL;
    cleanup_free struct pool_entry *all = NULL;
    const struct in_force c = read_config(network);
    size_t count, len;

    cleanup_close int lock = lock_dir(network, err);
    if (lock < 0 || pool_read(network, &all, &count, err) < 0)
        return -1;
    FILE *h = open_memstream(&hosts, &len), *n = open_memstream(&names, &len);
    for (size_t i = 0; h && n && i < count; i++)
        put_entry(h, n, &c, &all[i], !had(all, i));
    if (h)
        fclose(h);
    if (n)
        fclose(n);
    if (!hosts || !names)
        return error_set(err, ENOMEM, "write the hosts of '%s'", network);
    const int a = refresh(network, "hosts", hosts, err);
    const int b = a < 0 ? -1 : refresh(network, "names", names, err);
    return b < 0 ? -1 : a | b;
}
