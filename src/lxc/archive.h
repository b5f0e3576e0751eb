/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Archives of root file systems: tar, as it is or compressed with gzip, bzip2, xz or zstd.
 *
 * They are read by libarchive, in a jail (filework.h): whatever names and links an archive holds,
 * they lead nowhere else. Names are bytes, owners are numbers. Device nodes are not wanted, and what
 * is below /dev neither: the container gets its own.
 */
#ifndef PULT_LXC_ARCHIVE_H
#define PULT_LXC_ARCHIVE_H

#include <stdbool.h>

#include "base/error.h"
#include "guest/engine.h"

#define ARCHIVE_CONFIG_MAX (1 << 20)

enum archive_kind {
    ARCHIVE_ROOT, /* of a root file system */
    ARCHIVE_LAYER, /* likewise, with marks for what is gone of lower layers (OCI image spec, layer) */
    ARCHIVE_GUEST, /* of `pult export`: config, and rootfs/…, which alone is unpacked */
    ARCHIVE_PLAIN, /* files of any kind, all of them the caller's */
};

struct archive_job {
    enum archive_kind kind;
    int fd;     /* a file, at its beginning */
    int config; /* ARCHIVE_GUEST: where its definition is written, from the beginning; or -1 */
    engine_progress_fn *progress;
    void *arg;
};

/* Unpack into a directory that is there. */
int archive_unpack(const struct archive_job *j, const char *dir, struct error *err);

/* The same into the working directory, without a jail: for who is in one. */
int archive_unpack_here(const struct archive_job *j, struct error *err);

/* Pack the files `names` of a directory into fd; compression: archive_packer(). */
int archive_pack(const char *dir, const char *const *names, int fd, const char *compression,
                 engine_progress_fn *progress, void *arg, struct error *err);
/* That which a file's name asks for. NULL: its name does not say that it is an archive. */
const char *archive_packer(const char *path);

/* engine.depopulate: empty the directory of a guest whose files have others than the caller as
 * owners. */
int archive_remove(const char *dir, struct error *err);

#endif
