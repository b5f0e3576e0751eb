/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A directory for one test: cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)
 * makes it, makes it the working directory, and points PULT_HOME, PULT_RUN and PULT_CACHE into it.
 */
#ifndef PULT_TESTS_SCRATCH_H
#define PULT_TESTS_SCRATCH_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"

static inline int scratch_make(void **state)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = xasprintf("%s/scratch.XXXXXX", tmp ? tmp : "/tmp");
    char path[4200];

    if (mkdtemp(dir) == NULL || chdir(dir) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/home", dir);
    setenv("PULT_HOME", path, 1);
    snprintf(path, sizeof path, "%s/run", dir);
    setenv("PULT_RUN", path, 1);
    snprintf(path, sizeof path, "%s/cache", dir);
    setenv("PULT_CACHE", path, 1);
    *state = dir;
    return 0;
}

static inline int scratch_remove(void **state)
{
    struct error err;
    int rc = chdir("/");
    if (rc == 0 && tree_remove_at(AT_FDCWD, *state, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        rc = -1;
    }
    free(*state);
    return rc;
}

#define scratch_test(f) cmocka_unit_test_setup_teardown(f, scratch_make, scratch_remove)

static inline void scratch_write(const char *name, const char *text)
{
    FILE *f = fopen(name, "we");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0) {
        perror(name);
        abort();
    }
}

/* The text of a file, to be freed; "(none)" where there is none. */
static inline char *scratch_read(const char *name)
{
    char *text;
    return file_read_at(AT_FDCWD, name, 1 << 24, &text, NULL, NULL) < 0 ? xstrdup("(none)") : text;
}

#endif
