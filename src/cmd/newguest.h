/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A definition out of options: what `create` and `run` have in common. Each kind of guest has a
 * table of options that say which key they set, and how their value is checked and written.
 */
#ifndef PULT_CMD_NEWGUEST_H
#define PULT_CMD_NEWGUEST_H

#include "base/conf.h"
#include "base/options.h"
#include "cmd/command.h"
#include "guest/engine.h"

/* Rows for tables of struct cmd_option. */
/* clang-format off */
#define OPTION_MEMORY \
    {"memory", 'm', "SIZE", false, "memory of a VM (512M), limit of a container (none)"}
#define OPTION_CPUS \
    {"cpus", 'c', "N", false, "vCPUs of a VM (1), limit of a container in cores (none)"}
#define OPTION_CONFIG \
    {"config", 'f', "FILE", false, "begin with this file of key = value lines"}
#define OPTION_SET \
    {"set", 's', "KEY=VALUE", true, "any other key of the definition; may be repeated"}
#define OPTION_ROOTFS \
    {"rootfs", 'R', "DIR|TAR", false, "its root file system, or an archive to unpack as one"}
#define OPTION_TEMPLATE \
    {"template", 't', "T[:SOURCE][,OPTION...]", false, "what its root file system is made of"}
#define OPTION_KERNEL {"kernel", 'k', "FILE", false, "its kernel: a bzImage or an ELF vmlinux"}
#define OPTION_INITRD {"initrd", 'i', "FILE", false, "its initial file system"}
#define OPTION_APPEND {"append", 'a', "STRING", false, "its kernel's command line"}
#define OPTION_NET \
    {"net", 'N', "NET", true, "a network card: a network, user, bridge=NAME, none, with options"}
#define OPTION_SHARE \
    {"share", 0, "DIR[:TAG][,ro]", true, "a folder of the host for a VM: mount -t virtiofs TAG DIR"}
/* clang-format on */

struct new_guest {
    const struct engine *engine;
    const char *name;                      /* NULL: it does not matter */
    struct conf *conf;                     /* owned until handed on */
    const struct guest_template *template; /* NULL: it brings no files of its own */
    char *source;                          /* for it */
    struct options options;
};

/*
 * Make the definition of a guest of this type ("vm", "container") from a verb's options and the
 * command after "--", and for a throwaway VM its argument, an image of a disk. A throwaway container
 * without a root is a copy of this machine. A VM with a disk alone boots from that. Returns
 * EXIT_OK, or what the verb shall end with, the error being printed.
 */
int new_guest(const struct cmd_args *a, const char *type, bool throwaway, struct new_guest *g);
/* Is it a VM that runs on files of this host (vm.rootfs)? Or boots from its disk? */
bool new_guest_on_files(const struct conf *conf);
bool new_guest_on_disk(const struct conf *conf);
/* One more shared folder for a VM; options begin with a comma, or are "". */
int new_guest_share(struct conf *conf, const char *path, const char *options, struct error *err);
void new_guest_clear(struct new_guest *g);

/* store_fill_fn: lets the template make its files, defines the network; arg is the struct new_guest. */
int new_guest_fill(void *arg, const char *dir, struct error *err);

#endif
