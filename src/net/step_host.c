/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steps that concern the host as a whole, and other programs.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "net/firewall.h"
#include "net/host.h"
#include "net/join.h"
#include "net/journal.h"
#include "net/network.h"
#include "net/program.h"
#include "net/server.h"
#include "net/step_private.h"

#define NETWORKD_DIR "/run/systemd/network"

/* An argument; "" where there is none. */
static const char *arg(const struct step *s, unsigned n)
{
    return s->args[n] ? s->args[n] : "";
}

/* ---- programs ---- */

/* Run a program with the words of a text, which holds this lock. "" is nothing to be done. */
static int run_holding(int lock, const char *text, struct error *err)
{
    char **words = str_split_words(text, err);

    if (!words)
        return -1;
    int rc = words[0] ? program_run_holding(lock, (const char *const *)words, NULL, NULL, err) : 0;
    strv_free(words);
    return rc;
}

static int run_text(const char *text, struct error *err)
{
    return run_holding(-1, text, err); /* it may stay: a client of DHCP */
}

/* It changes rules, see firewall_run(). */
static int run_mend(const char *text, struct error *err)
{
    cleanup_close int lock = networks_rules_lock();

    return run_holding(lock, text, err);
}

/* ---- sysctl ---- */

/* The file of a key, which has slashes, as names of interfaces may have dots. */
static char *sysctl_path(const char *key)
{
    return xasprintf("/proc/sys/%s", key);
}

char *sysctl_read(const char *key)
{
    cleanup_free char *path = sysctl_path(key);
    char *text;

    if (strstr(key, "..") || file_read_at(AT_FDCWD, path, 4096, &text, NULL, NULL) < 0)
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static int sysctl_write(const char *key, const char *value, struct error *err)
{
    cleanup_free char *path = sysctl_path(key);
    cleanup_free char *now = sysctl_read(key);

    if (!str_starts(key, "net/") || strstr(key, ".."))
        return error_set(err, 0, "'%s' is no setting of the network", key);
    if (now && str_eq(now, value))
        return 0; /* writing it again has side effects for some */
    return file_put_at(AT_FDCWD, path, value, err);
}

int step_sysctl(const struct step *s, struct error *err)
{
    return sysctl_write(arg(s, 0), arg(s, 1), err);
}

/* Not where another network still needs it: the last one puts the old value back. */
int step_sysctl_undo(const struct step *s, struct error *err)
{
    cleanup_free char *now = sysctl_read(arg(s, 0));

    if (!now || !*arg(s, 2) || journal_sysctl(arg(s, 0), arg(s, 3), NULL))
        return 0; /* gone with its interface, or none of ours to change */
    return sysctl_write(s->args[0], s->args[2], err);
}

int step_sysctl_check(const struct step *s, struct error *err)
{
    cleanup_free char *now = sysctl_read(arg(s, 0));

    return now && str_eq(now, arg(s, 1))
               ? 0
               : error_set(err, 0, "%s is %s", arg(s, 0), now ? now : "not there");
}

/* ---- rules and servers of ours ---- */

int step_firewall(const struct step *s, struct error *err)
{
    cleanup_network struct network *n = NULL;

    if (network_load(arg(s, 0), &n, err) < 0)
        return *arg(s, 1) ? firewall_run(s->args[1], err) : -1;
    cleanup_free char *script = *arg(s, 1) ? xstrdup(s->args[1]) : firewall_script(n);
    return firewall_run(script, err) < 0 ? -1 : network_put_back(n, err);
}

int step_firewall_undo(const struct step *s, struct error *err)
{
    cleanup_free char *script = firewall_undo_script(arg(s, 0));

    return firewall_run(script, err);
}

int step_firewall_check(const struct step *s, struct error *err)
{
    cleanup_network struct network *n = NULL;

    struct firewall_counts counts;

    return network_load(arg(s, 0), &n, NULL) < 0 ? firewall_counts(arg(s, 0), &counts, err)
                                                 : firewall_stands(n, err);
}

int step_server(const struct step *s, struct error *err)
{
    cleanup_network struct network *n = NULL;

    return network_load(arg(s, 0), &n, err) < 0 ? -1 : server_start(n, err);
}

int step_server_undo(const struct step *s, struct error *err)
{
    return server_stop(arg(s, 0), err);
}

int step_server_check(const struct step *s, struct error *err)
{
    return server_runs(arg(s, 0))
               ? 0
               : error_set(err, 0, "the DHCP and DNS server of '%s' does not run", arg(s, 0));
}

/* ---- those of others ---- */

int step_mend(const struct step *s, struct error *err)
{
    return run_mend(arg(s, 1), err);
}

/* What it changed may have been put in order by its owner meanwhile, so failing is no failure. */
int step_mend_undo(const struct step *s, struct error *err)
{
    struct error why;

    (void)err;
    if (run_mend(arg(s, 2), &why) < 0)
        log_once("%s: %s", arg(s, 0), why.text);
    return 0;
}

static enum manager manager_of(const struct step *s)
{
    for (enum manager m = MANAGER_NETWORKD; m <= MANAGER_IFUPDOWN; m++)
        if (str_eq(manager_name(m), arg(s, 0)))
            return m;
    return MANAGER_NONE;
}

/* Managers take a moment: until this one keeps an interface, or does so no more. */
static void wait_for_manager(const char *name, enum manager m, bool keeps)
{
    for (unsigned tries = 0; tries < 100 && (host_manager(name) == m) != keeps; tries++)
        usleep(20000);
}

static int reload_networkd(struct error *err)
{
    const char *words[] = {"networkctl", "reload", NULL};

    return program_run(words, NULL, NULL, err);
}

/*
 * A file of this boot only, which precedes all others that match the interface; text NULL: there
 * shall be none.
 */
static int tell_networkd(const char *name, const char *text, struct error *err)
{
    cleanup_free char *file = xasprintf("00-pult-%s.network", name);

    cleanup_close int dir = -1;
    if (text && dir_make(NETWORKD_DIR, 0755, err) < 0)
        return -1;
    dir = open(NETWORKD_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return !text ? 0 : error_set(err, errno, "open " NETWORKD_DIR);
    if (!text && unlinkat(dir, file, 0) < 0)
        return errno == ENOENT ? 0 : error_set(err, errno, "remove " NETWORKD_DIR "/%s", file);
    if (text && file_replace_at(dir, file, text, strlen(text), 0644, err) < 0)
        return -1;
    if (reload_networkd(err) == 0)
        return 0;
    if (text)
        unlinkat(dir, file, 0);
    return -1;
}

static int release_networkd(const char *nic, bool undo, struct error *err)
{
    cleanup_free char *text =
        xasprintf("# by pult: this interface is a port of a bridge for as long as this file is "
                  "here\n[Match]\nName=%s\n\n[Link]\nUnmanaged=yes\n",
                  nic);

    if (tell_networkd(nic, undo ? NULL : text, err) < 0)
        return -1;
    if (!undo)
        wait_for_manager(nic, MANAGER_NETWORKD, false);
    return 0;
}

static int release_nm(const char *nic, const char *managed, struct error *err)
{
    const char *words[] = {"nmcli", "device", "set", nic, "managed", managed, NULL};

    if (program_run(words, NULL, NULL, err) < 0)
        return -1;
    if (str_eq(managed, "no"))
        wait_for_manager(nic, MANAGER_NM, false);
    return 0;
}

static pid_t client_of(const char *nic, enum manager m)
{
    return m == MANAGER_DHCPCD ? host_dhcpcd(nic, NULL, NULL) : host_dhclient(nic, NULL);
}

/*
 * Ended by SIGTERM, dhclient leaves address and lease as they are; dhcpcd does, where its
 * configuration says "persistent". What it takes away, the steps that follow need not.
 */
static int stop_client(const char *nic, enum manager m, struct error *err)
{
    for (unsigned tries = 0; tries < 150; tries++) {
        pid_t pid = client_of(nic, m);
        if (!pid)
            return 0;
        if (kill(pid, tries < 140 ? SIGTERM : SIGKILL) < 0 && errno != ESRCH)
            return error_set(err, errno, "end the DHCP client of '%s'", nic);
        usleep(20000);
    }
    return error_set(err, ETIMEDOUT, "end the DHCP client of '%s'", nic);
}

int step_release(const struct step *s, struct error *err)
{
    switch (manager_of(s)) {
    case MANAGER_NETWORKD:
        return release_networkd(arg(s, 1), false, err);
    case MANAGER_NM:
        return release_nm(arg(s, 1), "no", err);
    case MANAGER_DHCLIENT:
    case MANAGER_DHCPCD:
        return stop_client(arg(s, 1), manager_of(s), err);
    case MANAGER_NONE:
    case MANAGER_IFUPDOWN:
        break;
    }
    return 0;
}

int step_release_undo(const struct step *s, struct error *err)
{
    switch (manager_of(s)) {
    case MANAGER_NETWORKD:
        return release_networkd(arg(s, 1), true, err);
    case MANAGER_NM:
        return release_nm(arg(s, 1), "yes", err);
    case MANAGER_DHCLIENT:
    case MANAGER_DHCPCD:
        return client_of(arg(s, 1), manager_of(s)) ? 0 : run_text(arg(s, 3), err);
    case MANAGER_NONE:
    case MANAGER_IFUPDOWN:
        break;
    }
    return 0;
}

int step_release_check(const struct step *s, struct error *err)
{
    enum manager m = manager_of(s);

    return m != MANAGER_IFUPDOWN && host_manager(arg(s, 1)) == m
               ? error_set(err, 0, "%s still has '%s'", arg(s, 0), arg(s, 1))
               : 0;
}

/* ---- leases ---- */

/* Its addresses and routes are there already, and stay whatever the DHCP server says. */
static int renew_by_networkd(const char *bridge, const char *iaid, struct error *err)
{
    cleanup_free char *text =
        xasprintf("# by pult: this bridge has the place of an interface with DHCP\n"
                  "[Match]\nName=%s\n\n[Network]\nDHCP=ipv4\nKeepConfiguration=yes\n%s%s%s",
                  bridge, *iaid ? "\n[DHCPv4]\nIAID=" : "", iaid, *iaid ? "\n" : "");

    if (tell_networkd(bridge, text, err) < 0)
        return -1;
    wait_for_manager(bridge, MANAGER_NETWORKD, true);
    return 0;
}

int step_renew(const struct step *s, struct error *err)
{
    if (manager_of(s) == MANAGER_NETWORKD)
        return renew_by_networkd(arg(s, 1), arg(s, 4), err);
    return client_of(arg(s, 1), manager_of(s)) ? 0 : run_text(arg(s, 2), err);
}

int step_renew_undo(const struct step *s, struct error *err)
{
    if (manager_of(s) == MANAGER_NETWORKD)
        return tell_networkd(arg(s, 1), NULL, err);
    return stop_client(arg(s, 1), manager_of(s), err);
}

int step_renew_check(const struct step *s, struct error *err)
{
    return host_manager(arg(s, 1)) == manager_of(s)
               ? 0
               : error_set(err, 0, "%s does not renew the address of '%s'", arg(s, 0), arg(s, 1));
}

/* ---- name servers ---- */

static int resolvectl(const char *what, const char *link, const char *values, struct error *err)
{
    cleanup_free char *text = xasprintf("resolvectl %s %s %s", what, link, values);

    return run_text(text, err);
}

/* What is said of a port of a bridge would be asked for nothing. */
static int resolved_move(const char *what, const struct step *s, struct error *err)
{
    if (resolvectl(what, arg(s, 1), arg(s, 2), err) < 0)
        return -1;
    resolvectl(what, arg(s, 0), "''", NULL);
    return 0;
}

/*
 * What is said of a bridge goes with it. systemd-resolved forgets what it knows of an interface when
 * that leaves a bridge, which it may hear of only after this: so it is looked whether it stays.
 */
static int resolved_undo(const char *what, const struct step *s, struct error *err)
{
    const int index = (int)if_nametoindex(arg(s, 0));

    for (unsigned tries = 0; tries < 10; tries++) {
        cleanup_free char *servers = NULL, *domains = NULL;
        if (resolvectl(what, arg(s, 0), arg(s, 2), err) < 0)
            return -1;
        usleep(50000);
        host_resolved(index, &servers, &domains);
        if (*(str_eq(what, "dns") ? servers : domains))
            break;
    }
    return 0;
}

int step_dns_move(const struct step *s, struct error *err)
{
    return resolved_move("dns", s, err);
}

int step_dns_undo(const struct step *s, struct error *err)
{
    return resolved_undo("dns", s, err);
}

int step_domain_move(const struct step *s, struct error *err)
{
    return resolved_move("domain", s, err);
}

int step_domain_undo(const struct step *s, struct error *err)
{
    return resolved_undo("domain", s, err);
}
