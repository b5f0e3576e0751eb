/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Profiles of system calls in LXC's format (lxc.container.conf(5), SECCOMP CONFIGURATION):
 *
 *     1                      2
 *     allowlist              denylist [ACTION]         what a call gets that is not named
 *     39                     [all]                     or [x86_64], … : of that architecture alone
 *     …                      mknod errno 1
 *     numbers                ioctl errno 1 [1,0x5412,SCMP_CMP_EQ]
 *                            reject_force_umount
 *
 * whitelist and blacklist are the older words. A call that this machine does not know is skipped.
 * Rules of two architectures are two contexts of libseccomp, which become one.
 */
#include "lxc/seccomp_profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"

#define ARCHES       2
#define COMPARE_MOST 6
#define PROFILE_MAX  (1 << 20) /* bytes */

#if defined(__x86_64__)
static const uint32_t arches[ARCHES] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86};
#elif defined(__aarch64__)
static const uint32_t arches[ARCHES] = {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
#else
static const uint32_t arches[ARCHES] = {SCMP_ARCH_NATIVE, SCMP_ARCH_NATIVE};
#endif

struct profile {
    uint32_t others, rule;       /* actions: of calls that are not named, and of those that are */
    scmp_filter_ctx ctx[ARCHES]; /* NULL: not begun */
    unsigned section;            /* which of them the rules are for, a bit each */
    bool notify;                 /* some rule is that */
};

/* A word off the line; *rest goes on behind it. */
static char *word_cut(char **rest)
{
    char *word = *rest + strspn(*rest, " \t");
    char *end = word + strcspn(word, " \t");
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

/* "errno 1", "kill": reads as many words as it has. */
static int action_parse(char **rest, uint32_t *out, struct error *err)
{
    static const struct {
        const char *word;
        uint32_t action;
    } actions[] = {{"kill", SCMP_ACT_KILL}, {"kill_process", SCMP_ACT_KILL_PROCESS},
                   {"trap", SCMP_ACT_TRAP}, {"allow", SCMP_ACT_ALLOW},
                   {"log", SCMP_ACT_LOG},   {"notify", SCMP_ACT_NOTIFY}};
    const char *word = word_cut(rest);
    int64_t n;
    if (str_eq(word, "errno")) {
        if (number_parse(word_cut(rest), 0, 4095, &n, err) < 0)
            return error_wrap(err, "errno");
        *out = SCMP_ACT_ERRNO((uint32_t)n);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (str_eq(word, actions[i].word)) {
            *out = actions[i].action;
            return 0;
        }
    return error_set(err, 0, "'%s' is no action: kill, trap, log, allow, notify, errno N", word);
}

/* "[1,0x5412,SCMP_CMP_EQ]" or "[0,VALUE,SCMP_CMP_MASKED_EQ,MASK]" */
static int compare_parse(const char *text, struct scmp_arg_cmp *out, struct error *err)
{
    static const struct {
        const char *name;
        enum scmp_compare op;
    } ops[] = {{"SCMP_CMP_NE", SCMP_CMP_NE},
               {"SCMP_CMP_LT", SCMP_CMP_LT},
               {"SCMP_CMP_LE", SCMP_CMP_LE},
               {"SCMP_CMP_EQ", SCMP_CMP_EQ},
               {"SCMP_CMP_GE", SCMP_CMP_GE},
               {"SCMP_CMP_GT", SCMP_CMP_GT},
               {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
    char op[32] = "", value[40] = "", mask[40] = "0", *end1, *end2;
    unsigned index;
    int n = sscanf(text, " [ %u , %39[^], ] , %31[^], ] , %39[^], ]", &index, value, op, mask);
    uint64_t v = strtoull(value, &end1, 0), m = strtoull(mask, &end2, 0);
    for (size_t i = 0; n >= 3 && index < COMPARE_MOST && !*end1 && !*end2 && i < ARRAY_SIZE(ops);
         i++)
        if (str_eq(op, ops[i].name)) {
            *out = ops[i].op == SCMP_CMP_MASKED_EQ ? (struct scmp_arg_cmp){index, ops[i].op, m, v}
                                                   : (struct scmp_arg_cmp){index, ops[i].op, v, 0};
            return 0;
        }
    return error_set(err, 0, "'%.60s' is not [ARGUMENT,VALUE,SCMP_CMP_…]", text);
}

/* Add a rule to the contexts of the section. */
static int rule_add(struct profile *p, int call, uint32_t action, unsigned n,
                    const struct scmp_arg_cmp *compare, struct error *err)
{
    p->notify |= action == SCMP_ACT_NOTIFY;
    for (size_t i = 0; i < ARCHES; i++) {
        if (!(p->section & 1u << i) || !p->ctx[i] || action == p->others)
            continue;
        int rc = seccomp_rule_add_array(p->ctx[i], action, call, n, compare);
        if (rc < 0 && rc != -EDOM && rc != -EEXIST) /* -EDOM: there is no such call there */
            return error_set(err, -rc, "add the rule");
    }
    return 0;
}

/* "[x86_64]": of which contexts the next rules are. */
static int section_begin(struct profile *p, const char *line, struct error *err)
{
    static const struct {
        const char *name;
        uint32_t arch;
    } names[] = {{"x86", SCMP_ARCH_X86},        {"X86", SCMP_ARCH_X86},
                 {"i686", SCMP_ARCH_X86},       {"x86_64", SCMP_ARCH_X86_64},
                 {"X86_64", SCMP_ARCH_X86_64},  {"amd64", SCMP_ARCH_X86_64},
                 {"x32", SCMP_ARCH_X32},        {"X32", SCMP_ARCH_X32},
                 {"arm", SCMP_ARCH_ARM},        {"ARM", SCMP_ARCH_ARM},
                 {"arm64", SCMP_ARCH_AARCH64},  {"ARM64", SCMP_ARCH_AARCH64},
                 {"aarch64", SCMP_ARCH_AARCH64}};
    char name[32] = "";
    sscanf(line, "[%31[^]]", name);
    if (str_eq(name, "all") || str_eq(name, "ALL")) {
        p->section = (1u << ARCHES) - 1;
        return 0;
    }
    p->section = 0;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        for (size_t a = 0; str_eq(name, names[i].name) && a < ARCHES; a++)
            p->section |= arches[a] == names[i].arch ? 1u << a : 0;
    return *name ? 0 : error_set(err, 0, "'%s' is no architecture", line);
}

/* "mknod errno 1 [1,…]" */
static int rule_parse(struct profile *p, char *line, struct error *err)
{
    struct scmp_arg_cmp compare[COMPARE_MOST];
    unsigned n = 0;
    uint32_t action = p->rule;
    char *rest = line;
    if (*line == '[')
        return section_begin(p, line, err);
    const char *name = word_cut(&rest);
    if (str_eq(name, "reject_force_umount")) {
        compare[0] = (struct scmp_arg_cmp){1, SCMP_CMP_MASKED_EQ, MNT_FORCE, MNT_FORCE};
        return rule_add(p, SCMP_SYS(umount2), SCMP_ACT_ERRNO(EACCES), 1, compare, err);
    }
    rest += strspn(rest, " \t");
    if (*rest && *rest != '[' && action_parse(&rest, &action, err) < 0)
        return -1;
    for (char *c = strchr(rest, '['); c; c = strchr(c + 1, '[')) {
        if (n == COMPARE_MOST)
            return error_set(err, 0, "a call has %d arguments at most", COMPARE_MOST);
        if (compare_parse(c, &compare[n++], err) < 0)
            return -1;
    }
    int call = seccomp_syscall_resolve_name(name);
    return call == __NR_SCMP_ERROR ? 0 : rule_add(p, call, action, n, compare, err);
}

/* Version 1: a number a line, of this machine's architecture. */
static int number_rule(struct profile *p, const char *line, struct error *err)
{
    int64_t n;
    if (number_parse(line, 0, 100000, &n, err) < 0)
        return -1;
    p->section = 1;
    return rule_add(p, (int)n, SCMP_ACT_ALLOW, 0, NULL, err);
}

/* The second line: what a call gets that is not named. */
static int policy_parse(struct profile *p, char *line, struct error *err)
{
    char *rest = line;
    const char *word = word_cut(&rest);
    bool deny = str_eq(word, "denylist") || str_eq(word, "blacklist");
    if (!deny && !str_eq(word, "allowlist") && !str_eq(word, "whitelist"))
        return error_set(err, 0, "'%s' is neither allowlist nor denylist", word);
    p->others = deny ? SCMP_ACT_ALLOW : SCMP_ACT_KILL;
    p->rule = deny ? SCMP_ACT_KILL : SCMP_ACT_ALLOW;
    rest += strspn(rest, " \t");
    if (*rest && action_parse(&rest, &p->others, err) < 0)
        return -1;
    if (p->others == SCMP_ACT_NOTIFY)
        return error_set(err, 0, "'notify' is for calls that are named");
    p->section = (1u << ARCHES) - 1;
    for (size_t i = 0; i < ARCHES; i++) {
        if (filter_begin(p->others, &p->ctx[i], err) < 0)
            return -1;
        for (size_t other = 0; other < ARCHES; other++) /* one each */
            if (other != i)
                seccomp_arch_remove(p->ctx[i], arches[other]);
    }
    return 0;
}

static int lines_parse(struct profile *p, FILE *f, const char *name, struct error *err)
{
    cleanup_free char *line = NULL;
    size_t room = 0;
    int64_t version = 0;
    unsigned seen = 0;
    for (unsigned number = 1; getline(&line, &room, f) >= 0; number++) {
        char *text = line + strspn(line, " \t");
        text[strcspn(text, "#\n")] = '\0';
        text = str_trim(text);
        if (!*text)
            continue;
        int ret = seen == 0      ? number_parse(text, 1, 2, &version, err)
                  : seen == 1    ? policy_parse(p, text, err)
                  : version == 1 ? number_rule(p, text, err)
                                 : rule_parse(p, text, err);
        if (ret < 0)
            return error_wrap(err, "%s:%u", name, number);
        seen++;
    }
    return seen >= 2 ? 0
                     : error_set(err, 0,
                                 "%s: a profile begins with 1 or 2, and allowlist or "
                                 "denylist on the next line",
                                 name);
}

int profile_parse(FILE *f, const char *name, struct filter *out, struct error *err)
{
    struct profile p = {0};
    int ret = lines_parse(&p, f, name, err);
    for (size_t i = 1; i < ARCHES; i++) {
        int rc = ret == 0 ? seccomp_merge(p.ctx[0], p.ctx[i]) : 0;
        if (rc < 0)
            ret = error_set(err, -rc, "%s: put the rules together", name);
        if (p.ctx[i] && (ret < 0 || rc < 0))
            seccomp_release(p.ctx[i]);
    }
    if (ret == 0) {
        ret = filter_finish(p.ctx[0], out, err);
        out->notify = p.notify;
        return ret;
    }
    if (p.ctx[0])
        seccomp_release(p.ctx[0]);
    return -1;
}

int profile_load(const char *path, struct filter *out, struct error *err)
{
    cleanup_free char *text = NULL;
    size_t len;
    if (file_read_at(AT_FDCWD, path, PROFILE_MAX, &text, &len, err) < 0)
        return error_wrap(err, "lxc.seccomp.profile");
    cleanup_fclose FILE *f =
        fmemopen(text, len + 1, "r"); /* with the 0 at its end, as none is empty */
    if (!f)
        return error_set(err, errno, "read '%s' (lxc.seccomp.profile)", path);
    return profile_parse(f, path, out, err);
}
