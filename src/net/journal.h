/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carrying plans out, and the way back, whatever happens in between.
 *
 *     RUN/.networks/NAME/journal     the plan with the state of each step, written (fsync, rename)
 *                                    before a step is begun and after it is done
 *
 *     DOWN ──apply──► APPLYING ──all done, no risk──────────────────────────► UP
 *      ▲                 │                                                    ▲ │
 *      │                 └─all done, a risk─► UNCONFIRMED ──confirm in time───┘ │
 *      └──── undone, last step first ◄── a step fails │ rollback │ time is up │ down
 *
 * A plan with a risk is carried out by a guardian (guardian.c): a process of its own session that
 * ignores what ends sessions, takes the plan's steps back at the deadline unless the journal says
 * by then that somebody confirmed, and does not need pult, its terminal or the admin for that. Should
 * the guardian be killed too, the next call of pult finds the journal: journal_recover() takes
 * everything back that was not confirmed in time, and completes what was half undone.
 *
 * All of these take the lock of networks_lock() for as long as they change something.
 */
#ifndef PULT_NET_JOURNAL_H
#define PULT_NET_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "net/plan.h"

#define CONFIRM_SECONDS 30u

enum network_state {
    NETWORK_DOWN,
    NETWORK_APPLYING,
    NETWORK_UNCONFIRMED,
    NETWORK_UP,
    NETWORK_UNDOING
};
const char *network_state_name(enum network_state s);

struct journal {
    enum network_state state;
    struct plan plan;
    int64_t deadline_ns; /* CLOCK_BOOTTIME, UNCONFIRMED */
    int64_t since;       /* seconds since 1970 */
    pid_t guardian;      /* of a plan with a risk; 0: none */
    size_t amending; /* the first step of what is being added to a network that is up; 0: none */
};

/* What is written down; DOWN where nothing is. Takes no lock. */
int journal_read(const char *network, struct journal *out, struct error *err);
void journal_clear(struct journal *j);
#define cleanup_journal __attribute__((cleanup(journal_clear)))

/* A step is about to be done or undone, or was: for progress. Both are also where tests end us. */
typedef void journal_progress_fn(void *arg, const struct plan *p, size_t step, bool undoing);

/*
 * Carry out a plan of a network that is down. Where a step fails those before it are undone, and
 * that is said. With a risk: returns when all is done and the guardian counts `seconds` down
 * (journal_read() has the deadline).
 */
int journal_apply(const struct plan *p, unsigned seconds, journal_progress_fn *progress, void *arg,
                  struct error *err);
int journal_confirm(const char *network, struct error *err);
/* Was this network, with this very definition, confirmed when it came up with a risk? */
struct network;
bool journal_was_confirmed(const struct network *n);
/* Undo all of it: the network is down then. */
int journal_undo(const char *network, journal_progress_fn *progress, void *arg, struct error *err);
/*
 * Add steps to a network that is up, and carry them out (a forward that is added, say); those of an op
 * that `replaces` names are undone first. On failure the journal is as it was.
 */
int journal_amend(const struct plan *more, const char *replaces, struct error *err);

/*
 * Do again what was undone behind our back, of a network that is up: progress is told of those steps.
 * Not where it could cut off who is connected: then what is to be done is said.
 */
int journal_repair(const char *network, journal_progress_fn *progress, void *arg,
                   struct error *err);

/* Mend what killed processes left half done, of all networks. Cheap where there is nothing. */
int journal_recover(struct error *err);

/*
 * Does another network than this need this sysctl? If so, and old is not NULL, *old is the value
 * from before the first that did (the caller frees it).
 */
bool journal_sysctl(const char *key, const char *except, char **old);

#endif
