/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Users of a container, as its own files know them: looked up by a process that is in it, and has
 * its root. These files are the container's, and not to be waited for.
 */
#ifndef PULT_LXC_ACCOUNT_H
#define PULT_LXC_ACCOUNT_H

#include <sys/types.h>

#include "base/error.h"

#define ACCOUNT_GROUPS 64

/* Who a command runs as. */
struct account {
    uid_t uid;
    gid_t gid, groups[ACCOUNT_GROUPS];
    int ngroups;
    char home[256], name[64];
};

/* Find a user, "NAME", "UID" or either with ":GID", in /etc/passwd. A number need not be there. */
int account_find(struct account *a, const char *user, struct error *err);
/* The groups that list the user. */
void account_groups(struct account *a);
/* HOME and the like, in the environment; of root they are what everybody has by default. */
void account_env(const struct account *a);
/* Become the user; what else is to be given up was before. */
int account_become(const struct account *a, struct error *err);

#endif
