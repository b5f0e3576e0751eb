/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nf_tables by netlink, see nfnl.h. Messages are put together with libnl; they are sent over a socket
 * of their own. The kernel carries out a batch within sendmsg(2), so all answers there will be are in
 * the queue when that returns: none is waited for.
 */
#include "net/nfnl.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define ANSWER_MAX (64u << 10)
#define BATCH_MOST 256 /* elements: so many fit into a socket's buffer */

#define NF(type) (NFNL_SUBSYS_NFTABLES << 8 | (type))

static void free_message(struct nl_msg **m)
{
    if (*m)
        nlmsg_free(*m);
}
#define cleanup_message __attribute__((cleanup(free_message)))

/* A message with its nfgenmsg. */
static struct nl_msg *message(int type, int flags, int family, int res_id)
{
    struct nl_msg *m = nlmsg_alloc_size(4096);
    const struct nfgenmsg g = {.nfgen_family = (uint8_t)family,
                               .version = NFNETLINK_V0,
                               .res_id = htons((uint16_t)res_id)};

    if (m && nlmsg_put(m, 0, 0, type, 0, NLM_F_REQUEST | flags))
        nlmsg_append(m, (void *)&g, sizeof(g), NLMSG_ALIGNTO);
    return m;
}

/* Several messages, one behind the other, as they are sent. */
struct batch {
    uint8_t *bytes;
    size_t len;
};

/* Append a message, which is freed. */
static void batch_put(struct batch *b, struct nl_msg *m)
{
    cleanup_message struct nl_msg *own = m;

    if (!own)
        return;
    const struct nlmsghdr *h = nlmsg_hdr(own);
    const size_t len = NLMSG_ALIGN(h->nlmsg_len);
    b->bytes = xrealloc(b->bytes, b->len + len, 1);
    memset(b->bytes + b->len, 0, len);
    memcpy(b->bytes + b->len, h, h->nlmsg_len);
    b->len += len;
}

static int open_socket(struct error *err)
{
    cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    if (fd < 0 || connect(fd, (const void *)&kernel, sizeof(kernel)) < 0) {
        error_set(err, errno, "speak with nf_tables");
        return error_hint(err, "the kernel needs CONFIG_NETFILTER_NETLINK");
    }
    return steal_fd(fd);
}

/* Send it; *why is what the kernel thinks of it, 0 or a negative errno. */
static int batch_send(const struct batch *b, int *why, struct error *err)
{
    cleanup_close int fd = open_socket(err);
    cleanup_free char *answer = malloc(ANSWER_MAX);
    ssize_t n;

    *why = 0;
    if (fd < 0)
        return -1;
    if (!answer || send(fd, b->bytes, b->len, 0) != (ssize_t)b->len)
        return error_set(err, errno, "speak with nf_tables");
    while ((n = recv(fd, answer, ANSWER_MAX, MSG_DONTWAIT)) > 0) {
        size_t left = (size_t)n;
        for (const struct nlmsghdr *h = (const void *)answer; NLMSG_OK(h, left);
             h = NLMSG_NEXT(h, left)) {
            const struct nlmsgerr *e = NLMSG_DATA(h);
            if (h->nlmsg_type == NLMSG_ERROR && e->error && !*why)
                *why = e->error;
        }
    }
    return 0;
}

/* ---- elements ---- */

static void put_key(struct nl_msg *m, const struct nfnl_element *e)
{
    struct nlattr *list = nla_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
    struct nlattr *element = nla_nest_start(m, NFTA_LIST_ELEM);
    struct nlattr *key = nla_nest_start(m, NFTA_SET_ELEM_KEY);

    nla_put(m, NFTA_DATA_VALUE, (int)e->len, e->key);
    nla_nest_end(m, key);
    nla_nest_end(m, element);
    nla_nest_end(m, list);
}

static void put_element(struct batch *b, int type, int flags, int family, const char *table,
                        const struct nfnl_element *e)
{
    struct nl_msg *m = message(type, flags, family, 0);

    if (!m)
        return;
    nla_put_string(m, NFTA_SET_ELEM_LIST_TABLE, table);
    nla_put_string(m, NFTA_SET_ELEM_LIST_SET, e->set);
    put_key(m, e);
    batch_put(b, m);
}

/* One transaction. */
static int change(int type, int flags, int family, const char *table,
                  const struct nfnl_element *all, size_t count, int *why, struct error *err)
{
    struct batch b = {0};

    batch_put(&b, message(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    for (size_t i = 0; i < count; i++)
        put_element(&b, type, flags, family, table, &all[i]);
    batch_put(&b, message(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    const int ret = batch_send(&b, why, err);
    free(b.bytes);
    return ret;
}

int nfnl_add(int family, const char *table, const struct nfnl_element *all, size_t count,
             struct error *err)
{
    int why;

    if (change(NF(NFT_MSG_NEWSETELEM), NLM_F_CREATE, family, table, all, count, &why, err) < 0)
        return -1;
    return why ? error_set(err, -why, "add to the sets of the table '%s'", table) : 0;
}

/* Each by itself, past those that are not there. */
static int delete_each(int family, const char *table, const struct nfnl_element *all, size_t count,
                       struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        int why;
        if (change(NF(NFT_MSG_DELSETELEM), 0, family, table, &all[i], 1, &why, err) < 0)
            return -1;
        if (why && why != -ENOENT)
            return error_set(err, -why, "take out of the set '%s'", all[i].set);
    }
    return 0;
}

/*
 * Each transaction waits for all processors to be done with the sets as they were, so there are few.
 * One that is not there undoes the others' removal.
 */
int nfnl_delete(int family, const char *table, const struct nfnl_element *all, size_t count,
                struct error *err)
{
    for (size_t i = 0, some; i < count; i += some) {
        int why;
        some = min(count - i, (size_t)BATCH_MOST);
        if (change(NF(NFT_MSG_DELSETELEM), 0, family, table, &all[i], some, &why, err) < 0 ||
            (why && delete_each(family, table, &all[i], some, err) < 0))
            return -1;
    }
    return 0;
}

/* ---- questions ---- */

typedef bool answer_fn(void *arg, const struct nlmsghdr *h);

/* Ask, and give each answer to fn until that returns false. -1 with the kernel's errno. */
static int ask(struct nl_msg *m, answer_fn *fn, void *arg, struct error *err)
{
    cleanup_message struct nl_msg *own = m;
    cleanup_close int fd = open_socket(err);
    cleanup_free char *answer = malloc(ANSWER_MAX);

    if (fd < 0 || !own || !answer)
        return -1;
    const struct nlmsghdr *q = nlmsg_hdr(own);
    if (send(fd, q, q->nlmsg_len, 0) < 0)
        return error_set(err, errno, "speak with nf_tables");
    for (;;) {
        const ssize_t n = recv(fd, answer, ANSWER_MAX, 0);
        if (n <= 0)
            return error_set(err, errno, "listen to nf_tables");
        size_t left = (size_t)n;
        for (const struct nlmsghdr *h = (const void *)answer; NLMSG_OK(h, left);
             h = NLMSG_NEXT(h, left)) {
            const struct nlmsgerr *e = NLMSG_DATA(h);
            if (h->nlmsg_type == NLMSG_DONE)
                return 0;
            if (h->nlmsg_type == NLMSG_ERROR)
                return e->error ? error_set(err, -e->error, "ask nf_tables") : 0;
            if (!fn(arg, h) || !(h->nlmsg_flags & NLM_F_MULTI))
                return 0;
        }
    }
}

static bool ignore(void *arg, const struct nlmsghdr *h)
{
    (void)arg;
    (void)h;
    return false;
}

int nfnl_check(struct error *err)
{
    struct error why = {0};

    if (ask(message(NF(NFT_MSG_GETGEN), 0, AF_UNSPEC, 0), ignore, NULL, &why) == 0)
        return 0;
    if (why.code == EPERM) {
        error_set(err, EPERM, "use nf_tables");
        return error_hint(err, "networks of this kind need root (CAP_NET_ADMIN); a network of kind "
                               "user does not");
    }
    error_set(err, why.code, "use nf_tables");
    return error_hint(err, "the kernel needs CONFIG_NF_TABLES: modprobe nf_tables");
}

struct found {
    const char *set;
    struct nfnl_element_list *list;
};

static void take_element(const struct nlattr *element, const struct found *f)
{
    struct nlattr *a[NFTA_SET_ELEM_MAX + 1], *data[NFTA_DATA_MAX + 1];

    if (nla_parse_nested(a, NFTA_SET_ELEM_MAX, (struct nlattr *)element, NULL) < 0 ||
        !a[NFTA_SET_ELEM_KEY] ||
        nla_parse_nested(data, NFTA_DATA_MAX, a[NFTA_SET_ELEM_KEY], NULL) < 0 ||
        !data[NFTA_DATA_VALUE])
        return;
    const size_t len = (size_t)nla_len(data[NFTA_DATA_VALUE]);
    if (len > sizeof(f->list->all->key))
        return;
    f->list->all = xrealloc(f->list->all, f->list->count + 1, sizeof(*f->list->all));
    struct nfnl_element *e = &f->list->all[f->list->count++];
    *e = (struct nfnl_element){.len = len};
    snprintf(e->set, sizeof(e->set), "%s", f->set);
    memcpy(e->key, nla_data(data[NFTA_DATA_VALUE]), len);
}

static bool take_elements(void *arg, const struct nlmsghdr *h)
{
    struct nlattr *a[NFTA_SET_ELEM_LIST_MAX + 1];
    const struct nlattr *element;
    int left;

    if (nlmsg_parse((struct nlmsghdr *)h, sizeof(struct nfgenmsg), a, NFTA_SET_ELEM_LIST_MAX,
                    NULL) < 0 ||
        !a[NFTA_SET_ELEM_LIST_ELEMENTS])
        return true;
    nla_for_each_nested(element, a[NFTA_SET_ELEM_LIST_ELEMENTS], left) take_element(element, arg);
    return true;
}

int nfnl_elements(int family, const char *table, const char *set, struct nfnl_element_list *list,
                  struct error *err)
{
    struct nl_msg *m = message(NF(NFT_MSG_GETSETELEM), NLM_F_DUMP, family, 0);
    struct found f = {.set = set, .list = list};

    if (m) {
        nla_put_string(m, NFTA_SET_ELEM_LIST_TABLE, table);
        nla_put_string(m, NFTA_SET_ELEM_LIST_SET, set);
    }
    return ask(m, take_elements, &f, err);
}

struct count {
    uint64_t packets, bytes;
};

static bool take_counter(void *arg, const struct nlmsghdr *h)
{
    struct count *c = arg;
    struct nlattr *a[NFTA_OBJ_MAX + 1], *data[NFTA_COUNTER_MAX + 1];

    if (nlmsg_parse((struct nlmsghdr *)h, sizeof(struct nfgenmsg), a, NFTA_OBJ_MAX, NULL) < 0 ||
        !a[NFTA_OBJ_DATA] || nla_parse_nested(data, NFTA_COUNTER_MAX, a[NFTA_OBJ_DATA], NULL) < 0 ||
        !data[NFTA_COUNTER_PACKETS] || !data[NFTA_COUNTER_BYTES])
        return false;
    c->packets = be64toh(nla_get_u64(data[NFTA_COUNTER_PACKETS]));
    c->bytes = be64toh(nla_get_u64(data[NFTA_COUNTER_BYTES]));
    return false;
}

int nfnl_counter(int family, const char *table, const char *name, uint64_t *packets,
                 uint64_t *bytes, struct error *err)
{
    struct nl_msg *m = message(NF(NFT_MSG_GETOBJ), 0, family, 0);
    struct count c = {0};

    if (m) {
        nla_put_string(m, NFTA_OBJ_TABLE, table);
        nla_put_string(m, NFTA_OBJ_NAME, name);
        nla_put_u32(m, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
    }
    if (ask(m, take_counter, &c, err) < 0)
        return -1;
    *packets = c.packets;
    *bytes = c.bytes;
    return 0;
}

struct chains {
    const char *prefix, *but, *table;
    bool found;
};

static bool take_chain(void *arg, const struct nlmsghdr *h)
{
    struct chains *c = arg;
    struct nlattr *a[NFTA_CHAIN_MAX + 1];

    if (nlmsg_parse((struct nlmsghdr *)h, sizeof(struct nfgenmsg), a, NFTA_CHAIN_MAX, NULL) < 0 ||
        !a[NFTA_CHAIN_NAME] || !a[NFTA_CHAIN_TABLE])
        return true;
    const char *name = nla_get_string(a[NFTA_CHAIN_NAME]);
    if (str_eq(nla_get_string(a[NFTA_CHAIN_TABLE]), c->table) && str_starts(name, c->prefix) &&
        !str_eq(name, c->but))
        c->found = true;
    return true; /* to the end: what was asked for is not left in the queue */
}

bool nfnl_has_chain(int family, const char *table, const char *prefix, const char *but)
{
    struct chains c = {.prefix = prefix, .but = but, .table = table};

    return ask(message(NF(NFT_MSG_GETCHAIN), NLM_F_DUMP, family, 0), take_chain, &c, NULL) == 0 &&
           c.found;
}

/* Its name is in `but`. */
static bool take_rule(void *arg, const struct nlmsghdr *h)
{
    struct chains *c = arg;
    struct nlattr *a[NFTA_RULE_MAX + 1];

    if (nlmsg_parse((struct nlmsghdr *)h, sizeof(struct nfgenmsg), a, NFTA_RULE_MAX, NULL) == 0 &&
        a[NFTA_RULE_CHAIN] && a[NFTA_RULE_TABLE])
        c->found |= str_eq(nla_get_string(a[NFTA_RULE_TABLE]), c->table) &&
                    str_eq(nla_get_string(a[NFTA_RULE_CHAIN]), c->but);
    return true;
}

bool nfnl_has_rule(int family, const char *table, const char *chain)
{
    struct nl_msg *m = message(NF(NFT_MSG_GETRULE), NLM_F_DUMP, family, 0);
    struct chains c = {.but = chain, .table = table};

    if (m) { /* kernels that know how say no more than is asked for */
        nla_put_string(m, NFTA_RULE_TABLE, table);
        nla_put_string(m, NFTA_RULE_CHAIN, chain);
    }
    return ask(m, take_rule, &c, NULL) == 0 && c.found;
}
