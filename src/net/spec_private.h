/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of spec.h share: reading word by word, and the names that iproute2 has for numbers.
 */
#ifndef PULT_NET_SPEC_PRIVATE_H
#define PULT_NET_SPEC_PRIVATE_H

#include <stdio.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/rtnl.h"
#include "net/spec.h"

/* The words of a text, one after the other. */
struct words {
    char *text, *rest; /* text: to be freed */
    char *word;        /* the one at hand; NULL: at the end */
};
struct words words_of(const char *spec);
char *words_next(struct words *w);
/* Go on if the word at hand is this. */
bool words_take(struct words *w, const char *word);

static inline void words_end(struct words *w)
{
    free(w->text);
}
#define cleanup_words __attribute__((cleanup(words_end)))

/* A number and its name. */
struct spec_name {
    const char *name;
    unsigned value;
};
extern const struct spec_name spec_protocols[], spec_tables[], spec_scopes[], spec_types[];

void spec_put_name(FILE *f, const char *word, const struct spec_name *names, unsigned value);
int spec_get_name(const char *word, const struct spec_name *names, unsigned *value,
                  struct error *err);
/* A number up to hi, decimal or 0x…; `unit` may stand behind it. */
int spec_number(const char *word, const char *unit, uint64_t hi, uint64_t *out, struct error *err);

/* The address in an attribute of this family. */
struct address spec_attr_address(const struct nlattr *a, int family, unsigned prefix);
void spec_put_address(FILE *f, const char *word, const struct address *a, bool bare);
static inline int spec_bytes(int family)
{
    return family == AF_INET6 ? 16 : 4;
}

#endif
