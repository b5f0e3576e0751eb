/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A status page as a keeper would leave it that its guest has taken over: whatever is in the file,
 * a reader gets a bounded page or none.
 */
#include "fuzz/feed.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "fuzz/dir.h"
#include "guest/status.h"

/* Links of /proc that lead to any file of the host. */
static const char *const ways_out[] = {"/root", "/cwd", "/fd/", "/exe", "/self", "/map_files"};

static void must_be_bounded(const struct status_page *p)
{
    must(p->state < GUEST_STATES);
    must(strnlen(p->engine, sizeof p->engine) < sizeof p->engine);
    must(strnlen(p->name, sizeof p->name) < sizeof p->name);
    must(strnlen(p->note, sizeof p->note) < sizeof p->note);
    const char *const shown[] = {p->engine, p->name, p->note};
    for (unsigned i = 0; i < ARRAY_SIZE(shown); i++)
        for (const char *c = shown[i]; *c; c++)
            must((unsigned char)*c >= ' ' && *c != 0x7f);
    for (unsigned i = 0; i < FIGURES; i++) {
        const struct figure_source *f = &p->figures[i];
        must(f->kind < FIGURE_KINDS);
        must(strnlen(f->path, sizeof f->path) < sizeof f->path);
        if (f->kind == FIGURE_NONE || f->kind == FIGURE_PAGE)
            continue;
        must(str_starts(f->path, "/sys/fs/cgroup/") || str_starts(f->path, "/proc/"));
        must(strstr(f->path, "..") == NULL);
        for (unsigned j = 0; j < ARRAY_SIZE(ways_out); j++)
            must(!str_starts(f->path, "/proc/") || strstr(f->path, ways_out[j]) == NULL);
    }
}

static const char *const paths[] = {
    "/proc/1/stat",        "/sys/fs/cgroup/x/cpu.stat", "/etc/passwd",
    "/proc/../etc/shadow", "/proc/self/fd/0",           "",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint32_t magic, version;
    static int fd = -1;
    struct feed f = {data, size};
    struct status_page page = {0}, out;

    if (fd < 0) { /* a page of our own shows what the first words must be */
        struct status s;
        int dir = fuzz_dir();
        must(status_create(dir, NULL) == 0 && status_open(&s, dir, NULL) == 0);
        magic = s.page->magic;
        version = s.page->version;
        status_close(&s);
        fd = memfd_create("status", MFD_CLOEXEC);
    }
    if (feed_rarely(&f, 2)) {
        feed_bytes(&f, &page, sizeof page);
    } else {
        page.state = feed_byte(&f);
        page.seq = feed_rarely(&f, 8);
        for (unsigned i = 0; i < FIGURES; i++) {
            page.figures[i].kind = feed_byte(&f) % (FIGURE_KINDS + 2);
            if (feed_rarely(&f, 3))
                feed_bytes(&f, page.figures[i].path, sizeof page.figures[i].path);
            else
                snprintf(page.figures[i].path, sizeof page.figures[i].path, "%s",
                         feed_pick(&f, paths));
        }
        feed_bytes(&f, page.engine, sizeof page.engine);
        feed_bytes(&f, page.note, sizeof page.note);
        feed_bytes(&f, page.name, sizeof page.name);
        page.cols = feed_below(&f, UINT64_C(1) << 32);
    }
    if (!feed_rarely(&f, 8)) {
        page.magic = magic;
        page.version = version;
    }
    size_t len = feed_rarely(&f, 8) ? feed_below(&f, sizeof page) : sizeof page;
    must(ftruncate(fd, 0) == 0 && pwrite(fd, &page, len, 0) == (ssize_t)len);
    if (status_read(fd, &out) == 0) {
        must_be_bounded(&out);
        state_name((enum guest_state)out.state);
        must(len == sizeof page && page.seq % 2 == 0);
    }
    return 0;
}
