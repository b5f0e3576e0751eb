/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Debian, by debootstrap from the mirror that apt uses here. What it made is kept as an archive:
 *
 *     CACHE/templates/debian-SUITE-VARIANT-HASH.tar    HASH: of mirror and packages
 *
 * Its root has no password, so that the console, which only its owner can enter, lets him in.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "disk/newfile.h"
#include "lxc/archive.h"
#include "lxc/filework.h"
#include "lxc/template.h"

#define VARIANT  "minbase"
#define PACKAGES "iproute2,netbase"
#define INIT     "systemd-sysv,dbus" /* unless another is among the packages */

struct debian {
    char *suite, *mirror, *variant, *packages;
    char *root; /* where it is made */
    unsigned part;
};

static void debian_clear(struct debian *d)
{
    free(d->suite);
    free(d->mirror);
    free(d->variant);
    free(d->packages);
    free(d->root);
}

/* ---- what this host has ---- */

/* The value of NAME= in /etc/os-release. Caller frees. NULL: it does not say. */
static char *os_release(const char *name)
{
    cleanup_fclose FILE *f = fopen("/etc/os-release", "re");
    char line[256];
    const size_t n = strlen(name);
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, name, n) != 0 || line[n] != '=')
            continue;
        char *value = line + n + 1;
        value[strcspn(value, "\r\n")] = '\0';
        const size_t len = strlen(value);
        if (len > 1 && *value == '"' && value[len - 1] == '"')
            return xstrndup(value + 1, len - 2);
        return xstrdup(value);
    }
    return NULL;
}

/* Is it one of the words? */
static bool has_word(const char *words, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = words; (p = strstr(p, word)); p += n)
        if ((p == words || isspace((unsigned char)p[-1])) &&
            (p[n] == '\0' || isspace((unsigned char)p[n])))
            return true;
    return false;
}

/* One file of apt's sources: "deb [options] URI SUITE …", or stanzas with URIs: and Suites:. */
static char *mirror_of(const char *path, const char *suite)
{
    cleanup_fclose FILE *f = fopen(path, "re");
    char line[1024], uri[512] = "", suites[512] = "", one[512], in[128];
    bool more = f != NULL;
    while (more) {
        more = fgets(line, sizeof line, f) != NULL;
        if (!more || *line == '\n') { /* the end of a stanza */
            if (*uri && has_word(suites, suite))
                return xstrdup(uri);
            *uri = *suites = '\0';
        } else if (sscanf(line, "deb [%*[^]]] %511s %127s", one, in) == 2 ||
                   sscanf(line, "deb %511[^[ ] %127s", one, in) == 2) {
            if (str_eq(in, suite))
                return xstrdup(one);
        } else if (str_starts(line, "URIs:")) {
            sscanf(line + 5, "%511s", uri);
        } else if (str_starts(line, "Suites:")) {
            snprintf(suites, sizeof suites, "%.500s", line + 7);
        }
    }
    return NULL;
}

/* The mirror that apt uses here for a suite. Caller frees. NULL: apt does not know the suite. */
static char *host_mirror(const char *suite)
{
    static const char parts[] = "/etc/apt/sources.list.d";
    char *found = mirror_of("/etc/apt/sources.list", suite);
    cleanup_closedir DIR *d = opendir(parts);
    const struct dirent *e;
    while (!found && d && (e = readdir(d))) {
        cleanup_free char *path = xasprintf("%s/%s", parts, e->d_name);
        if (e->d_name[0] != '.')
            found = mirror_of(path, suite);
    }
    return found;
}

/* Is it one of those that "+" joins? */
static bool has_name(const char *names, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = names; (p = strstr(p, name)); p += n)
        if ((p == names || p[-1] == '+') && (p[n] == '\0' || p[n] == '+'))
            return true;
    return false;
}

/* "+" joins names, as options are separated by commas. */
static char *packages_of(const struct options *o)
{
    static const char *const inits[] = {"sysvinit-core", "openrc", "runit-init"};
    bool init = false;
    const char *more;
    for (size_t i = 0; (more = options_nth(o, "packages", i)); i++)
        for (size_t k = 0; k < ARRAY_SIZE(inits); k++)
            init |= has_name(more, inits[k]);
    char *all = xstrdup(init ? PACKAGES : INIT "," PACKAGES);
    for (size_t i = 0; (more = options_nth(o, "packages", i)); i++) {
        char *longer = xasprintf("%s,%s", all, more);
        free(all);
        all = longer;
    }
    for (char *p = all; *p; p++)
        if (*p == '+' && p[1] && isalpha((unsigned char)p[1]) && p > all && p[-1] != '+')
            *p = ',';
    return all;
}

static bool is_word(const char *s)
{
    return *s && *s != '-' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
               strlen(s);
}

static int choose(const struct guest_source *s, struct debian *d, struct error *err)
{
    cleanup_free char *id = os_release("ID");
    const char *v = options_get(s->options, "variant");
    d->suite = *s->source             ? xstrdup(s->source)
               : str_eq(id, "debian") ? os_release("VERSION_CODENAME")
                                      : NULL;
    if (!d->suite)
        d->suite = xstrdup("stable");
    d->variant = xstrdup(v ? v : VARIANT);
    if (!is_word(d->suite) || !is_word(d->variant))
        return error_set(err, 0, "'%s' is not the name of a suite or variant",
                         is_word(d->suite) ? d->variant : d->suite);
    v = options_get(s->options, "mirror");
    cleanup_free char *here = os_release("VERSION_CODENAME");
    d->mirror = v ? xstrdup(v) : host_mirror(d->suite);
    if (!d->mirror && here) /* another suite lies beside this one */
        d->mirror = host_mirror(here);
    d->packages = packages_of(s->options);
    return 0;
}

/* ---- debootstrap ---- */

/* Its parts, and what of its time has passed when each begins, per cent. */
static const struct {
    const char *name;
    unsigned from, to;
} parts[] = {
    {"DOWNREL", 0, 1},   {"DOWNRELSIG", 1, 2},    {"DOWNPKGS", 2, 8},    {"SIZEDEBS", 8, 8},
    {"DOWNDEBS", 8, 30}, {"EXTRACTPKGS", 30, 40}, {"INSTCORE", 40, 45},  {"UNPACKREQ", 45, 55},
    {"CONFREQ", 55, 70}, {"UNPACKBASE", 70, 85},  {"INSTBASE", 70, 100}, {"CONFBASE", 85, 100},
};

/* "P: NOW END [PART]" */
static void heard(void *arg, const char *line)
{
    struct debian *d = arg;
    unsigned long long now, end;
    char name[32] = "";
    if (sscanf(line, "P: %llu %llu %31s", &now, &end, name) < 2 || end == 0)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
        if (str_eq(name, parts[i].name))
            d->part = i;
    const unsigned from = parts[d->part].from, width = parts[d->part].to - from;
    filework_progress((uint64_t)from * 1000 + min(now, end) * 1000 * width / end, 100000);
}

/*
 * dpkg syncs after each file and step, for the sake of systems that are at work. What is made here is
 * thrown away should the host go down: for all that is started from here on, syncs succeed at once.
 */
static int sync_never(struct error *err)
{
    static const int calls[] = {SCMP_SYS(fsync),  SCMP_SYS(fdatasync),       SCMP_SYS(sync),
                                SCMP_SYS(syncfs), SCMP_SYS(sync_file_range), SCMP_SYS(msync)};
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int rc = f ? seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 0) : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(calls); i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(0), calls[i], 0);
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    return rc < 0 ? error_set(err, -rc, "have a filter of system calls") : 0;
}

/* The packages themselves are no longer needed. */
static void drop_packages(const struct debian *d)
{
    cleanup_free char *path = xasprintf("%s/var/cache/apt/archives", d->root);
    cleanup_closedir DIR *dir = opendir(path);
    const struct dirent *e;
    while (dir && (e = readdir(dir))) {
        const char *end = strrchr(e->d_name, '.');
        if (str_eq(end, ".deb"))
            unlinkat(dirfd(dir), e->d_name, 0);
    }
}

/*
 * debootstrap takes the first of what a package depends on alternatively, and sysvinit's says sysv-rc
 * before openrc, which conflict. So these two are apt's to install, in the system that is there then.
 */
#define BY_APT "openrc"
static const char *const by_apt[] = {BY_APT, "sysvinit-core", "orphan-sysvinit-scripts"};

static bool is_by_apt(const char *package)
{
    for (size_t i = 0; i < ARRAY_SIZE(by_apt); i++)
        if (str_eq(package, by_apt[i]))
            return true;
    return false;
}

/* Part the packages: those for debootstrap, joined, and the words of apt's command line behind argv. */
static char *part_packages(char *packages, const char **argv, size_t n, size_t most)
{
    char *save, *first = xstrdup("");
    for (char *w = strtok_r(packages, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        if (is_by_apt(w) && n < most - 1) {
            argv[n++] = w;
            continue;
        }
        char *more = xasprintf("%s%s%s", first, *first ? "," : "", w);
        free(first);
        first = more;
    }
    argv[n] = NULL;
    return first;
}

/* It is not to start what it installs. */
static int apt_install(const struct debian *d, const char *const *argv, struct error *err)
{
    static const char quiet[] = "#!/bin/sh\nexit 101\n";
    cleanup_free char *proc = xasprintf("%s/proc", d->root);
    cleanup_free char *policy = xasprintf("%s/usr/sbin/policy-rc.d", d->root);
    cleanup_close int fd = open(policy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (fd < 0 || write_all(fd, quiet, strlen(quiet)) < 0)
        return error_set(err, errno, "write '%s'", policy);
    close(steal_fd(fd));
    mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
          NULL); /* goes with this process */
    setenv("DEBIAN_FRONTEND", "noninteractive", 1);
    int ret = filework_program((char *const *)(uintptr_t)argv, -1, NULL, NULL, err);
    unlink(policy);
    return ret;
}

static int debootstrap_run(void *arg, struct error *err)
{
    struct debian *d = arg;
    const char *apt[24] = {"chroot",  d->root,
                           "apt-get", "-q",
                           "-y",      "--no-install-recommends",
                           "-o",      "APT::Sandbox::User=root",
                           "install"};
    const size_t words = strv_len((char *const *)(uintptr_t)apt);
    cleanup_free char *packages = xstrdup(d->packages);
    cleanup_free char *first = strstr(packages, BY_APT)
                                   ? part_packages(packages, apt, words, ARRAY_SIZE(apt))
                                   : xstrdup(packages);
    cleanup_free char *variant = xasprintf("--variant=%s", d->variant);
    cleanup_free char *include = xasprintf("--include=%s", first);
    const char *argv[] = {"debootstrap", "--debian-installer",
                          variant,       include,
                          d->suite,      d->root,
                          d->mirror,     NULL};
    const char *path = getenv("PATH");
    cleanup_free char *wide = xasprintf("%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
    setenv("PATH", wide, 1);
    setenv("LC_ALL", "C", 1);
    setenv("container", "lxc", 1); /* it makes no device nodes that it may not make */
    if (sync_never(err) < 0 || filework_program((char *const *)argv, -1, heard, d, err) < 0 ||
        (apt[words] && apt_install(d, apt, err) < 0))
        return -1;
    drop_packages(d);
    return 0;
}

static int debootstrap(const struct guest_source *s, struct debian *d, const char *dir,
                       struct error *err)
{
    const struct filework w = {.dir = dir,
                               .run = debootstrap_run,
                               .arg = d,
                               .progress = s->progress,
                               .progress_arg = s->arg};
    if (!filework_has_owners()) {
        error_set(err, 0, "a Debian needs more than one user");
        return error_hint(err, "`pult doctor` says how to have a range in /etc/subuid");
    }
    d->root = template_root(dir, err);
    if (!d->root || filework_do(&w, err) < 0)
        return error_wrap(err, "make a Debian '%s'", d->suite);
    return 0;
}

/* ---- the cache ---- */

static char *cache_path(const struct debian *d)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *p = d->mirror ? d->mirror : ""; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    for (const char *p = d->packages; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    return xasprintf("%s/templates/debian-%s-%s-%08x.tar", place_cache(), d->suite, d->variant,
                     hash);
}

/* Keep what was made. That it cannot be kept harms nobody, unless it is given up meanwhile. */
static int keep(const struct guest_source *s, const struct debian *d, const char *path,
                struct error *err)
{
    struct error why = {0};
    static const char *const all[] = {".", NULL};
    cleanup_free char *dir = xasprintf("%s/templates", place_cache());
    struct newfile file;
    if (dir_make(dir, 0700, NULL) < 0)
        return 0;
    int ret = newfile_begin(&file, path, 0600, true, &why);
    if (ret == 0)
        ret = archive_pack(d->root, all, file.fd, "", s->progress, s->arg, &why);
    if (ret == 0)
        newfile_commit(&file, &why);
    newfile_end(&file);
    return ret < 0 && why.code == ECANCELED ? error_set(err, ECANCELED, "%s", why.text) : 0;
}

/* ---- what is its own ---- */

/* Root without a password. In the jail. */
static int own_run(void *arg, struct error *err)
{
    cleanup_free char *text = NULL;
    size_t len;
    (void)arg;
    if (file_read_at(AT_FDCWD, "etc/shadow", 1 << 20, &text, &len, err) < 0)
        return -1;
    char *root = strstr(text, "root:*:");
    if (root && (root == text || root[-1] == '\n')) {
        memmove(root + 5, root + 6, len - (size_t)(root + 6 - text) + 1);
        len--;
    }
    cleanup_close int fd = open("etc/shadow", O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || write_all(fd, text, len) < 0)
        return error_set(err, errno, "write '/etc/shadow'");
    return 0;
}

/*
 * sysvinit's table: a login on the console, none on ttys that are not there, and power that fails
 * (SIGPWR) is how a container is told to go down.
 */
static int inittab_run(void *arg, struct error *err)
{
    cleanup_free char *text = NULL, *out = xstrdup("");
    char *save = NULL;
    (void)arg;
    if (access("etc/inittab", F_OK) < 0)
        return 0;
    if (file_read_at(AT_FDCWD, "etc/inittab", 1 << 20, &text, NULL, err) < 0)
        return -1;
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        const bool not_here = *l != '#' && (strstr(l, "getty") || strstr(l, ":power"));
        char *more = xasprintf("%s%s%s\n", out, not_here ? "#" : "", l);
        free(out);
        out = more;
    }
    cleanup_free char *whole = xasprintf("%sco:12345:respawn:/sbin/getty -L 38400 console linux\n"
                                         "pf::powerfail:/sbin/init 0\n",
                                         out);
    cleanup_close int fd = open("etc/inittab", O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || write_all(fd, whole, strlen(whole)) < 0)
        return error_set(err, errno, "write '/etc/inittab'");
    return 0;
}

static int own_files_run(void *arg, struct error *err)
{
    return own_run(arg, err) < 0 || inittab_run(arg, err) < 0 ? -1 : 0;
}

static int make_own(const struct guest_source *s, const char *dir, struct error *err)
{
    cleanup_free char *root = xasprintf("%s/rootfs", dir);
    cleanup_free char *hostname = xasprintf("%s\n", s->name);
    cleanup_free char *hosts = xasprintf("127.0.0.1\tlocalhost\n127.0.1.1\t%s\n"
                                         "::1\tlocalhost ip6-localhost ip6-loopback\n",
                                         s->name);
    const struct template_file files[] = {
        {"etc/hostname", hostname, 0644},
        {"etc/hosts", hosts, 0644},
        {"etc/machine-id", "", 0644},
        {NULL, NULL, 0},
    };
    const struct filework w = {.dir = root, .jail = true, .run = own_files_run};
    return template_files(root, files, err) < 0 || filework_do(&w, err) < 0 ? -1 : 0;
}

int template_debian(const struct guest_source *s, const char *dir, struct conf *conf,
                    struct error *err)
{
    struct debian d = {0};
    (void)conf;
    int ret = choose(s, &d, err);
    cleanup_free char *cached = ret == 0 ? cache_path(&d) : NULL;
    if (ret == 0 && !options_get(s->options, "fresh") && access(cached, R_OK) == 0) {
        ret = template_unpack(s, cached, dir, err);
    } else if (ret == 0) {
        ret = debootstrap(s, &d, dir, err);
        if (ret == 0)
            ret = keep(s, &d, cached, err);
    }
    if (ret == 0)
        ret = make_own(s, dir, err);
    debian_clear(&d);
    return ret;
}
