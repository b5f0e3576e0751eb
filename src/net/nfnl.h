/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nf_tables by netlink, for what is too frequent for a program: elements of sets that come and go,
 * and counters that are read. One batch is one transaction.
 */
#ifndef PULT_NET_NFNL_H
#define PULT_NET_NFNL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* An element: of the set whose name this is, with this key. */
struct nfnl_element {
    char set[64];
    uint8_t key[32];
    size_t len;
};

struct nfnl_element_list {
    struct nfnl_element *all; /* freed by whoever has the list */
    size_t count;
};

/* May nf_tables be used here at all? */
int nfnl_check(struct error *err);
/* Add all of them, or none. Those that are there already are no error. */
int nfnl_add(int family, const char *table, const struct nfnl_element *all, size_t count,
             struct error *err);
/* Take them out. Those that are not there, and sets that are not, are no error. */
int nfnl_delete(int family, const char *table, const struct nfnl_element *all, size_t count,
                struct error *err);
/* The elements of a set, appended to the list. */
int nfnl_elements(int family, const char *table, const char *set, struct nfnl_element_list *list,
                  struct error *err);
/* A named counter; -1 with ENOENT where there is none. */
int nfnl_counter(int family, const char *table, const char *name, uint64_t *packets,
                 uint64_t *bytes, struct error *err);
/* Is there any rule in this chain? */
bool nfnl_has_rule(int family, const char *table, const char *chain);
/* Does a table have a chain whose name begins with this, other than `but`? */
bool nfnl_has_chain(int family, const char *table, const char *prefix, const char *but);

#endif
