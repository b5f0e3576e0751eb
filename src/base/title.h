/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `ps` shows of this process: the memory of its arguments and environment is written over.
 */
#ifndef PULT_BASE_TITLE_H
#define PULT_BASE_TITLE_H

/* The environment moves elsewhere first; pointers into the old argv are worth nothing then. */
void title_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
