/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a definition asks for: the keys that this engine reads, and their way into struct config.
 *
 *     lxc.rootfs.path   not said    rootfs/ in the guest's directory
 *                       DIR         this directory; of a throwaway guest an overlay above it
 *                       host:/      a copy of this host that forgets what is written to it
 *                       …           an overlay, an image: rootpath.h
 *     lxc.execute.cmd   a command: an application container, under our own init
 *     otherwise         lxc.init.cmd is the system's init, /sbin/init by default; a copy of the
 *                       host runs a login shell instead
 */
#include "lxc/container.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "lxc/rootpath.h"
#include "lxc/seccomp_profile.h"

static void tree_add(struct config *c, const char *path, bool recursive)
{
    c->trees = xrealloc(c->trees, c->tree_count + 1, sizeof *c->trees);
    c->trees[c->tree_count++] =
        (struct tree){.path = xstrdup(path), .recursive = recursive, .idmap = true, .fd = -1};
}

/* A throwaway guest's upper layer is one more that is only read. */
static int layers_load(struct config *c, const struct root_path *r, struct error *err)
{
    char *slash = strrchr(r->path, '/');
    if (c->root == ROOT_OVERLAY)
        tree_add(c, r->path, false);
    for (unsigned i = 0; i < r->lower_count; i++)
        tree_add(c, r->lowers[i], false);
    if (c->root == ROOT_OVERLAY)
        return 0;
    if (slash == r->path || slash[1] == '\0')
        return error_set(err, 0, "'%s' is no directory for an overlay", r->path);
    cleanup_free char *parent = xstrndup(r->path, (size_t)(slash - r->path));
    c->root = ROOT_LAYERS;
    c->upper = xstrdup(slash + 1);
    tree_add(c, parent, false);
    return 0;
}

static int root_load(const struct guest_def *def, struct config *c, struct error *err)
{
    const char *path = conf_get(def->conf, "lxc.rootfs.path");
    if (c->set.root_options)
        mount_attr_parse(c->set.root_options, &c->root_data);
    if (str_eq(path, "host:/")) {
        c->root = ROOT_HOST;
        return hostroot_trees(c, err);
    }
    cleanup_root_path struct root_path r = {0};
    if (root_path_of(def, &r, err) < 0)
        return -1;
    c->root = path && def->throwaway ? ROOT_OVERLAY : ROOT_DIR;
    if (r.form == ROOT_IS_OVERLAY)
        return layers_load(c, &r, err);
    tree_add(c, r.path, c->root == ROOT_DIR);
    c->trees[0].image = r.form == ROOT_IS_IMAGE;
    c->trees[0].data = c->trees[0].image ? c->root_data : NULL;
    if (c->trees[0].image && geteuid() != 0)
        return error_set(err, EPERM, "only root can mount the image '%s'", r.path);
    return 0;
}

/* The shell that a copy of the host begins with. */
static const char *host_shell(void)
{
    const char *shell = getenv("SHELL");
    if (shell && shell[0] == '/' && access(shell, X_OK) == 0)
        return shell;
    return access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
}

static int command_load(const struct guest_def *def, struct config *c, struct error *err)
{
    const char *execute = conf_get(def->conf, "lxc.execute.cmd");
    const char *init = conf_get(def->conf, "lxc.init.cmd");
    c->app = execute || (c->root == ROOT_HOST && !init);
    c->halt_signal = c->app ? SIGTERM : SIGPWR;
    c->reboot_signal = SIGINT;
    if (execute || !c->app) {
        c->argv = str_split_words(execute ? execute : init ? init : "/sbin/init", err);
        return c->argv ? 0 : -1;
    }
    c->halt_signal = SIGHUP; /* an interactive shell ignores SIGTERM */
    c->halt_given = true;
    c->argv = xcalloc(3, sizeof *c->argv);
    c->argv[0] = xstrdup(host_shell());
    c->argv[1] = xstrdup("-l");
    return 0;
}

/* Set NAME=VALUE, over an earlier value of NAME. pair is owned by the list from now on. */
static void env_set(struct config *c, char *pair)
{
    size_t n = c->env ? strv_len(c->env) : 0, len = strcspn(pair, "=");
    for (size_t i = 0; i < n; i++) {
        if (strncmp(c->env[i], pair, len + 1) == 0) {
            free(c->env[i]);
            c->env[i] = pair;
            return;
        }
    }
    c->env = xrealloc(c->env, n + 2, sizeof *c->env);
    c->env[n] = pair;
    c->env[n + 1] = NULL;
}

static void env_load(const struct guest_def *def, struct config *c)
{
    static const char *const basic[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
        "USER=root",
        "LOGNAME=root",
        "TERM=xterm-256color",
        "container=lxc",
    };
    static const char *const locale[] = {"LANG", "LC_ALL", "LC_CTYPE"};
    const char *v;
    for (size_t i = 0; i < ARRAY_SIZE(basic); i++)
        env_set(c, xstrdup(basic[i]));
    if (c->root == ROOT_HOST)
        env_set(c, xasprintf("SHELL=%s", host_shell()));
    for (size_t i = 0; i < ARRAY_SIZE(locale) && c->root == ROOT_HOST; i++)
        if ((v = getenv(locale[i])))
            env_set(c, xasprintf("%s=%s", locale[i], v));

    static const char *const keys[] = {"lxc.environment", "lxc.environment.runtime"};
    const struct conf_line *l;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        conf_for_each (def->conf, keys[i], l) {
            if (strchr(l->value, '='))
                env_set(c, xstrdup(l->value));
            else if ((v = getenv(l->value)))
                env_set(c, xasprintf("%s=%s", l->value, v));
        }
}

/*
 * Files of /proc that lxcfs has for each container: what they tell is its share of the machine. It
 * is at work if something is mounted there; a definition that mounts some of it does all by itself.
 */
#define LXCFS "/var/lib/lxcfs"

static int lxcfs_load(const struct guest_def *def, struct config *c, struct error *err)
{
    static const char *const files[] = {"proc/cpuinfo", "proc/diskstats", "proc/loadavg",
                                        "proc/meminfo", "proc/stat",      "proc/swaps",
                                        "proc/uptime",  "proc/slabinfo",  "sys/devices/system/cpu"};
    struct stat here, up;
    const struct conf_line *l;
    if (stat(LXCFS, &here) < 0 || stat(LXCFS "/..", &up) < 0 || here.st_dev == up.st_dev)
        return 0;
    conf_for_each (def->conf, "lxc.mount.entry", l)
        if (str_starts(l->value, LXCFS "/"))
            return 0;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        cleanup_free char *path = xasprintf(LXCFS "/%s", files[i]);
        cleanup_free char *line =
            xasprintf("%s %s none bind,optional,nosuid,nodev,noexec", path, files[i]);
        if (access(path, F_OK) == 0 && mounts_add(c, line, err) < 0)
            return error_wrap(err, "lxcfs");
    }
    return 0;
}

static int mounts_load(const struct guest_def *def, struct config *c, struct error *err)
{
    const struct conf_line *l;
    if (lxcfs_load(def, c, err) < 0)
        return -1;
    if (c->set.fstab && mounts_add_fstab(c, c->set.fstab, err) < 0)
        return -1;
    conf_for_each (def->conf, "lxc.mount.entry", l)
        if (mounts_add(c, l->value, err) < 0)
            return error_wrap(err, "%s:%u: lxc.mount.entry", l->file, l->number);
    if (c->tree_count + c->mount_count > MESSAGE_FDS)
        return error_set(err, 0, "more than %d mounts", MESSAGE_FDS);
    return 0;
}

int config_take(struct guest_def *def, struct error *err)
{
    struct config c = {0};
    int ret = conf_take(def->conf, lxc_keys, &c, err);
    if (!def->history)
        def->history = min(c.set.console_buffer, (uint64_t)CONSOLE_RING_MAX);
    def->ephemeral = c.set.ephemeral;
    settings_clear(&c.set);
    return ret;
}

/* lxc.namespace.* may say of the network what lxc.net.N.type = none does, and the reverse. */
static int network_whose(struct config *c, struct error *err)
{
    bool own = namespace_kind(&c->set, SHARE_NET) == NAMESPACE_OWN;
    if (!own && nics_any(&c->nics))
        return error_set(err, 0,
                         "a network that is not its own is given no interfaces "
                         "(lxc.namespace, lxc.net)");
    if (c->nics.host)
        c->set.keep |= 1u << SHARE_NET;
    c->nics.host |= !own;
    return 0;
}

int config_load(const struct guest_def *def, struct config *c, struct error *err)
{
    *c = (struct config){.privileged = geteuid() == 0};
    if (conf_take(def->conf, lxc_keys, c, err) < 0 || root_load(def, c, err) < 0 ||
        command_load(def, c, err) < 0 || mounts_load(def, c, err) < 0 ||
        nics_load(def, &c->nics, err) < 0 || idmap_choose(def, &c->map, err) < 0 ||
        caps_parse(def, c->app, &c->caps, err) < 0)
        return -1;
    if (network_whose(c, err) < 0)
        return -1;
    env_load(def, c);
    const char *v = conf_get(def->conf, "lxc.uts.name");
    c->hostname = xstrdup(v ? v : def->name);
    v = conf_get(def->conf, "lxc.no_new_privs");
    c->no_new_privs = v ? conf_true(v) : c->app;
    if ((v = conf_get(def->conf, "lxc.signal.halt"))) {
        c->halt_signal = signal_number(v);
        c->halt_given = true;
    }
    if ((v = conf_get(def->conf, "lxc.signal.reboot")))
        c->reboot_signal = signal_number(v);
    return 0;
}

int config_layers(const struct guest_def *def, struct config *c, struct error *err)
{
    cleanup_root_path struct root_path r = {0};
    if (!c->privileged ||
        (c->root != ROOT_LAYERS && (c->root != ROOT_OVERLAY || c->tree_count < 2)))
        return 0;
    if (root_path_of(def, &r, err) < 0)
        return -1;
    /* What LXC is to understand again is written as it writes it. */
    const char *marks = root_path_marks(&r, def->foreign ? "trusted" : "user", err);
    c->marks_trusted = str_eq(marks, "trusted");
    if (!marks || c->root == ROOT_LAYERS || !c->marks_trusted)
        return marks ? 0 : -1;
    error_set(err, 0, "the layers of '%s' bear marks of an overlay that root mounted", r.path);
    return error_hint(err, "a throwaway would not obey them; `pult clone` makes a whole copy");
}

/* One command without CAP_SYS_ADMIN mounts nothing. */
int config_filter(struct config *c, struct error *err)
{
    const bool left_out = c->set.seccomp_nesting == SAID_NO && filter_is_there();
    if (left_out)
        log_line("pult is under a filter of system calls itself: the profile is left out");
    else if (c->set.seccomp && !str_eq(c->set.seccomp, "none") &&
             profile_load(c->set.seccomp, &c->profile, err) < 0)
        return -1;
    if (c->profile.notify && !c->set.notify_proxy)
        return error_set(err, 0, "'%s' says 'notify', and nobody is to answer", c->set.seccomp),
               error_hint(err, "lxc.seccomp.notify.proxy = unix:PATH says who");
    return filter_default(c->app && !(c->caps & UINT64_C(1) << CAP_SYS_ADMIN), &c->filter, err);
}

void config_clear(struct config *c)
{
    trees_close(c);
    filter_clear(&c->filter);
    filter_clear(&c->profile);
    nics_clear(&c->nics);
    for (size_t i = 0; i < c->tree_count; i++)
        free(c->trees[i].path);
    for (size_t i = 0; i < c->mount_count; i++)
        mount_entry_clear(&c->mounts[i]);
    free(c->trees);
    free(c->mounts);
    strv_free(c->argv);
    strv_free(c->env);
    free(c->hostname);
    free(c->upper);
    free(c->root_data);
    settings_clear(&c->set);
    *c = (struct config){0};
}
