/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the header says of the host and does not change while we look: its name, KVM, cgroups. */
#ifndef PULT_UI_HOST_H
#define PULT_UI_HOST_H

struct host {
    char name[65];
    const char *kvm;    /* "hw", "emulating", "not permitted", "none" */
    const char *cgroup; /* "v2", "hybrid", "v1", "none" */
};

void host_probe(struct host *h);

#endif
