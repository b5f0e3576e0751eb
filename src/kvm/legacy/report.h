/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The port by which the first process of a throwaway VM (throw/init) reports to the host. Other
 * machines do not have it.
 *
 *     +0  write: the command ended with this status; the machine ends
 *     +1  write: the console is set up, input may come
 */
#ifndef PULT_KVM_LEGACY_REPORT_H
#define PULT_KVM_LEGACY_REPORT_H

#define REPORT_PORT  0x501
#define REPORT_PORTS 2

enum { REPORT_EXIT, REPORT_READY };

#ifdef PULT_VERSION /* the rest is the VMM's */
#include <stdint.h>

#include "kvm/bus.h"

struct report {
    void (*exit)(void *arg, uint8_t status);
    void (*ready)(void *arg);
    void *arg;
};

extern const struct bus_ops report_ops;
#endif

#endif
