/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the first process of a VM share; init.c says what it does. */
#ifndef PULT_KVM_THROW_INIT_H
#define PULT_KVM_THROW_INIT_H

#include <stddef.h>

/* The next word that begins with this letter, after `at` (NULL: the first), without the letter. */
char *word(char letter, const char *at);
/* Load one, unless it is there; die where that fails. */
void load_module(const char *name);
/* Mount, in a directory that is made for it. */
int mount_at(const char *type, const char *source, const char *at, unsigned long flags,
             const char *options);

/* On the console. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Say what could not be done, and errno, and end the machine. */
void die(const char *what, const char *of);
void give_up(void);

/* Switch the network cards on, and let them have addresses. */
void cards_up(void);
/* In the new root: let programs know the name servers that came with these. */
void cards_names(void);

/* Find the root file system on the disks that the words name, and mount it. */
void disk_mount_root(const char *at);
/* The init of what is mounted there, as a path in it. */
void disk_init(const char *root, char *init, size_t room);

#endif
