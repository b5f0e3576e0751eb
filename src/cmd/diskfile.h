/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the `pult disk` verbs share: which format a file has, what it is based on, progress, and
 * giving up.
 *
 * A format is taken from an option or from the file's name, which both are the administrator's,
 * never from the content, which may be a guest's.
 */
#ifndef PULT_CMD_DISKFILE_H
#define PULT_CMD_DISKFILE_H

#include "cmd/command.h"
#include "disk/image.h"

#define OPTION_FORMAT(letter, what)                           \
    {                                                         \
        "format", letter, "FORMAT", false,                    \
            what ": raw or qcow2 (else its name says: .raw, " \
                 ".img, .qcow2)"                              \
    }
#define OPTION_BACKING(what)                             \
    {                                                    \
        "backing", 'b', "FILE,format=FORMAT", true, what \
    }
#define OPTION_OWN_BACKING                                                                    \
    {                                                                                         \
        "own-backing", 0, NULL, false, "trust the image: use the backing files that it names" \
    }

/* given, or by the name's end. NULL: neither says. */
const char *disk_file_format(const char *path, const char *given, struct error *err);

/* A file with all that the options --format, --backing (repeated: each is based on the next) and
 * --own-backing say. Clear it in either case. */
struct disk_file {
    struct disk_spec spec;
    struct disk_spec *backing; /* an array */
    char **texts;
};
int disk_file_parse(const struct cmd_args *a, const char *path, const char *format_option,
                    struct disk_file *f, struct error *err);
void disk_file_clear(struct disk_file *f);

/* Open what was parsed, with the backing files that the image names if the options allow it. */
int disk_file_open(const struct disk_file *f, unsigned flags, struct disk **out, struct error *err);

/* "FILE,format=FORMAT" → both, the caller frees *path; *format is one that is known. */
int disk_file_split(const char *text, char **path, const char **format, struct error *err);

/* A line on a terminal that says how far it is; disk_progress_fn. arg: a struct disk_meter. */
struct disk_meter {
    const char *what;
    bool percent; /* it counts no bytes */
    uint64_t shown_ns;
    bool drawn;
};
bool disk_meter(void *arg, uint64_t done, uint64_t total);
void disk_meter_end(struct disk_meter *m);

/* Say how far it is to who started this, on a descriptor: per cent, a line each. */
#define METER_ENV "PULT_METER" /* its number; for this process alone */
void disk_meter_take(void);

/* From now on SIGINT, SIGTERM and SIGHUP only make disk_cancelled() true. */
void disk_cancellable(void);
bool disk_cancelled(void *arg);
/* The exit status after a failure: dies of the signal if there was one. */
int disk_fail(const struct cmd_args *a, const struct error *err);

#endif
