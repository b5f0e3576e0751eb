/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which devices a container may use, whatever nodes it comes to have: lxc.cgroup2.devices.allow and
 * .deny (or of lxc.cgroup), in the order in which they stand; without any, the list that LXC has.
 *
 *     cgroup v2       a program of type BPF_PROG_TYPE_CGROUP_DEVICE at the container's group; it
 *                     goes with the group. Another one takes its place while the container runs
 *     v1 alone        its controller "devices"
 *     a user's        neither may be had: no node can be made in his user namespace, and those he
 *                     has are the ones of /dev (dev.c), or his own to open
 *
 * A list that leaves terminals out is in force once the first process has made those of its own,
 * before its command.
 *
 * The program looks at the rules from the last to the first. One that is about this device decides:
 * an allowance if it covers all that is asked for, a denial if it covers some of it.
 */
#include "lxc/devices.h"

#include <ctype.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "lxc/container.h"

#define RULES_MAX 128
#define ANY       (-1)
#define RULE_MOST 7 /* instructions of one */

struct rule {
    bool allow;
    char type; /* 'a', 'b', 'c' */
    int64_t major, minor;
    unsigned access; /* BPF_DEVCG_ACC_… */
};

struct rules {
    bool said;  /* by the definition */
    bool allow; /* what no rule is about */
    int count;
    struct rule all[RULES_MAX];
};

/* As LXC's common.conf: nodes of all kinds may be made, where the kernel lets one; these used. */
static const char *const usual[] = {"c *:* m",   "b *:* m",   "c 1:3 rwm",   "c 1:5 rwm",
                                    "c 1:7 rwm", "c 5:0 rwm", "c 5:1 rwm",   "c 5:2 rwm",
                                    "c 1:8 rwm", "c 1:9 rwm", "c 136:* rwm", "c 10:229 rwm",
                                    NULL};

static bool number_or_star(const char **p, int64_t *out)
{
    char *end;
    if (**p == '*') {
        *out = ANY;
        ++*p;
        return true;
    }
    if (!isdigit((unsigned char)**p))
        return false;
    unsigned long long n = strtoull(*p, &end, 10);
    *p = end;
    *out = (int64_t)n;
    return n <= UINT32_MAX;
}

/* "a", "c 1:3 rwm", "b 8:* r" */
static int rule_parse(const char *text, struct rule *r, struct error *err)
{
    const char *p = text + strspn(text, " \t");
    *r = (struct rule){.type = *p, .major = ANY, .minor = ANY, .access = 7};
    bool ok = *p && strchr("abc", *p) != NULL;
    p += ok;
    p += strspn(p, " \t");
    if (ok && *p) {
        ok = number_or_star(&p, &r->major) && *p++ == ':' && number_or_star(&p, &r->minor);
        p += ok ? strspn(p, " \t") : 0;
        r->access = ok && *p ? 0 : 7;
        for (; ok && *p && *p != ' '; p++) {
            ok = strchr("rwm", *p) != NULL;
            r->access |= *p == 'r'   ? BPF_DEVCG_ACC_READ
                         : *p == 'w' ? BPF_DEVCG_ACC_WRITE
                                     : BPF_DEVCG_ACC_MKNOD;
        }
        ok = ok && !p[strspn(p, " \t")];
    }
    return ok ? 0 : error_set(err, 0, "'%s' is no rule for devices, such as 'c 1:3 rwm'", text);
}

int devices_is_rule(const char *value, struct error *err)
{
    struct rule r;
    return rule_parse(value, &r, err);
}

/* One more; "a" is about all, and those before it count no more. */
static int rules_add(struct rules *rules, const char *text, bool allow, struct error *err)
{
    struct rule r;
    if (rule_parse(text, &r, err) < 0)
        return -1;
    if (r.type == 'a') {
        rules->count = 0;
        rules->allow = allow;
        return 0;
    }
    if (rules->count == RULES_MAX)
        return error_set(err, 0, "more than %d rules for devices", RULES_MAX);
    r.allow = allow;
    rules->all[rules->count++] = r;
    return 0;
}

static int rules_read(const struct conf *conf, struct rules *rules, struct error *err)
{
    static const char *const prefixes[] = {"lxc.cgroup.devices.", "lxc.cgroup2.devices."};
    *rules = (struct rules){0};
    for (size_t i = 0; i < conf->count; i++) {
        const struct conf_line *l = &conf->lines[i];
        for (size_t k = 0; l->key && k < ARRAY_SIZE(prefixes); k++) {
            const char *verb = l->key + strlen(prefixes[k]);
            if (!str_starts(l->key, prefixes[k]) || !conf_line_counts(conf, l, true))
                continue;
            if (!str_eq(verb, "allow") && !str_eq(verb, "deny"))
                return error_set(err, 0, "%s:%u: '%s' is neither allow nor deny", l->file,
                                 l->number, verb);
            /* The first words are about the usual list, unless they say "all". */
            for (const char *const *u = usual; !rules->said && *u; u++)
                if (rules_add(rules, *u, true, err) < 0)
                    return -1;
            rules->said = true;
            if (rules_add(rules, l->value, str_eq(verb, "allow"), err) < 0)
                return error_wrap(err, "%s:%u", l->file, l->number);
        }
    }
    for (const char *const *u = usual; !rules->said && *u; u++)
        if (rules_add(rules, *u, true, err) < 0)
            return -1;
    return 0;
}

/* ---- the program ---- */

#define LOAD(dst, field)                                                           \
    (struct bpf_insn)                                                              \
    {                                                                              \
        .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (dst), .src_reg = BPF_REG_1, \
        .off = offsetof(struct bpf_cgroup_dev_ctx, field)                          \
    }
#define MOVE(dst, src)                                                          \
    (struct bpf_insn)                                                           \
    {                                                                           \
        .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (dst), .src_reg = (src) \
    }
#define SET(dst, value)                                                            \
    (struct bpf_insn)                                                              \
    {                                                                              \
        .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (dst), .imm = (int)(value) \
    }
#define AND(dst, value)                                                          \
    (struct bpf_insn)                                                            \
    {                                                                            \
        .code = BPF_ALU | BPF_AND | BPF_K, .dst_reg = (dst), .imm = (int)(value) \
    }
#define SHIFT(dst, value)                                                   \
    (struct bpf_insn)                                                       \
    {                                                                       \
        .code = BPF_ALU | BPF_RSH | BPF_K, .dst_reg = (dst), .imm = (value) \
    }
#define JUMP_IF(op, dst, value, by)                                              \
    (struct bpf_insn)                                                            \
    {                                                                            \
        .code = BPF_JMP32 | (op) | BPF_K, .dst_reg = (dst), .imm = (int)(value), \
        .off = (short)(by)                                                       \
    }
#define EXIT                       \
    (struct bpf_insn)              \
    {                              \
        .code = BPF_JMP | BPF_EXIT \
    }

enum { TYPE = BPF_REG_2, ACCESS = BPF_REG_3, MAJOR = BPF_REG_4, MINOR = BPF_REG_5, ASKED };

/* The instructions of one rule; those that find that it is not about this device jump behind it. */
static int rule_emit(const struct rule *r, struct bpf_insn *out)
{
    int n = 0, type = r->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
    int len = 1 + (r->major != ANY) + (r->minor != ANY) + 5;
#define BEHIND (len - n - 1)
    out[n] = JUMP_IF(BPF_JNE, TYPE, type, BEHIND), n++;
    if (r->major != ANY)
        out[n] = JUMP_IF(BPF_JNE, MAJOR, r->major, BEHIND), n++;
    if (r->minor != ANY)
        out[n] = JUMP_IF(BPF_JNE, MINOR, r->minor, BEHIND), n++;
    out[n++] = MOVE(ASKED, ACCESS);
    out[n++] = AND(ASKED, r->allow ? ~r->access : r->access);
    out[n] = JUMP_IF(r->allow ? BPF_JNE : BPF_JEQ, ASKED, 0, BEHIND), n++;
    out[n++] = SET(BPF_REG_0, r->allow);
    out[n++] = EXIT;
#undef BEHIND
    return n;
}

static int bpf(int cmd, union bpf_attr *attr, size_t size)
{
    return (int)syscall(SYS_bpf, cmd, attr, size);
}

static int program_load(const struct rules *rules, struct error *err)
{
    static const char license[] = "GPL";
    struct bpf_insn code[RULES_MAX * (RULE_MOST + 1) + 8];
    int n = 0;
    code[n++] = LOAD(TYPE, access_type);
    code[n++] = MOVE(ACCESS, TYPE);
    code[n++] = AND(TYPE, 0xffff);
    code[n++] = SHIFT(ACCESS, 16);
    code[n++] = LOAD(MAJOR, major);
    code[n++] = LOAD(MINOR, minor);
    for (int i = rules->count; i-- > 0;)
        n += rule_emit(&rules->all[i], code + n);
    code[n++] = SET(BPF_REG_0, rules->allow);
    code[n++] = EXIT;
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                           .insns = (uint64_t)(uintptr_t)code,
                           .insn_cnt = (uint32_t)n,
                           .license = (uint64_t)(uintptr_t)license};
    int fd = bpf(BPF_PROG_LOAD, &attr, sizeof attr);
    return fd < 0 ? error_set(err, errno, "load a program for devices") : fd;
}

/* Put it in the place of the one that is there. */
static int program_attach(struct cgroup *cg, const struct rules *rules, struct error *err)
{
    cleanup_close int fd = program_load(rules, err);
    if (fd < 0)
        return -1;
    union bpf_attr attr = {.target_fd = (uint32_t)cg->v2,
                           .attach_bpf_fd = (uint32_t)fd,
                           .attach_type = BPF_CGROUP_DEVICE,
                           .attach_flags = BPF_F_ALLOW_MULTI};
    if (cg->devices >= 0) {
        attr.attach_flags |= BPF_F_REPLACE;
        attr.replace_bpf_fd = (uint32_t)cg->devices;
    }
    if (bpf(BPF_PROG_ATTACH, &attr, sizeof attr) < 0)
        return error_set(err, errno, "put the container under a list of devices");
    if (cg->devices >= 0)
        close(cg->devices);
    cg->devices = steal_fd(fd);
    return 0;
}

/* ---- version 1 ---- */

static int rule_write(int dir, const struct rule *r, struct error *err)
{
    char text[64], major[16] = "*", minor[16] = "*";
    if (r->major != ANY)
        snprintf(major, sizeof major, "%lld", (long long)r->major);
    if (r->minor != ANY)
        snprintf(minor, sizeof minor, "%lld", (long long)r->minor);
    snprintf(text, sizeof text, "%c %s:%s %s%s%s", r->type, major, minor,
             r->access & BPF_DEVCG_ACC_READ ? "r" : "", r->access & BPF_DEVCG_ACC_WRITE ? "w" : "",
             r->access & BPF_DEVCG_ACC_MKNOD ? "m" : "");
    return file_put_at(dir, r->allow ? "devices.allow" : "devices.deny", text, err);
}

static int rules_write(int dir, const struct rules *rules, struct error *err)
{
    if (file_put_at(dir, rules->allow ? "devices.allow" : "devices.deny", "a", err) < 0)
        return -1;
    for (int i = 0; i < rules->count; i++)
        if (rule_write(dir, &rules->all[i], err) < 0)
            return -1;
    return 0;
}

/* ---- all ---- */

static int apply(struct cgroup *cg, const struct rules *rules, struct error *err)
{
    if (cg->v2 >= 0)
        return program_attach(cg, rules, err);
    int dir = cgroup_open_v1(cg, CG_DEVICES, err);
    return dir < 0 ? -1 : rules_write(dir, rules, err);
}

/* What the first process opens while it sets /dev up. */
static int rules_add_own(struct rules *rules, struct error *err)
{
    static const char *const own[] = {"c 1:3 rwm", "c 5:2 rwm", "c 136:* rwm", NULL};
    for (const char *const *o = own; *o; o++)
        if (rules_add(rules, *o, true, err) < 0)
            return -1;
    return 0;
}

int devices_settle(struct cgroup *cg, const struct conf *conf, struct error *err)
{
    struct rules rules;
    if (rules_read(conf, &rules, err) < 0)
        return -1;
    return rules.said ? devices_apply(cg, conf, false, err) : 0;
}

int devices_apply(struct cgroup *cg, const struct conf *conf, bool starting, struct error *err)
{
    struct rules rules;
    struct error why;
    if (rules_read(conf, &rules, err) < 0 ||
        (starting && rules.said && rules_add_own(&rules, err) < 0))
        return -1;
    if (geteuid() != 0 || apply(cg, &rules, &why) == 0)
        return 0;
    if (rules.said) {
        *err = why;
        return error_wrap(err, "lxc.cgroup2.devices");
    }
    log_line("no list limits the devices that it may use: %s", why.text);
    return 0;
}
