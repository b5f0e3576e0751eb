/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys of a definition, see settings.h.
 */
#include "kvm/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "guest/def.h"
#include "kvm/host.h"

#define PAGE           4096ull
#define MEMORY_DEFAULT (512ull << 20)
#define MEMORY_MIN     (16ull << 20)
#define POOL_DIR       "/sys/kernel/mm/hugepages/hugepages-%llukB/%s"

/* ---- values by themselves ---- */

/* The page size that vm.memory.hugepages names. */
static int parse_huge(const char *value, uint64_t *size, struct error *err)
{
    if (size_parse(value, size, err) < 0)
        return -1;
    if (*size && *size != MEMORY_2M && *size != MEMORY_1G)
        return error_set(err, 0, "'%s' is no size of huge pages: those are 2M and 1G", value);
    return 0;
}

int settings_is_huge(const char *value, struct error *err)
{
    uint64_t size;

    return parse_huge(value, &size, err);
}

static int parse_topology(const char *value, struct cpu_topology *t, struct error *err)
{
    unsigned *const parts[] = {&t->sockets, &t->cores, &t->threads};
    cleanup_free char *copy = xstrdup(value);
    char *rest = copy;
    bool ok = true;

    for (unsigned n = 0; n < ARRAY_SIZE(parts) && ok; n++) {
        const char *part = strsep(&rest, "xX");
        int64_t v;
        ok = part && number_parse(part, 1, MACHINE_CPUS, &v, NULL) == 0;
        *parts[n] = ok ? (unsigned)v : 0;
    }
    if (!ok || rest)
        return error_set(err, 0, "'%s' is not SOCKETSxCORESxTHREADS, such as 1x4x2", value);
    return 0;
}

int settings_is_topology(const char *value, struct error *err)
{
    struct cpu_topology t;

    return parse_topology(value, &t, err);
}

/* "0-3,8" */
static int parse_list(const char *text, cpu_set_t *set, struct error *err)
{
    cleanup_free char *copy = xstrdup(text);
    char *rest = copy;

    CPU_ZERO(set);
    for (char *range; (range = strsep(&rest, ","));) {
        char *from = strsep(&range, "-");
        int64_t lo, hi;
        if (number_parse(from, 0, CPU_SETSIZE - 1, &lo, err) < 0 ||
            number_parse(range ? range : from, lo, CPU_SETSIZE - 1, &hi, err) < 0)
            return error_set(err, 0, "'%s' is no list of CPUs, such as 0-3,8", text);
        for (; lo <= hi; lo++)
            CPU_SET((size_t)lo, set);
    }
    return 0;
}

/* One word of vm.cpu.affinity: the CPUs of some vCPUs, which had none yet. */
static int parse_pin(char *word, cpu_set_t *of, cpu_set_t *all, struct error *err)
{
    char *cpus = word, *vcpus = strsep(&cpus, ":");
    cpu_set_t who, where;

    if (!cpus)
        return parse_list(word, all, err);
    if (parse_list(vcpus, &who, err) < 0 || parse_list(cpus, &where, err) < 0)
        return -1;
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &who))
            continue;
        if (i >= MACHINE_CPUS)
            return error_set(err, 0, "a machine has no vCPU %zu", i);
        if (CPU_COUNT(&of[i]))
            return error_set(err, 0, "it names vCPU %zu twice", i);
        of[i] = where;
    }
    return 0;
}

/* The CPUs of each vCPU, empty sets for those that are not named. */
static int parse_affinity(const char *value, cpu_set_t of[MACHINE_CPUS], struct error *err)
{
    char **words = str_split_words(value, err);
    size_t n = words ? strv_len(words) : 0;
    int ret = words ? 0 : -1;
    cpu_set_t all;

    CPU_ZERO(&all);
    for (unsigned i = 0; i < MACHINE_CPUS; i++)
        CPU_ZERO(&of[i]);
    for (size_t i = 0; i < n && ret == 0; i++)
        ret = parse_pin(words[i], of, &all, err);
    strv_free(words);
    if (ret < 0)
        return -1;
    if (CPU_COUNT(&all) && n > 1)
        return error_set(err, 0,
                         "'%s' is neither one list of CPUs nor pairs such as 0:2 1:3 with a "
                         "list of vCPUs before each colon",
                         value);
    for (unsigned i = 0; i < MACHINE_CPUS && CPU_COUNT(&all); i++)
        of[i] = all;
    return 0;
}

int settings_is_affinity(const char *value, struct error *err)
{
    cpu_set_t of[MACHINE_CPUS];

    return parse_affinity(value, of, err);
}

/* ---- memory ---- */

/* Before it is rounded: a size near 2^64 would come out small. */
static int check_size(uint64_t size, uint64_t huge, struct error *err)
{
    uint64_t most = memory_most(kvm_address_bits());
    char want[8], have[8];
    struct sysinfo si;

    if (huge == MEMORY_1G) /* its hole is larger */
        most -= MEMORY_HOLE - 3 * MEMORY_1G;
    size_human(size, want);
    if (size < MEMORY_MIN)
        return error_set(err, 0, "guest.memory is %s, and a VM needs at least 16M", want);
    if (size > most) {
        size_human(most, have);
        return error_set(err, 0, "guest.memory is %s, and this CPU has addresses for %s", want,
                         have);
    }
    if (sysinfo(&si) == 0) {
        uint64_t host = ((uint64_t)si.totalram + si.totalswap) * si.mem_unit;
        size_human(host, have);
        if (size > host)
            return error_set(err, 0, "guest.memory is %s, and this host has %s", want, have);
    }
    return 0;
}

/* A number out of the directory of the pool. -1: there is none. */
static int64_t pool_number(uint64_t huge, const char *name)
{
    cleanup_free char *path = xasprintf(POOL_DIR, (unsigned long long)(huge >> 10), name);
    cleanup_free char *text = NULL;
    int64_t n;

    if (file_read_at(AT_FDCWD, path, 64, &text, NULL, NULL) < 0 ||
        number_parse(str_trim(text), 0, INT64_MAX, &n, NULL) < 0)
        return -1;
    return n;
}

/* Are there so many huge pages to be had? */
static int check_pool(const struct memory_config *m, struct error *err)
{
    const char *name = m->huge == MEMORY_1G ? "1G" : "2M";
    int64_t need = (int64_t)(m->size / m->huge), total = pool_number(m->huge, "nr_hugepages");
    int64_t left = pool_number(m->huge, "free_hugepages") - pool_number(m->huge, "resv_hugepages");
    char size[24];

    if (m->size % m->huge) {
        size_exact(m->size, size);
        return error_set(err, 0,
                         "guest.memory is %s, which is no multiple of the huge pages of %s that "
                         "vm.memory.hugepages asks for",
                         size, name);
    }
    if (total < 0)
        return error_set(err, 0, "vm.memory.hugepages: this host has no huge pages of %s", name);
    if (left >= need)
        return 0;
    error_set(err, 0, "the VM needs %lld huge pages of %s, and of this host's %lld are %lld free",
              (long long)need, name, (long long)total, (long long)max(left, (int64_t)0));
    cleanup_free char *path =
        xasprintf(POOL_DIR, (unsigned long long)(m->huge >> 10), "nr_hugepages");
    return error_hint(err, "echo %lld >%s, or unset vm.memory.hugepages",
                      (long long)(total + need - left), path);
}

bool settings_ksm_runs(void)
{
    cleanup_free char *text = NULL;

    return file_read_at(AT_FDCWD, SETTINGS_KSM_RUN, 64, &text, NULL, NULL) == 0 &&
           str_starts(text, "1");
}

static int read_memory(const struct guest_def *def, struct memory_config *m, struct error *err)
{
    const char *huge = conf_get(def->conf, "vm.memory.hugepages");

    m->size = def->memory ? def->memory : MEMORY_DEFAULT;
    m->merge = conf_true(conf_get(def->conf, "vm.memory.ksm"));
    if (huge && parse_huge(huge, &m->huge, err) < 0)
        return error_wrap(err, "vm.memory.hugepages");
    if (check_size(m->size, m->huge, err) < 0)
        return -1;
    m->size = (m->size + PAGE - 1) / PAGE * PAGE;
    if (m->huge && m->merge)
        return error_set(err, 0, "vm.memory.ksm: huge pages of vm.memory.hugepages are not merged");
    if (m->merge && access(SETTINGS_KSM_RUN, F_OK) < 0)
        return error_set(err, 0, "vm.memory.ksm: this host's kernel cannot merge pages (KSM)");
    return m->huge ? check_pool(m, err) : 0;
}

/* ---- CPUs ---- */

static int read_topology(const struct guest_def *def, struct cpu_topology *t, struct error *err)
{
    const char *value = conf_get(def->conf, "vm.cpu.topology");
    int64_t cpus = def->cpus_milli ? def->cpus_milli / 1000 : 1;

    if (def->cpus_milli % 1000)
        return error_set(err, 0, "guest.cpus is %g, and a VM has a whole number of CPUs",
                         (double)def->cpus_milli / 1000);
    if (cpus > MACHINE_CPUS)
        return error_set(err, 0, "guest.cpus is %lld, and a VM can have at most %u",
                         (long long)cpus, MACHINE_CPUS);
    *t = topology_flat((unsigned)cpus);
    if (!value)
        return 0;
    if (parse_topology(value, t, err) < 0)
        return error_wrap(err, "vm.cpu.topology");
    if (topology_cpus(t) == cpus)
        return 0;
    error_set(err, 0, "vm.cpu.topology = %s makes %u CPUs, and guest.cpus is %lld", value,
              topology_cpus(t), (long long)cpus);
    return error_hint(err, "set one of them to match");
}

/* Affinity to what is not there would be refused by the host much later. */
static int check_cpus(const cpu_set_t *want, const cpu_set_t *have, struct error *err)
{
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, want) && !CPU_ISSET(i, have))
            return error_set(err, 0,
                             "vm.cpu.affinity: CPU %zu is not there, or not for this process", i);
    return 0;
}

static int read_affinity(const struct guest_def *def, struct settings *s, struct error *err)
{
    const char *value = conf_get(def->conf, "vm.cpu.affinity");
    unsigned cpus = topology_cpus(&s->topology);
    cpu_set_t have;

    if (!value)
        return 0;
    if (parse_affinity(value, s->affinity, err) < 0)
        return error_wrap(err, "vm.cpu.affinity");
    if (sched_getaffinity(0, sizeof(have), &have) < 0)
        return error_set(err, errno, "ask for this process's CPUs");
    for (unsigned i = 0; i < MACHINE_CPUS; i++)
        if (check_cpus(&s->affinity[i], &have, err) < 0)
            return -1;
    for (unsigned i = cpus; i < MACHINE_CPUS; i++)
        if (strchr(value, ':') && CPU_COUNT(&s->affinity[i]))
            return error_set(err, 0, "vm.cpu.affinity is for vCPU %u, and the VM has %u", i, cpus);
    return 0;
}

int settings_read(const struct guest_def *def, struct settings *out, struct error *err)
{
    const char *unpack = conf_get(def->conf, "vm.unpack");

    *out = (struct settings){
        .unpack = !unpack || conf_true(unpack),
        .com2 = conf_true(conf_get(def->conf, "vm.serial2")),
    };
    if (read_memory(def, &out->memory, err) < 0 || read_topology(def, &out->topology, err) < 0)
        return -1;
    return read_affinity(def, out, err);
}
