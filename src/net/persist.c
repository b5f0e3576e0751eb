/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's own configuration of a bridge, see persist.h: what is to be told is gathered once, and
 * each dialect is a function that tells it (persist_dialects.c).
 */
#include "net/persist.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/journal.h"
#include "net/kinds.h"
#include "net/persist_private.h"
#include "net/spec.h"

void persist_note(struct persist *p, const char *fmt, ...)
{
    const size_t n = strv_len(p->notes);
    va_list ap;

    p->notes = xrealloc(p->notes, n + 2, sizeof(*p->notes));
    va_start(ap, fmt);
    p->notes[n] = xvasprintf(fmt, ap);
    va_end(ap);
    p->notes[n + 1] = NULL;
}

FILE *persist_file(struct persist *p, struct writing *w, unsigned mode, const char *fmt, ...)
{
    va_list ap;

    if (p->count == PERSIST_FILES)
        abort(); /* a dialect of ours has more files than there is room for */
    va_start(ap, fmt);
    p->files[p->count].path = xvasprintf(fmt, ap);
    va_end(ap);
    p->files[p->count].mode = mode;
    w->f = open_memstream(&p->files[p->count++].text, &w->len);
    if (!w->f)
        abort();
    return w->f;
}

void persist_clear(struct persist *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->files[i].path);
        free(p->files[i].text);
    }
    strv_free(p->notes);
    *p = (struct persist){0};
}

/* ---- what is to be told ---- */

static void settled_clear(struct settled *s)
{
    strv_free(s->addresses);
    strv_free(s->servers);
    strv_free(s->domains);
    free(s->routes);
}

static void add_text(char ***list, char *text)
{
    const size_t n = strv_len(*list);

    *list = xrealloc(*list, n + 2, sizeof(**list));
    (*list)[n] = text;
    (*list)[n + 1] = NULL;
}

static char **split(const char *text)
{
    cleanup_free char *copy = xstrdup(text);
    char *rest = copy, *word;
    char **list = NULL;

    while ((word = strsep(&rest, " ")))
        if (*word && !str_eq(word, "~."))
            add_text(&list, xstrdup(word));
    return list;
}

/* An address that is lent: who asks for it, is told. */
static void take_lent(const struct host_address *a, struct settled *s)
{
    if (a->address.family == AF_INET)
        s->dhcp4 = true;
    else if (spec_has(a->spec, "mngtmpaddr", NULL) || spec_has(a->spec, "proto", "2"))
        s->ra = true;
    else
        s->dhcp6 = true;
}

static void take_addresses(const struct network *n, const struct host *h, int index,
                           struct settled *s)
{
    char text[ADDRESS_TEXT];

    for (size_t i = 0; i < h->address_count; i++) {
        const struct host_address *a = &h->addresses[i];
        if (a->index != index || a->kernel || a->link_local)
            continue;
        if (a->dynamic)
            take_lent(a, s);
        else
            add_text(&s->addresses, xstrdup(address_text(&a->address, false, text)));
    }
    for (unsigned i = 0; i < n->address_count; i++) {
        address_text(&n->addresses[i], false, text);
        bool there = false;
        for (char **p = s->addresses; p && *p; p++)
            there |= str_eq(*p, text);
        if (!there)
            add_text(&s->addresses, xstrdup(text));
    }
}

static void take_route(const struct host_route *r, struct settled *s, struct persist *out)
{
    static const char *const unsaid[] = {"table", "src", "encap", "nexthop", "congctl", NULL};
    struct settled_route to = {.family = r->to.family};

    for (const char *const *word = unsaid; *word; word++)
        if (spec_has(r->spec, *word, NULL)) {
            persist_note(out, "not told here, add it by hand: ip route add %s", r->spec);
            return;
        }
    if (r->to.prefix)
        address_text(&r->to, false, to.to);
    if (r->via.family)
        address_text(&r->via, true, to.via);
    spec_value(r->spec, "metric", to.metric, sizeof(to.metric));
    if (r->to.family == AF_INET6 && str_eq(to.metric, "1024"))
        to.metric[0] = '\0'; /* the kernel's own */
    to.onlink = spec_has(r->spec, "onlink", NULL);
    s->routes = xrealloc(s->routes, s->route_count + 1, sizeof(*s->routes));
    s->routes[s->route_count++] = to;
}

/* Those that nobody tells by himself, a gateway before what lies behind it. */
static void take_routes(const struct host *h, int index, struct settled *s, struct persist *out)
{
    for (int by_gateway = 0; by_gateway < 2; by_gateway++)
        for (size_t i = 0; i < h->route_count; i++) {
            const struct host_route *r = &h->routes[i];
            const bool told = r->kernel || spec_has(r->spec, "proto", "dhcp") ||
                              spec_has(r->spec, "proto", "kernel") ||
                              spec_has(r->spec, "proto", "ra");
            /* dhclient's are not marked as its own */
            const bool lent = s->dhcp4 && r->to.family == AF_INET && !r->to.prefix;
            s->ra |= r->index == index && spec_has(r->spec, "proto", "ra");
            if (r->index == index && !told && !lent && (r->via.family != 0) == (bool)by_gateway)
                take_route(r, s, out);
        }
    for (size_t i = 0; i < h->rule_count; i++)
        if (h->rules[i].device[0] &&
            (str_eq(h->rules[i].device, s->port) || str_eq(h->rules[i].device, s->bridge)))
            persist_note(out, "not told here, add it by hand: ip rule add %s", h->rules[i].spec);
}

static int gather(const struct network *n, const struct host *h, struct settled *s,
                  struct persist *out, struct error *err)
{
    cleanup_free char *servers = NULL, *domains = NULL;
    const struct link *from = host_link(h, n->name);

    s->bridge = n->name;
    s->nic = n->port;
    s->vlan = n->vlan;
    network_parent(n, s->port);
    if (!from)
        from = host_link(h, s->port);
    if (!from)
        from = host_link(h, n->port); /* the VLAN is not there yet: its MAC and MTU will be these */
    if (!from)
        return error_set(err, ENODEV, "there is no interface '%s' (net.port)", n->port);
    snprintf(s->mac, sizeof(s->mac), "%02x:%02x:%02x:%02x:%02x:%02x", from->mac[0], from->mac[1],
             from->mac[2], from->mac[3], from->mac[4], from->mac[5]);
    s->mtu = n->mtu ? n->mtu : from->mtu == 1500 ? 0 : from->mtu;
    const bool own = str_eq(from->name, n->name) || str_eq(from->name, s->port);
    take_addresses(n, h, own ? from->index : 0, s);
    if (!own)
        return 0;
    take_routes(h, from->index, s, out);
    host_resolved(from->index, &servers, &domains);
    s->servers = s->dhcp4 ? NULL : split(servers);
    s->domains = s->dhcp4 ? NULL : split(domains);
    return 0;
}

/* ---- which dialect ---- */

static bool has_netplan(void)
{
    cleanup_closedir DIR *d = opendir("/etc/netplan");
    struct dirent *e;

    while (d && (e = readdir(d))) {
        const size_t len = strlen(e->d_name);
        if (len > 5 && str_eq(e->d_name + len - 5, ".yaml"))
            return true;
    }
    return false;
}

/* Who keeps the NIC, or kept it before this network had it released. */
static enum manager keeper(const struct network *n, const char *port)
{
    cleanup_journal struct journal j = {0};

    if (journal_read(n->name, &j, NULL) == 0)
        for (size_t i = 0; i < j.plan.count; i++)
            for (enum manager m = MANAGER_NETWORKD; m <= MANAGER_IFUPDOWN; m++)
                if (str_eq(j.plan.steps[i].op->name, "release") &&
                    str_eq(j.plan.steps[i].args[0], manager_name(m)))
                    return m;
    return host_manager(port);
}

static const char *find_dialect(const struct network *n, const char *port, struct error *err)
{
    switch (keeper(n, port)) {
    case MANAGER_NETWORKD:
        return has_netplan() ? "netplan" : "networkd";
    case MANAGER_NM:
        return has_netplan() ? "netplan" : "nm";
    case MANAGER_DHCLIENT:
    case MANAGER_DHCPCD:
    case MANAGER_IFUPDOWN:
        return "ifupdown";
    case MANAGER_NONE:
        break;
    }
    if (has_netplan())
        return "netplan";
    if (access("/etc/network/interfaces", F_OK) == 0)
        return "ifupdown";
    error_set(err, 0, "nobody is known to keep the configuration of '%s'", port);
    error_hint(err, "say in which dialect: networkd, nm, ifupdown or netplan");
    return NULL;
}

const char *persist_dialect(size_t i)
{
    for (const struct dialect *d = persist_dialects; d->name; d++)
        if (i-- == 0)
            return d->name;
    return NULL;
}

int persist_make(const struct network *n, const struct host *h, const char *dialect,
                 struct persist *out, struct error *err)
{
    __attribute__((cleanup(settled_clear))) struct settled s = {0};

    *out = (struct persist){0};
    if (n->kind != NET_BRIDGE || !*n->port)
        return error_set(err, EINVAL,
                         "'%s' changes nothing that the host's own configuration keeps: only a "
                         "bridge with a NIC (net.port) does",
                         n->name);
    if (gather(n, h, &s, out, err) < 0 || (!dialect && !(dialect = find_dialect(n, s.port, err))))
        goto failed;
    for (const struct dialect *d = persist_dialects; d->name; d++)
        if (str_eq(d->name, dialect)) {
            snprintf(out->dialect, sizeof(out->dialect), "%s", d->name);
            d->tell(&s, out);
            return 0;
        }
    error_set(err, EINVAL, "'%s' is no dialect: networkd, nm, ifupdown or netplan", dialect);
failed:
    persist_clear(out);
    return -1;
}

/* ---- what becomes of it ---- */

char *persist_text(const struct persist *p)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        abort();
    for (size_t i = 0; i < p->count; i++)
        fprintf(f, "%s==> %s <==\n%s", i ? "\n" : "", p->files[i].path, p->files[i].text);
    for (char **n = p->notes; n && *n; n++)
        fprintf(f, "%snote: %s\n", n == p->notes ? "\n" : "", *n);
    if (fclose(f) != 0)
        abort();
    return text;
}

int persist_from_json(const char *text, struct persist *out, struct error *err)
{
    json_t *o = json_loads(text, 0, NULL), *file, *note;
    const char *dialect = json_string_value(json_object_get(o, "dialect"));
    const json_t *files = json_object_get(o, "files");
    bool good = dialect && json_is_array(files) && json_array_size(files) <= PERSIST_FILES;
    size_t i;

    *out = (struct persist){0};
    snprintf(out->dialect, sizeof(out->dialect), "%s", dialect ? dialect : "");
    for (i = 0; good && i < json_array_size(files); i++) {
        file = json_array_get(files, i);
        const char *path = json_string_value(json_object_get(file, "path"));
        const char *said = json_string_value(json_object_get(file, "text"));
        good = path && said && strrchr(path, '/');
        if (!good)
            break;
        out->files[out->count].path = xstrdup(path);
        out->files[out->count].mode = (unsigned)json_integer_value(json_object_get(file, "mode"));
        out->files[out->count++].text = xstrdup(said);
    }
    json_array_foreach (json_object_get(o, "notes"), i, note)
        if (json_is_string(note))
            persist_note(out, "%s", json_string_value(note));
    json_decref(o);
    if (good)
        return 0;
    persist_clear(out);
    return error_set(err, 0, "this is no configuration");
}

/* The directory of a path, to be made where it is the path itself; *name: of the file, or "". */
static int open_place(const struct persist *p, const char *path, const char **name,
                      struct error *err)
{
    const char *slash = strrchr(path, '/');
    struct stat st;
    const bool file =
        p->count == 1 && !(slash && !slash[1]) && !(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
    cleanup_free char *dir = !file          ? xstrdup(path)
                             : !slash       ? xstrdup(".")
                             : slash > path ? xstrndup(path, (size_t)(slash - path))
                                            : xstrdup("/");

    *name = !file ? "" : slash ? slash + 1 : path;
    if (!file && mkdir(dir, 0755) < 0 && errno != EEXIST)
        return error_set(err, errno, "create the directory '%s'", dir);
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_set(err, errno, "open the directory '%s'", dir) : fd;
}

int persist_save(const struct persist *p, const char *path, bool replace, struct error *err)
{
    const char *name;
    struct stat st;
    cleanup_close int fd = open_place(p, path, &name, err);

    if (fd < 0)
        return -1;
    for (size_t i = 0; i < p->count && !replace; i++) {
        const char *own = *name ? name : strrchr(p->files[i].path, '/') + 1;
        if (fstatat(fd, own, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return error_set(err, EEXIST, "write '%s%s%s'", path, *name ? "" : "/",
                             *name ? "" : own);
    }
    for (size_t i = 0; i < p->count; i++)
        if (file_replace_at(fd, *name ? name : strrchr(p->files[i].path, '/') + 1, p->files[i].text,
                            strlen(p->files[i].text), p->files[i].mode, err) < 0)
            return error_wrap(err, "write '%s'", path);
    return 0;
}
