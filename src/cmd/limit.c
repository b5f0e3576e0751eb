/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult limit: what a guest may use at most, now and from now on. Each limit is one key of the
 * definition, in the spelling of cgroup v2, which is translated where the host is of v1. A container
 * that runs is asked first, so that what cannot be is not written down either. The keeper of a VM has
 * shut itself in and can move itself into no cgroup: that is done from here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "guest/client.h"
#include "guest/engine.h"
#include "guest/limits.h"
#include "guest/store.h"

typedef char *value_fn(const char *value, struct error *err);

/* "64M" → what the definition says of it; the kernel's files want bytes. */
static char *as_size(const char *value, struct error *err)
{
    uint64_t bytes;
    if (size_parse(value, &bytes, err) < 0)
        return NULL;
    return xasprintf("%llu", (unsigned long long)bytes);
}

/* Cores' worth of time, as cpu.max has it. */
static char *as_cpu_max(const char *value, struct error *err)
{
    int64_t milli;
    if (milli_parse(value, 10, 1024 * 1000, &milli, err) < 0)
        return NULL;
    return xasprintf("%lld 100000", (long long)milli * 100);
}

static char *as_it_is(const char *value, struct error *err)
{
    (void)err;
    return xstrdup(value);
}

static char *as_memory(const char *value, struct error *err)
{
    uint64_t bytes;
    return size_parse(value, &bytes, err) < 0 ? NULL : xstrdup(value);
}

/* "/dev/vda,rbps=10M,wiops=100" → "254:0 rbps=10485760 wiops=100" */
static char *as_io(const char *value, struct error *err)
{
    char *save = NULL, *text = NULL;
    cleanup_free char *copy = xstrdup(value);
    const char *path = strtok_r(copy, ",", &save);
    struct stat st;
    unsigned major, minor;
    if (!path)
        return NULL;
    if (path[0] == '/' && stat(path, &st) < 0) {
        error_set(err, errno, "look at '%s'", path);
        return NULL;
    }
    if (path[0] == '/') {
        const dev_t dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
        text = xasprintf("%u:%u", gnu_dev_major(dev), gnu_dev_minor(dev));
    } else if (sscanf(path, "%u:%u", &major, &minor) == 2) {
        text = xasprintf("%u:%u", major, minor);
    }
    for (char *part = text ? strtok_r(NULL, ",", &save) : NULL; part;
         part = strtok_r(NULL, ",", &save)) {
        const char *equals = strchr(part, '=');
        uint64_t n = 0;
        bool most = equals && str_eq(equals + 1, "max");
        if (!equals || (!most && size_parse(equals + 1, &n, err) < 0)) {
            free(text);
            text = NULL;
            break;
        }
        char *more = most ? xasprintf("%s %s", text, part)
                          : xasprintf("%s %.*s%llu", text, (int)(equals - part) + 1, part,
                                      (unsigned long long)n);
        free(text);
        text = more;
    }
    if (!text || !strchr(text, ' ')) {
        error_set(err, 0, "'%s' is not DEVICE,rbps=N,wbps=N,riops=N,wiops=N", value);
        free(text);
        text = NULL;
    }
    return text;
}

static const struct limit_word {
    const char *word, *key;
    value_fn *value;
    const char *vm_key; /* of a VM; NULL: it has no such limit */
    value_fn *vm_value;
    const char *also[2]; /* other spellings of the same, which must not contradict it */
} words[] = {
    {"memory",
     "guest.memory",
     as_memory,
     "guest.memory",
     as_memory,
     {"lxc.cgroup2.memory.max", "lxc.cgroup.memory.limit_in_bytes"}},
    {"memory-high",
     "lxc.cgroup2.memory.high",
     as_size,
     "vm.cgroup2.memory.high",
     as_size,
     {"lxc.cgroup.memory.soft_limit_in_bytes"}},
    {"swap",
     "lxc.cgroup2.memory.swap.max",
     as_size,
     NULL,
     NULL,
     {"lxc.cgroup.memory.memsw.limit_in_bytes"}},
    {"cpus",
     "guest.cpus",
     as_it_is,
     "vm.cgroup2.cpu.max",
     as_cpu_max,
     {"lxc.cgroup2.cpu.max", "lxc.cgroup.cpu.cfs_quota_us"}},
    {"cpu-weight",
     "lxc.cgroup2.cpu.weight",
     as_it_is,
     "vm.cgroup2.cpu.weight",
     as_it_is,
     {"lxc.cgroup.cpu.shares"}},
    {"cpuset",
     "lxc.cgroup2.cpuset.cpus",
     as_it_is,
     "vm.cgroup2.cpuset.cpus",
     as_it_is,
     {"lxc.cgroup.cpuset.cpus"}},
    {"pids", "lxc.cgroup2.pids.max", as_it_is, NULL, NULL, {"lxc.cgroup.pids.max"}},
    {"io", "lxc.cgroup2.io.max", as_io, "vm.cgroup2.io.max", as_io, {NULL}},
    {"io-weight",
     "lxc.cgroup2.io.weight",
     as_it_is,
     "vm.cgroup2.io.weight",
     as_it_is,
     {"lxc.cgroup.blkio.weight", "lxc.cgroup.blkio.bfq.weight"}},
};

/* What is to be changed: keys with null, a value, or an array of values. */
static int changes_read(const struct cmd_args *a, bool vm, json_t *set, struct error *err)
{
    for (int i = 1; i < cmd_npos(a); i++) {
        const char *pair = cmd_pos(a, i), *equals = strchr(pair, '=');
        if (!equals)
            return error_set(err, 0, "'%s' is not LIMIT=VALUE", pair);
        cleanup_free char *name = xstrndup(pair, (size_t)(equals - pair));
        const struct limit_word *w = NULL;
        for (size_t k = 0; k < ARRAY_SIZE(words); k++)
            if (str_eq(words[k].word, name))
                w = &words[k];
        if (!w) {
            error_set(err, 0, "'%s' is no limit", name);
            return error_hint(err, "memory, memory-high, swap, cpus, cpu-weight, cpuset, pids, io, "
                                   "io-weight");
        }
        const char *key = vm ? w->vm_key : w->key;
        if (!key)
            return error_set(err, 0, "there is no limit of %s for a VM", w->word);
        if (!equals[1])
            return error_set(err, 0, "%s has no value; \"none\" takes the limit away", name);
        const bool none = str_eq(equals + 1, "none") || str_eq(equals + 1, "max");
        cleanup_free char *value = none ? NULL : (vm ? w->vm_value : w->value)(equals + 1, err);
        if (!none && !value)
            return error_wrap(err, "%s", name);
        for (size_t k = 0; k < ARRAY_SIZE(w->also) && w->also[k] && !vm; k++)
            json_object_set_new(set, w->also[k], json_null());
        json_t *have = json_object_get(set, key);
        if (json_is_array(have) && value)
            json_array_append_new(have, json_string(value));
        else
            json_object_set_new(set, key, value ? json_pack("[s]", value) : json_null());
    }
    return 0;
}

/* store_edit_fn */
static int edit(void *arg, struct conf *conf, struct error *err)
{
    json_t *set = arg, *values, *v;
    const char *key;
    size_t i;
    (void)err;
    json_object_foreach (set, key, values) {
        conf_unset(conf, key);
        json_array_foreach (values, i, v)
            conf_add(conf, key, json_string_value(v));
    }
    return 0;
}

/* A VM's memory is what its balloon leaves of it: said in another key, and asked of the keeper. */
static int limit_balloon(const char *name, bool alive, json_t *set, struct error *err)
{
    const json_t *values = json_object_get(set, "guest.memory");
    uint64_t bytes;
    if (!values)
        return 0;
    const char *memory = json_string_value(json_array_get(values, 0));
    if (!memory)
        return error_set(err, 0, "a VM has as much memory as guest.memory says, or less");
    if (size_parse(memory, &bytes, err) < 0)
        return -1;
    json_object_set_new(set, "vm.balloon", json_pack("[s]", memory));
    json_object_del(set, "guest.memory");
    return alive ? ask(name, json_pack("{s:s, s:I}", "cmd", "balloon", "memory", (json_int_t)bytes),
                       err)
                 : 0;
}

/* The rest is what its keeper may use, as a process of the host. */
static int limit_vm(const char *name, const struct guest_info *info, json_t *set, struct error *err)
{
    const bool alive = state_alive(info->state);
    cleanup_conf struct conf *before = conf_copy(info->def->conf), *now = conf_copy(before);
    const char *key;
    json_t *values;
    json_object_foreach (set, key, values)
        if (json_is_null(values) && !conf_get(before, key) && !strstr(key, ".io.max"))
            conf_add(before, key, "0"); /* it may be limited for as long as it runs */
    if (edit(set, now, err) < 0)
        return -1;
    cleanup_close int control = alive ? ask_connect(name, err) : -1;
    const pid_t keeper = control >= 0 ? client_keeper(control, err) : -1;
    if ((alive && keeper < 0) || limits_keeper_check(name, now, err) < 0 ||
        (alive && limits_keeper(name, keeper, before, now, err) < 0))
        return -1;
    int ret = limit_balloon(name, alive, set, err);
    struct error why;
    if (ret < 0 && alive)
        limits_keeper(name, keeper, now, info->def->conf, &why);
    return ret;
}

/* Is it a file of cgroups for which no word stands? */
static bool is_raw(const char *key, bool vm)
{
    if (!str_starts(key, vm ? "vm.cgroup2." : "lxc.cgroup") || (!vm && !limits_key(key)))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (str_eq(key, vm ? words[i].vm_key : words[i].key))
            return false;
    return true;
}

/* What the definition limits: by words, and what it says in the spelling of cgroups by its keys. */
static int show(const struct cmd_args *a, const struct guest_info *info, bool vm)
{
    json_t *o = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        const struct conf_line *l;
        json_t *values = json_array();
        const char *key = vm ? words[i].vm_key : words[i].key;
        conf_for_each (info->def->conf, key ? key : "", l) {
            cleanup_free char *cores =
                str_eq(key, "vm.cgroup2.cpu.max") ? limits_cores(l->value) : NULL;
            json_array_append_new(values, json_string(cores ? cores : l->value));
        }
        json_object_set_new(o, words[i].word, values);
    }
    for (size_t i = 0; i < info->def->conf->count; i++) {
        const struct conf_line *l = &info->def->conf->lines[i];
        if (!l->key || !is_raw(l->key, vm) || !conf_line_counts(info->def->conf, l, true))
            continue;
        if (!json_object_get(o, l->key))
            json_object_set_new(o, l->key, json_array());
        json_array_append_new(json_object_get(o, l->key), json_string(l->value));
    }
    if (cmd_json(a)) {
        print_json(o);
        return EXIT_OK;
    }
    const char *word;
    json_t *values, *v;
    size_t i;
    json_object_foreach (o, word, values)
        json_array_foreach (values, i, v) {
            cleanup_free char *value = xstrdup(json_string_value(v));
            printf("%-12s %s\n", word, printable(value));
        }
    json_decref(o);
    return EXIT_OK;
}

static int limit_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct guest_info info = {0};
    const char *name = cmd_pos(a, 0);
    if (store_info(name, &info, &err) < 0)
        return cmd_fail(a, &err);
    if (!info.def) {
        guest_info_clear(&info);
        error_set(&err, 0, "the definition of '%s' cannot be read", name);
        return cmd_fail(a, &err);
    }
    const bool vm = info.engine && !info.engine->limit;
    if (cmd_npos(a) == 1) {
        int status = show(a, &info, vm);
        guest_info_clear(&info);
        return status;
    }
    const bool alive = state_alive(info.state), keep = !info.throwaway && !cmd_opt(a, "now");
    json_t *set = json_object();
    int ret = changes_read(a, vm, set, &err);
    if (ret == 0 && vm)
        ret = limit_vm(name, &info, set, &err);
    else if (ret == 0 && alive)
        ret = ask(name, json_pack("{s:s, s:O}", "cmd", "limit", "set", set), &err);
    if (ret == 0 && !alive && !keep)
        ret = error_set(&err, 0, "'%s' does not run", name);
    if (ret == 0 && keep)
        ret = store_edit(name, edit, set, &err);
    json_decref(set);
    guest_info_clear(&info);
    return ret < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

const struct command cmd_limit = {
    .name = "limit",
    .args = "NAME [LIMIT=VALUE...]",
    .min = 1,
    .max = -1,
    .options =
        (const struct cmd_option[]){
            {"now", 0, NULL, false, "only for as long as it runs; the definition stays as it is"},
            {0},
        },
    .help = "limit what a guest may use, while it runs and from then on",
    .detail =
        "LIMIT is one of these; a VALUE of \"none\" takes it away:\n\n"
        "  memory      SIZE. Of a VM: what its balloon leaves it\n"
        "  memory-high SIZE from which on it is slowed down and gives memory back; by\n"
        "              cgroup v1 only when the host is short of it\n"
        "  swap        SIZE (containers)\n"
        "  cpus        cores' worth of time: 0.2, 2\n"
        "  cpu-weight  1 to 10000, 100 is what all have\n"
        "  cpuset      these CPUs alone: 0-1,3\n"
        "  pids        processes and threads (containers)\n"
        "  io          DEVICE,rbps=N,wbps=N,riops=N,wiops=N: a disk, or a file on it\n"
        "  io-weight   1 to 10000\n\n"
        "All that is given is done, or nothing. Without any, it prints what is set, under its key\n"
        "what the definition says in the spelling of cgroups. What limits a\n"
        "VM limits its process on this host: the virtual machine itself stays as it is.\n\n"
        "  pult limit web1 memory=64M cpus=0.2 pids=100",
    .json = true,
    .safe = true,
    .states = ON_ANY,
    .run = limit_run,
};
