/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot's state and memory, see snapfile.h.
 */
#include "kvm/snapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"

#define VERSION 1u
#define RUN     (1u << 20)  /* bytes that are written at once, at most */
#define WORDS   (16u << 20) /* bytes between two words */

static const char state_magic[8] = "pultsnap", memory_magic[8] = "pultmem";

/* ---- the state ---- */

static uint32_t checksum(const struct snapfile_head *head, const void *state, size_t len)
{
    struct snapfile_head h = *head;

    h.crc = 0;
    uLong crc = crc32(crc32(0, NULL, 0), (const Bytef *)&h, sizeof(h));
    return (uint32_t)crc32(crc, state, (uInt)len);
}

int snapfile_write_state(int fd, struct snapfile_head *head, const void *state, size_t len,
                         struct error *err)
{
    memcpy(head->magic, state_magic, sizeof(head->magic));
    head->version = VERSION;
    head->length = len;
    if (len > SNAPFILE_MOST)
        return error_set(err, 0, "the machine's state is larger than %u bytes", SNAPFILE_MOST);
    head->crc = checksum(head, state, len);
    if (write_all(fd, head, sizeof(*head)) < 0 || write_all(fd, state, len) < 0)
        return error_set(err, errno, "write the machine's state");
    return 0;
}

/* All of len bytes, or -1, with errno 0 at the end of the file. */
static int read_all(int fd, void *data, size_t len, uint64_t at)
{
    uint8_t *p = data;

    while (len) {
        ssize_t n = pread(fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = 0;
        if (n <= 0)
            return -1;
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static int check_head(const struct snapfile_head *head, uint64_t size, const char *path,
                      struct error *err)
{
    if (memcmp(head->magic, state_magic, sizeof(head->magic)) != 0)
        return error_set(err, 0, "'%s' is no state of a machine", path);
    if (head->version != VERSION)
        return error_set(err, 0, "'%s' is of version %u, and this pult knows version %u", path,
                         head->version, VERSION);
    if (head->length > SNAPFILE_MOST || size != sizeof(*head) + head->length)
        return error_set(err, 0, "'%s' is damaged: it has %llu bytes, not %llu", path,
                         (unsigned long long)size,
                         (unsigned long long)head->length + sizeof(*head));
    return 0;
}

int snapfile_read_state(int fd, const char *path, struct snapfile_head *head, uint8_t **state,
                        struct error *err)
{
    struct stat st;

    *state = NULL;
    *head = (struct snapfile_head){0};
    if (fstat(fd, &st) < 0)
        return error_set(err, errno, "look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, 0, "'%s' is no regular file", path);
    if (read_all(fd, head, sizeof(*head), 0) < 0)
        return error_set(err, errno, errno ? "read '%s'" : "'%s' is damaged: it is too short",
                         path);
    if (check_head(head, (uint64_t)st.st_size, path, err) < 0)
        return -1;
    cleanup_free uint8_t *data = xcalloc(1, head->length + 1);
    if (read_all(fd, data, head->length, sizeof(*head)) < 0)
        return error_set(err, errno, "read '%s'", path);
    if (checksum(head, data, head->length) != head->crc)
        return error_set(err, 0, "'%s' is damaged: its checksum is wrong", path);
    *state = steal_ptr(data);
    return 0;
}

/* ---- writing memory: in the child, where only what is safe after a fork is called ---- */

struct writer {
    const uint8_t *ram;
    uint64_t size;
    int memory, state, words;
};

static void say(const struct writer *w, uint64_t done, int error, bool whole)
{
    const struct snapfile_word word = {.done = done, .error = error, .whole = whole};

    if (write(w->words, &word, sizeof(word)) != sizeof(word) || error)
        _exit(1);
}

static bool is_zero(const uint8_t *page)
{
    const uint64_t *p = (const uint64_t *)page;
    uint64_t any = 0;

    for (unsigned i = 0; i < SNAPFILE_PAGE / sizeof(*p) && !any; i += 8)
        any = p[i] | p[i + 1] | p[i + 2] | p[i + 3] | p[i + 4] | p[i + 5] | p[i + 6] | p[i + 7];
    return !any;
}

/* Nobody waits for it any more. A keeper in its sandbox can kill nobody. */
static void end_if_unheard(const struct writer *w)
{
    struct pollfd p = {.fd = w->words};

    if (poll(&p, 1, 0) == 1)
        _exit(1);
}

static void write_run(const struct writer *w, uint64_t from, uint64_t to)
{
    while (from < to) {
        end_if_unheard(w);
        ssize_t n = pwrite(w->memory, w->ram + from, to - from, (off_t)from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            say(w, from, n < 0 ? errno : ENOSPC, false);
        from += (uint64_t)n;
    }
}

/* Every page that has something. */
static void write_pages(const struct writer *w)
{
    uint64_t from = 0, said = 0; /* from: of what is to be written yet, up to the present page */

    for (uint64_t at = 0; at < w->size; at += SNAPFILE_PAGE) {
        const bool zero = is_zero(w->ram + at);
        if (zero || at - from >= RUN) {
            write_run(w, from, at);
            from = zero ? at + SNAPFILE_PAGE : at;
        }
        if (at - said >= WORDS)
            say(w, said = at, 0, false);
    }
    write_run(w, from, w->size);
}

__attribute__((noreturn)) static void child(const struct writer *given,
                                            const struct snapfile_head *head)
{
    struct {
        char magic[8];
        uint8_t id[16];
        uint8_t zeroes[SNAPFILE_PAGE - 24];
    } last = {0};
    struct writer w = *given;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Nothing of the keeper's may stay open here: its locks, its connections, its guest. */
    if (dup2(w.memory, 0) < 0 || dup2(w.state, 1) < 0 || dup2(w.words, 2) < 0)
        _exit(1);
    w.memory = 0, w.state = 1, w.words = 2;
    close_range(3, ~0u, 0);

    write_pages(&w);
    memcpy(last.magic, memory_magic, sizeof(last.magic));
    memcpy(last.id, head->id, sizeof(last.id));
    w.ram = (const uint8_t *)&last - w.size;
    write_run(&w, w.size, w.size + sizeof(last));
    if (fdatasync(w.memory) < 0 || fdatasync(w.state) < 0)
        say(&w, w.size, errno, false);
    say(&w, w.size, 0, true);
    _exit(0);
}

bool snapfile_is_live(const struct memory *m)
{
    return !m->config.shared && !m->config.huge;
}

pid_t snapfile_begin(const struct memory *m, const struct snapfile_head *head, int memory_fd,
                     int state_fd, int *words, struct error *err)
{
    uint8_t *ram = m->slots[0].host;
    int pipes[2];

    *words = -1;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return error_set(err, errno, "create a pipe");
    const struct writer w = {ram, m->size, memory_fd, state_fd, pipes[1]};
    madvise(ram, m->size, MADV_DOFORK);
    pid_t pid = fork();
    if (pid == 0)
        child(&w, head);
    const int why = errno;
    madvise(ram, m->size, MADV_DONTFORK);
    close(pipes[1]);
    if (pid < 0) {
        close(pipes[0]);
        return error_set(err, why, "start a process that writes the memory");
    }
    *words = pipes[0];
    return pid;
}

/* ---- reading memory ---- */

int snapfile_check_memory(int fd, const char *path, const struct snapfile_head *head,
                          struct error *err)
{
    struct {
        char magic[8];
        uint8_t id[16];
    } last;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set(err, errno, "look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, 0, "'%s' is no regular file", path);
    if (head->memory % SNAPFILE_PAGE || head->memory > (uint64_t)INT64_MAX - SNAPFILE_PAGE ||
        (uint64_t)st.st_size != head->memory + SNAPFILE_PAGE)
        return error_set(err, 0, "'%s' is damaged: it has %llu bytes, not %llu", path,
                         (unsigned long long)st.st_size,
                         (unsigned long long)head->memory + SNAPFILE_PAGE);
    if (read_all(fd, &last, sizeof(last), head->memory) < 0)
        return error_set(err, errno, "read '%s'", path);
    if (memcmp(last.magic, memory_magic, sizeof(last.magic)) != 0)
        return error_set(err, 0, "'%s' is damaged: it was not written to its end", path);
    if (memcmp(last.id, head->id, sizeof(last.id)) != 0)
        return error_set(err, 0, "'%s' belongs to another snapshot than the state beside it", path);
    return 0;
}

/* Read what is not a hole to where nothing was yet. */
static int read_extents(struct memory *m, int fd, const char *path, struct error *err)
{
    off_t at = 0;

    while ((uint64_t)at < m->size) {
        off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return 0;
        off_t end = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (end < 0)
            return error_set(err, errno, "read '%s'", path);
        if ((uint64_t)data >= m->size)
            return 0;
        uint64_t len = min((uint64_t)end, m->size) - (uint64_t)data;
        if (read_all(fd, m->slots[0].host + data, len, (uint64_t)data) < 0)
            return error_set(err, errno, "read '%s'", path);
        at = end;
    }
    return 0;
}

int snapfile_map_memory(struct memory *m, int fd, const char *path, struct error *err)
{
    uint64_t at = 0;

    if (!snapfile_is_live(m))
        return read_extents(m, fd, path, err);
    for (unsigned i = 0; i < m->count; at += m->slots[i++].size)
        if (memory_map_file(m, m->slots[i].base, fd, at, m->slots[i].size) < 0)
            return error_set(err, errno, "map '%s'", path);
    return 0;
}
