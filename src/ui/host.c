/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See host.h. `pult doctor` says all of this at length. */
#include "ui/host.h"

#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Does the processor have svm or vmx? Without either KVM emulates. */
static int hardware_virtualization(void)
{
    cleanup_fclose FILE *f = fopen("/proc/cpuinfo", "re");
    char line[8192];
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "flags", 5) == 0 || strncmp(line, "Features", 8) == 0)
            return strstr(line, " svm ") || strstr(line, " vmx ");
    }
    return 0;
}

static int is_cgroup2(const char *path)
{
    struct statfs s;
    return statfs(path, &s) == 0 && s.f_type == CGROUP2_SUPER_MAGIC;
}

void host_probe(struct host *h)
{
    if (gethostname(h->name, sizeof h->name) < 0)
        h->name[0] = '\0';
    h->name[sizeof h->name - 1] = '\0';
    h->name[strcspn(h->name, ".")] = '\0';

    if (access("/dev/kvm", F_OK) < 0)
        h->kvm = "none";
    else if (access("/dev/kvm", R_OK | W_OK) < 0)
        h->kvm = "not permitted";
    else
        h->kvm = hardware_virtualization() ? "hw" : "emulating";

    if (is_cgroup2("/sys/fs/cgroup"))
        h->cgroup = "v2";
    else if (is_cgroup2("/sys/fs/cgroup/unified"))
        h->cgroup = "hybrid";
    else
        h->cgroup = access("/sys/fs/cgroup", F_OK) == 0 ? "v1" : "none";
}
