/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lxc.hook.*: programs that are run at moments of a container's life, see hooks.c. */
#ifndef PULT_LXC_HOOKS_H
#define PULT_LXC_HOOKS_H

#include "base/error.h"
#include "guest/def.h"
#include "lxc/keys.h"

struct container;

/* What a hook is told besides the definition; all may be NULL. */
struct hook_facts {
    int log;               /* what they print goes there; 0: to where this process logs */
    const char *root;      /* path of the root as it is mounted now */
    pid_t pid;             /* start-host, stop: the init as the host sees it */
    const char *target;    /* stop, post-stop: "stop" or "reboot" */
    const char *source;    /* clone: the name of what was cloned */
    const int *namespaces; /* stop: NS_COUNT descriptors */
    char *const *args;     /* clone: further arguments */
    const char *kind;      /* network scripts: "up", "down" */
    char *const *env;
};

bool hooks_any(const struct settings *s, enum hook_kind kind);
/* Run those of one kind, in their order, each to its end. The first that fails is the last. */
int hooks_run(const struct guest_def *def, const struct settings *s, enum hook_kind kind,
              const struct hook_facts *facts, struct error *err);
/* One program of a network interface; s: lxc.hook.version and the like. */
int hook_script(const struct guest_def *def, const struct settings *s, const char *command,
                const struct hook_facts *facts, char *const *words, struct error *err);
/* lxc.hook.start: programs of the container's, run in it. */
int hooks_run_inside(const struct container *c, struct error *err);

/* For the engine: a definition that is about to be destroyed, or that was made as a clone. */
int hooks_destroy(const struct guest_def *def, struct error *err);
int hooks_clone(const struct guest_def *def, const char *source, struct error *err);

#endif
