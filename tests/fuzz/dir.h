/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory for the files of a fuzz target, removed when it ends.
 */
#ifndef PULT_TESTS_FUZZ_DIR_H
#define PULT_TESTS_FUZZ_DIR_H

#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/util.h"
#include "fuzz/feed.h"

static char *fuzz_dir_path;

static inline void fuzz_dir_remove(void)
{
    tree_remove_at(AT_FDCWD, fuzz_dir_path, NULL);
    free(fuzz_dir_path);
}

/* Its descriptor; its path is fuzz_dir_path. */
static inline int fuzz_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    fuzz_dir_path = xasprintf("%s/fuzz.XXXXXX", tmp ? tmp : "/tmp");
    must(mkdtemp(fuzz_dir_path) != NULL);
    atexit(fuzz_dir_remove);
    int fd = open(fuzz_dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(fd >= 0);
    return fd;
}

#endif
