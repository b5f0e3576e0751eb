/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who depends on an interface, and who keeps it: the session that we are in, and the programs that
 * configure interfaces. No program is asked for that: what they write below /run tells enough.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/host.h"
#include "net/link.h"
#include "net/rtnl.h"

/* ---- the session ---- */

/* NAME=VALUE in an environment as /proc has it. A copy, or NULL. */
static char *find_variable(const char *text, size_t len, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = text; p < text + len; p += strlen(p) + 1)
        if (strncmp(p, name, n) == 0 && p[n] == '=')
            return xstrdup(p + n + 1);
    return NULL;
}

static pid_t parent_of(pid_t pid)
{
    cleanup_free char *path = xasprintf("/proc/%d/stat", pid);
    cleanup_free char *text = NULL;
    int parent = 0;

    if (file_read_at(AT_FDCWD, path, 4096, &text, NULL, NULL) < 0)
        return 0;
    const char *p = strrchr(text, ')'); /* a name may have anything in it */
    return p && sscanf(p, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* sudo and su take the variable away, so those above are looked at, too. */
char *host_client(void)
{
    const char *own = getenv("SSH_CONNECTION");
    char *found = own && *own ? xstrdup(own) : NULL;

    for (pid_t pid = getppid(); !found && pid > 1; pid = parent_of(pid)) {
        cleanup_free char *path = xasprintf("/proc/%d/environ", pid);
        cleanup_free char *text = NULL;
        size_t len;
        if (file_read_at(AT_FDCWD, path, 1 << 20, &text, &len, NULL) == 0)
            found = find_variable(text, len, "SSH_CONNECTION");
    }
    if (found)
        found[strcspn(found, " ")] = '\0';
    return found;
}

static void take_oif(void *arg, const struct nlmsghdr *m)
{
    struct nlattr *a[RTA_MAX + 1];

    if (m->nlmsg_type == RTM_NEWROUTE &&
        nlmsg_parse((struct nlmsghdr *)(uintptr_t)m, sizeof(struct rtmsg), a, RTA_MAX, NULL) == 0 &&
        a[RTA_OIF])
        *(int *)arg = (int)nla_get_u32(a[RTA_OIF]);
}

/* The interface that the kernel would send to this address through; 0: none. */
static int way_to(const struct address *to)
{
    const struct rtmsg info = {.rtm_family = (unsigned char)to->family,
                               .rtm_dst_len = (unsigned char)to->prefix};
    struct nl_msg *m = rtnl_message(RTM_GETROUTE, 0, &info, sizeof(info));
    int index = 0;

    nla_put(m, RTA_DST, to->family == AF_INET ? 4 : 16, to->bytes);
    rtnl_ask(m, take_oif, &index, NULL);
    return index;
}

void host_session(const struct host *h, char out[IFNAMSIZ])
{
    cleanup_free char *client = host_client();
    char *zone = client ? strchr(client, '%') : NULL;
    struct address to;
    const struct link *l = NULL;

    out[0] = '\0';
    if (!client)
        return;
    if (zone)
        *zone++ = '\0';
    if (zone && host_link(h, zone))
        l = host_link(h, zone);
    else if (address_parse(client, &to, NULL) == 0)
        l = host_link_at(h, way_to(&to));
    if (l && !str_eq(l->name, "lo"))
        snprintf(out, IFNAMSIZ, "%s", l->name);
}

const char *host_risk(const struct host *h, const char *name)
{
    static char text[128];
    const struct link *l = host_link(h, name);
    char session[IFNAMSIZ], address[ADDRESS_TEXT];

    host_session(h, session);
    if (str_eq(session, name)) {
        snprintf(text, sizeof(text), "%s carries this session of SSH", name);
        return text;
    }
    for (size_t i = 0; l && i < h->route_count; i++)
        if (h->routes[i].index == l->index && !h->routes[i].to.prefix) {
            snprintf(text, sizeof(text), "the default route is by %s", name);
            return text;
        }
    for (size_t i = 0; l && i < h->address_count; i++)
        if (h->addresses[i].index == l->index && !h->addresses[i].kernel) {
            snprintf(text, sizeof(text), "%s has the address %s", name,
                     address_text(&h->addresses[i].address, false, address));
            return text;
        }
    return NULL;
}

/* ---- managers ---- */

const char *manager_name(enum manager m)
{
    static const char *const names[] = {
        [MANAGER_NONE] = "nobody",       [MANAGER_NETWORKD] = "systemd-networkd",
        [MANAGER_NM] = "NetworkManager", [MANAGER_DHCLIENT] = "dhclient",
        [MANAGER_DHCPCD] = "dhcpcd",     [MANAGER_IFUPDOWN] = "ifupdown",
    };

    return names[m];
}

/* The value of KEY= in a file of such lines; a copy, NULL: it is not there. */
static char *line_value(const char *path, const char *key)
{
    cleanup_free char *text = NULL;
    size_t n = strlen(key);

    if (file_read_at(AT_FDCWD, path, 1 << 20, &text, NULL, NULL) < 0)
        return NULL;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")))
        if (strncmp(line, key, n) == 0 && line[n] == '=')
            return xstrdup(line + n + 1);
    return NULL;
}

static bool has_networkd(int index)
{
    cleanup_free char *path = xasprintf("/run/systemd/netif/links/%d", index);
    cleanup_free char *state = line_value(path, "ADMIN_STATE");

    return state && !str_eq(state, "unmanaged") && !str_eq(state, "linger");
}

/* NetworkManager writes that of a device that it was told to leave alone, too. */
static bool has_nm(int index)
{
    cleanup_free char *path = xasprintf("/run/NetworkManager/devices/%d", index);
    cleanup_free char *managed = line_value(path, "managed");
    cleanup_free char *connection = line_value(path, "connection-uuid");

    return connection && !(managed && (str_eq(managed, "false") || str_eq(managed, "0")));
}

/* Is it a call of dhclient for this interface? words are as /proc has them. */
static bool is_dhclient(const char *words, size_t len, const char *name)
{
    const char *base = strrchr(words, '/');

    if (!str_eq(base ? base + 1 : words, "dhclient"))
        return false;
    for (const char *p = words; p < words + len; p += strlen(p) + 1)
        if (str_eq(p, name))
            return true;
    return false;
}

static char *join_nul(const char *words, size_t len)
{
    char **v = NULL;
    size_t n = 0;

    for (const char *p = words; p < words + len; p += strlen(p) + 1) {
        v = xrealloc(v, n + 2, sizeof(char *));
        v[n++] = xstrdup(p);
        v[n] = NULL;
    }
    char *text = v ? str_join_words(v) : xstrdup("");
    strv_free(v);
    return text;
}

/* One in a container may have an interface of the same name. */
static bool is_here(const char *pid)
{
    cleanup_free char *path = xasprintf("/proc/%s/ns/net", pid);
    struct stat theirs, ours;

    return stat(path, &theirs) == 0 && stat("/proc/thread-self/ns/net", &ours) == 0 &&
           theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

pid_t host_dhclient(const char *name, char **command)
{
    cleanup_closedir DIR *d = opendir("/proc");
    struct dirent *e;

    while (d && (e = readdir(d))) {
        cleanup_free char *path = xasprintf("/proc/%s/cmdline", e->d_name);
        cleanup_free char *words = NULL;
        size_t len;
        if (!isdigit((unsigned char)*e->d_name) ||
            file_read_at(AT_FDCWD, path, 65536, &words, &len, NULL) < 0 ||
            !is_dhclient(words, len, name) || !is_here(e->d_name))
            continue;
        if (command)
            *command = join_nul(words, len);
        return (pid_t)strtol(e->d_name, NULL, 10);
    }
    return 0;
}

/* The process of a file that holds its number, where that is dhcpcd's and in this namespace. */
static pid_t dhcpcd_of(const char *file)
{
    cleanup_free char *text = NULL, *comm = NULL;

    if (file_read_at(AT_FDCWD, file, 32, &text, NULL, NULL) < 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    cleanup_free char *path = xasprintf("/proc/%s/comm", text);
    if (!isdigit((unsigned char)*text) || file_read_at(AT_FDCWD, path, 64, &comm, NULL, NULL) < 0 ||
        !str_starts(comm, "dhcpcd") || !is_here(text))
        return 0;
    return (pid_t)strtol(text, NULL, 10);
}

pid_t host_dhcpcd(const char *name, const char **option, bool *manager)
{
    static const char *const kinds[][2] = {{"", ""}, {"-4", "-4 "}, {"-6", "-6 "}};

    if (manager)
        *manager = false;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        cleanup_free char *file = xasprintf("/run/dhcpcd/%s%s.pid", name, kinds[i][0]);
        const pid_t pid = dhcpcd_of(file);
        if (option)
            *option = kinds[i][1];
        if (pid)
            return pid;
    }
    cleanup_free char *lease = xasprintf("/var/lib/dhcpcd/%s.lease", name);
    const pid_t pid = access(lease, F_OK) == 0 ? dhcpcd_of("/run/dhcpcd/pid") : 0;
    if (manager)
        *manager = pid != 0;
    return pid;
}

/* "iface NAME …" in a file of ifupdown's. */
static bool names_interface(const char *path, const char *name)
{
    cleanup_free char *text = NULL;
    bool found = false;

    if (file_read_at(AT_FDCWD, path, 1 << 20, &text, NULL, NULL) < 0)
        return false;
    char *rest = text, *line;
    while (!found && (line = strsep(&rest, "\n"))) {
        char *save, *word = strtok_r(line, " \t", &save);
        if (word && str_eq(word, "iface"))
            found = str_eq(strtok_r(NULL, " \t", &save), name);
    }
    return found;
}

static bool has_ifupdown(const char *name)
{
    cleanup_closedir DIR *d = opendir("/etc/network/interfaces.d");
    struct dirent *e;
    bool found = names_interface("/etc/network/interfaces", name);

    while (d && !found && (e = readdir(d))) {
        cleanup_free char *path = xasprintf("/etc/network/interfaces.d/%s", e->d_name);
        found = *e->d_name != '.' && names_interface(path, name);
    }
    return found;
}

enum manager host_manager(const char *name)
{
    const int index = (int)if_nametoindex(name);

    if (!index)
        return MANAGER_NONE;
    if (has_networkd(index))
        return MANAGER_NETWORKD;
    if (has_nm(index))
        return MANAGER_NM;
    if (host_dhclient(name, NULL))
        return MANAGER_DHCLIENT;
    if (host_dhcpcd(name, NULL, NULL))
        return MANAGER_DHCPCD;
    return has_ifupdown(name) ? MANAGER_IFUPDOWN : MANAGER_NONE;
}

/* A client identifier of type 255 is IAID and DUID (RFC 4361, 6.1). */
void host_networkd_iaid(int index, char out[16])
{
    cleanup_free char *path = xasprintf("/run/systemd/netif/leases/%d", index);
    cleanup_free char *id = line_value(path, "CLIENTID");
    unsigned iaid;

    out[0] = '\0';
    if (id && strlen(id) > 10 && strncasecmp(id, "ff", 2) == 0 && sscanf(id + 2, "%8x", &iaid) == 1)
        snprintf(out, 16, "%u", iaid);
}

/* ---- name servers ---- */

void host_resolved(int index, char **servers, char **domains)
{
    cleanup_free char *resolved = xasprintf("/run/systemd/resolve/netif/%d", index);
    cleanup_free char *networkd = xasprintf("/run/systemd/netif/links/%d", index);

    *servers = line_value(resolved, "SERVERS");
    *domains = line_value(resolved, "DOMAINS");
    if (!*servers) {
        free(*domains);
        *servers = line_value(networkd, "DNS");
        *domains = line_value(networkd, "DOMAINS");
    }
    if (!*servers || access("/run/systemd/resolve", F_OK) < 0) {
        free(*servers);
        *servers = xstrdup("");
    }
    if (!*domains)
        *domains = xstrdup("");
}
