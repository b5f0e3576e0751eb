/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk as a guest's definition says it, in one value:
 *
 *     FILE,format=raw|qcow2[,backing=FILE:FORMAT]…[,ro][,snapshot][,cache=MODE][,serial=TEXT]
 *         [,bps=SIZE][,iops=N][,bootindex=N]
 *
 * A backing file is based on the next one. A FILE without a slash at its beginning is in the guest's
 * own directory. A comma in a name is written twice.
 */
#ifndef PULT_DISK_DEFINITION_H
#define PULT_DISK_DEFINITION_H

#include "base/options.h"
#include "disk/disk.h"

#define DISK_SERIAL_MAX 20 /* what virtio-blk can say */

/* Options of the value, for who takes it apart himself: "" is the file. */
extern const struct option disk_definition_options[];

struct disk_definition {
    struct options options;
    struct disk_spec spec; /* flags: DISK_READONLY, DISK_SNAPSHOT, DISK_DIRECT */
    const char *cache;     /* the mode's name */
    bool writethrough;     /* what is written is synced before the guest is told */
    bool no_flush;         /* what the guest syncs is not */
    const char *serial;    /* or NULL */
    uint64_t bytes_per_second, requests_per_second; /* 0: no limit */
    int boot_index; /* those with the smallest are tried first, those without (-1) last */

    struct disk_spec *backing; /* an array, linked by spec */
    char **texts;              /* what it and spec point to */
};

/* The disks of a definition, by number: its keys vm.disk.N with their values, which are the conf's. */
#define DISK_KEY "vm.disk."
struct disk_keys {
    struct disk_key {
        char key[32];
        const char *value;
        unsigned long number;
    } * all;
    size_t count;
};
struct disk_keys disk_keys(const struct conf *conf);
void disk_keys_clear(struct disk_keys *k);
#define cleanup_disk_keys __attribute__((cleanup(disk_keys_clear)))

/* dir: the guest's; NULL: names are left as they are. Clear it in either case. */
int disk_definition_parse(const char *value, const char *dir, struct disk_definition *d,
                          struct error *err);
void disk_definition_clear(struct disk_definition *d);
#define cleanup_definition __attribute__((cleanup(disk_definition_clear)))

/* The value of the same disk in another file; flat: that is based on nothing. The caller frees it. */
char *disk_definition_move(const struct disk_definition *d, const char *file, bool flat);

/* What can be said of the value alone: conf_value_fn. */
int disk_is_definition(const char *value, struct error *err);
/*
 * And of the files that it names, without locking or changing any: are they there, may they be
 * used so, are they what they are said to be?
 */
int disk_definition_check(const struct disk_definition *d, struct error *err);

#endif
