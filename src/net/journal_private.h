/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What journal.c and guardian.c share.
 */
#ifndef PULT_NET_JOURNAL_PRIVATE_H
#define PULT_NET_JOURNAL_PRIVATE_H

#include "net/journal.h"

/* Who hears of progress. */
struct watcher {
    journal_progress_fn *progress; /* NULL: nobody */
    void *arg;
};

/* Write it down; DOWN removes it. */
int journal_write(const struct journal *j, struct error *err);
/* All steps from `from` on, one after the other; what was done of them is undone where one fails. */
int journal_do(struct journal *j, size_t from, const struct watcher *w, struct error *err);
/*
 * Undo steps down to the one numbered `to`. What cannot be undone is left and said, and the others
 * are undone all the same.
 */
int journal_undo_steps(struct journal *j, size_t to, const struct watcher *w, struct error *err);
/*
 * Apply all, or undo all, from the state it is in; and write what came out: with `seconds`, what is
 * applied is unconfirmed for so long.
 */
int journal_carry_out(struct journal *j, bool undo, unsigned seconds, const struct watcher *w,
                      struct error *err);

/* So long may the steps of a plan take, at least, before all is put back. Tests are more impatient. */
extern unsigned guardian_work_seconds;

/*
 * The same in a process of its own, which nothing that ends this session ends. With `seconds`: it
 * stays for so long, and undoes what was not confirmed by then. `lock` is that of networks_lock();
 * it is given back, unless the process was killed (GUARDIAN_KILLED).
 */
#define GUARDIAN_KILLED (-2)
int guardian_run(struct journal *j, bool undo, unsigned seconds, int lock, const struct watcher *w,
                 struct error *err);
/* For a network that waits to be confirmed, and whose guardian is gone: another one. */
int guardian_again(struct journal *j, struct error *err);
bool guardian_alive(const char *network);

#endif
