/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values that are lists of options: `guest.net.0 = tap=tap0,mac=02:…`, `vm.disk.0 = /a.img,ro`.
 * Options are separated by commas, each is NAME or NAME=VALUE; a comma that belongs to a value is
 * written twice. One table says which there are:
 *
 *     static const struct option known[] = {
 *         {"", OPTION_VALUE, conf_is_abs_path},        the first, which has no name: a path
 *         {"format", OPTION_VALUE, is_format},
 *         {"ro", OPTION_FLAG},
 *         {NULL},
 *     };
 *     cleanup_options struct options o;
 *     if (options_parse(value, known, &o, err) < 0) …
 *     options_get(&o, "format")
 *
 * Parsing checks everything the table says, so one call of it is a conf_value_fn's work.
 */
#ifndef PULT_BASE_OPTIONS_H
#define PULT_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "base/error.h"

enum option_kind {
    OPTION_FLAG,   /* NAME */
    OPTION_VALUE,  /* NAME=VALUE, VALUE not empty */
    OPTION_EITHER, /* NAME or NAME=VALUE */
    OPTION_LIST,   /* NAME=VALUE, may be repeated */
};

struct option {
    const char *name; /* "": what stands first without a name. A table that has it requires it. */
    enum option_kind kind;
    conf_value_fn *check; /* of its value; NULL: anything goes */
};

struct options {
    char *text; /* what the names and values below are in */
    size_t count;
    struct option_given {
        const char *name, *value; /* value: "" where there is none */
    } * given;
};

/* Cut a value into options and check them. -1: *out is empty; what is wrong does not say of which
 * key. Either way options_clear() may be called. */
int options_parse(const char *value, const struct option *known, struct options *out,
                  struct error *err);
void options_clear(struct options *o);
#define cleanup_options __attribute__((cleanup(options_clear)))

/* The value of an option ("" for one without), or NULL where it was not given. */
const char *options_get(const struct options *o, const char *name);
/* The i-th value of a list, from 0, or NULL. */
const char *options_nth(const struct options *o, const char *name, size_t i);

#endif
