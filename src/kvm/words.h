/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's command line, and the words of it that are pult's own. */
#ifndef PULT_KVM_WORDS_H
#define PULT_KVM_WORDS_H

#include <stdbool.h>

/* The console that a kernel is told to use where its command line names none. */
#define WORDS_SERIAL  "console=ttyS0"
#define WORDS_VIRTIO  "console=hvc0 earlyprintk=ttyS0"
#define WORDS_DEFAULT "quiet"
/* The console of a throwaway VM is its command's alone, but for a panic. */
#define WORDS_ROOTFS WORDS_SERIAL " quiet loglevel=1"

/* What vm.quick = 0 leaves out. */
#define WORDS_QUICK "cryptomgr.notests"

struct words_request {
    const char *append; /* vm.append; NULL: none */
    bool command;       /* a throwaway VM, for a command */
    bool virtio;        /* the console is hvc0 */
    bool quick;         /* vm.quick */
};

/* The whole command line. The caller frees it. */
char *words_line(const struct words_request *rq);

#endif
