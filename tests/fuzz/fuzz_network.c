/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What networks read: their definitions, whose address is whose, and what dnsmasq wrote of its
 * clients. A definition that is taken makes rules and a configuration in which each line is one of
 * ours, whatever the values were; what clients call themselves is fit to be shown.
 */
#include "fuzz/feed.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "fuzz/dir.h"
#include "net/firewall.h"
#include "net/pool.h"
#include "net/server.h"

static const char *const keys[] = {
    "net.kind",    "net.port",   "net.vlan",    "net.mtu",   "net.address",
    "net.dhcp",    "net.domain", "net.isolate", "net.guard", "net.autostart",
    "net.forward", "net.mend",   "net.tap",
};
static const char *const values[] = {
    "nat",
    "routed",
    "isolated",
    "bridge",
    "direct",
    "user",
    "eth0",
    "7",
    "1400",
    "10.87.0.1/24",
    "10.88.0.1/16",
    "fd87::1/64",
    "255.255.255.255/1",
    "0.0.0.0/0",
    "::/0",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/64",
    "10.87.0.2-10.87.0.99",
    "10.87.0.254-10.87.0.255",
    "off",
    "on",
    "nat0.pult",
    "tcp:80:web",
    "udp:1-65535:web:1-65535",
    "tcp:1-100:10.87.0.2:101",
    "tcp:192.0.2.1:8080:web:80",
    "tcp:[2001:db8::1]:22:[fd87::2]:2222",
    "t1,user=root",
    "t2,user=0,group=0,mac=02:00:00:00:00:07,address=10.87.0.9",
    "",
};
static const char *const words[] = {
    "02:00:00:00:00:01", "10.87.0.2", "fd87::2", "web",     "*",
    "1800000000",        "0",         "duid",    "-1",      "02:00:00:00:00",
    "10.87.0.2/24",      "999.1.1.1", "a b",     "\x1b[2J", "\xff",
};

static char *definition(struct feed *f)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    fprintf(out, "net.kind = %s\n", values[feed_below(f, 6)]);
    for (unsigned n = feed_below(f, 12); n; n--) {
        cleanup_free char *odd = feed_rarely(f, 6) ? feed_string(f, 24) : NULL;
        fprintf(out, "%s = %s\n", feed_pick(f, keys), odd ? odd : feed_pick(f, values));
    }
    fclose(out);
    return text;
}

/* Lines of words, with one of these between them. */
static char *lines(struct feed *f, const char *between)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    for (unsigned n = feed_below(f, 8); n; n--) {
        for (unsigned w = feed_below(f, 6); w; w--) {
            cleanup_free char *odd = feed_rarely(f, 8) ? feed_string(f, 80) : NULL;
            fprintf(out, "%s%s", odd ? odd : feed_pick(f, words), between);
        }
        fputc('\n', out);
    }
    fclose(out);
    return text;
}

/* Each line of a script is a command of ours. */
static void must_be_commands(const char *text)
{
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        must(strchr(line, '\n'));
        must(str_starts(line, "add ") || str_starts(line, "flush ") || str_starts(line, "delete "));
    }
}

static void must_be_settings(const char *text)
{
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        must(strchr(line, '\n'));
        must(*line == '#' || (*line >= 'a' && *line <= 'z'));
    }
}

static void one_network(struct feed *f)
{
    cleanup_free char *text = definition(f);
    cleanup_network struct network *n = NULL;
    struct conf *c;
    struct error err = {0};
    struct address a;
    const uint8_t mac[6] = {2, 0, 0, 0, 0, feed_byte(f)};

    if (strstr(text, "lxc.include") || conf_parse("fuzz", text, strlen(text), &c, &err) < 0)
        return;
    if (network_from_conf("nat0", c, &n, &err) < 0) {
        must(*err.text);
        return;
    }
    must(n->address_count <= NET_ADDRESSES && n->forward_count <= NET_FORWARDS);
    for (unsigned i = 0; i < n->forward_count; i++) {
        const struct net_forward *w = &n->forwards[i];
        must(w->first && w->first <= w->last && w->last <= 65535);
        must(w->to && w->to + (w->last - w->first) <= 65535 && *w->guest);
    }
    if (pool_take(n, "web", mac, false, NULL, &a, &err) == 0 && a.family) {
        bool inside = false;
        for (unsigned i = 0; i < n->address_count; i++)
            inside |= address_contains(&n->addresses[i], &a);
        must(inside);
        pool_address6(n, mac, &a);
    }
    must(n->tap_count <= NET_TAPS);
    for (unsigned i = 0; i < n->tap_count; i++) {
        const struct net_tap *t = &n->taps[i];
        must(network_name_check(t->name, NULL) == 0 && (*t->user || *t->group));
        cleanup_free char *guard =
            firewall_guard_script("nat0", t->name, t->mac, &t->address, t->address.family != 0, i);
        must_be_commands(guard);
    }
    cleanup_free char *alone = server_config_alone(n);
    must_be_settings(alone);
    cleanup_free char *script = firewall_script(n);
    must_be_commands(script);
    cleanup_free char *config = server_config(n);
    must_be_settings(config);
}

static void must_be_printable(const char *text)
{
    cleanup_free char *copy = xstrdup(text);

    str_printable(copy);
    must(str_eq(copy, text));
}

static void leases_and_hosts(void)
{
    struct lease *leases = NULL;
    struct pool_entry *all = NULL;
    size_t count = 0;

    must(server_leases("nat0", &leases, &count, NULL) == 0);
    for (size_t i = 0; i < count; i++) {
        must(leases[i].address.family && leases[i].expires >= 0);
        must_be_printable(leases[i].name);
    }
    free(leases);
    count = 0;
    must(pool_read("nat0", &all, &count, NULL) == 0);
    for (size_t i = 0; i < count; i++) {
        must(all[i].address.family == AF_INET && *all[i].guest);
        must_be_printable(all[i].guest);
    }
    free(all);
}

static void keep(const char *suffix, const char *text)
{
    cleanup_free char *path = network_home_path("nat0", suffix);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must(fd >= 0 && write_all(fd, text, strlen(text)) == 0);
    close(fd);
}

/* Places of its own, once. */
static void set_up(void)
{
    static bool done;

    if (done)
        return;
    done = true;
    close(fuzz_dir());
    setenv("PULT_HOME", fuzz_dir_path, 1);
    setenv("PULT_RUN", fuzz_dir_path, 1);
    const int lock = networks_lock(NULL);
    must(lock >= 0);
    close(lock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};

    set_up();
    cleanup_free char *leases = lines(&f, " ");
    cleanup_free char *hosts = lines(&f, ",");

    keep("leases", leases);
    keep("hosts", hosts);
    leases_and_hosts();
    one_network(&f);
    return 0;
}
