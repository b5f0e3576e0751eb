/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of root file systems, see copy.h. The program cp makes them: it knows all of that, and
 * with its names on a pipe also how far it is.
 */
#include "lxc/copy.h"

#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/filework.h"

uint64_t tree_count(const char *path)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *t = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV | FTS_NOSTAT, NULL);
    const FTSENT *e;
    uint64_t n = 0;
    while (t && (e = fts_read(t)))
        n += e->fts_info != FTS_DP;
    if (t)
        fts_close(t);
    return n;
}

/* What they take on the disk: of a file with several names each has its part. */
static uint64_t tree_size(const char *path)
{
    char *const paths[] = {(char *)path, NULL};
    FTS *t = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    const FTSENT *e;
    uint64_t size = 0;
    while (t && (e = fts_read(t)))
        if (e->fts_info == FTS_D)
            size += (uint64_t)e->fts_statp->st_blocks * 512;
        else if (e->fts_info == FTS_F || e->fts_info == FTS_SL || e->fts_info == FTS_DEFAULT)
            size += (uint64_t)e->fts_statp->st_blocks * 512 / max(e->fts_statp->st_nlink, 1u);
    if (t)
        fts_close(t);
    return size;
}

struct copy {
    const struct root_path *from;
    char *to;
    bool measure, share;
    uint64_t done, total;
};

static void copied(void *arg, const char *line)
{
    struct copy *c = arg;
    (void)line;
    if (++c->done % 64 == 0)
        filework_progress(min(c->done, c->total), c->total);
}

static int copy_run(void *arg, struct error *err)
{
    struct copy *c = arg;
    cleanup_free char *from = root_path_view(c->from, err);
    if (!from)
        return -1;
    const char *reflink = c->share ? "--reflink=always" : "--reflink=auto";
    const char *argv[] = {"cp", "-a", "-v", "-x", reflink, "-T", "--", from, c->to, NULL};
    setenv("LC_ALL", "C", 1);
    c->total = max(tree_count(from), UINT64_C(1));
    if (filework_program((char *const *)argv, -1, copied, c, err) < 0)
        return -1;
    if (c->measure)
        filework_result(tree_size(c->to));
    return 0;
}

static int copy(struct copy *c, const char *dir, const char *name, uint64_t *size,
                engine_progress_fn *progress, void *arg, struct error *err)
{
    cleanup_free char *to = xasprintf("%s/%s", dir, name);
    c->to = to;
    c->measure = size != NULL;
    const struct filework w = {.dir = dir,
                               .run = copy_run,
                               .arg = c,
                               .result = size,
                               .progress = progress,
                               .progress_arg = arg};
    return filework_do(&w, err) < 0 ? error_wrap(err, "copy '%s'", c->from->path) : 0;
}

int tree_copy(const char *from, const char *dir, const char *name, uint64_t *size,
              engine_progress_fn *progress, void *arg, struct error *err)
{
    const struct root_path r = {.path = (char *)from};
    struct copy c = {.from = &r};
    return copy(&c, dir, name, size, progress, arg, err);
}

int root_copy(const struct root_path *from, const char *dir, const char *name, bool share,
              engine_progress_fn *progress, void *arg, struct error *err)
{
    struct copy c = {.from = from, .share = share};
    return copy(&c, dir, name, NULL, progress, arg, err);
}
