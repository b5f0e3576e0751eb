/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a container comes to be, and what its parts share.
 *
 *   keeper (host's namespaces)             container's first process
 *
 *     config.c   definition → struct config
 *     guest/cgroup.c   groups made and limited
 *     trees.c    mount trees opened
 *     spawn.c    clone3() ────────────────► makes those namespaces that take long; waits
 *     idmap.c    ids and trees mapped
 *                ◄─── NETWORK: its namespace
 *     network.c  interfaces made in there, if there are any (nic.h)
 *                GO + the trees ──────────► child.c: rootfs.c or hostroot.c, mounts.c, dev.c
 *                ◄─── CONSOLE + its pty, and its namespaces
 *                                           pivot_root, caps.c, init.c: exec of the system's
 *                                           init, or our own with a command below it
 *                ◄─── STARTED               (our init only; an exec closes the socket)
 *                ◄─── ENDED, wait status    (our init only)
 *     engine.c   watches that socket and the pidfd
 *
 * A mount is made only in the container's own mount namespace, so nothing of it can be left behind
 * in the host's. The first process dies with its keeper (PR_SET_PDEATHSIG), and all others of its
 * pid namespace with it. Paths inside the root file system are resolved only with
 * sys_open_in_root(), and mounts are put onto the descriptors so gained, never onto a path.
 *
 * Root starts a container too with a user namespace. Its ids are a range of the host's that owns
 * nothing, and the root file system is mounted with an id mapping, so that its files keep their
 * owners on disk.
 */
#ifndef PULT_LXC_CONTAINER_H
#define PULT_LXC_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "guest/cgroup.h"
#include "guest/keeper.h"
#include "lxc/keys.h"
#include "lxc/nic.h"
#include "lxc/rootpath.h"
#include "lxc/seccomp.h"

/* ---- idmap.c: whose ids a container has ---- */

#define IDMAP_MAX 16

struct id_range {
    uint32_t inside, outside, count;
};

struct idmap {
    struct id_range uid[IDMAP_MAX], gid[IDMAP_MAX];
    unsigned uids, gids;
    bool given;    /* said by lxc.idmap */
    bool identity; /* 0 is 0: the file system cannot be mounted with a mapping */
    bool helper;   /* newuidmap and newgidmap have to write it */
    bool claim;    /* root's: idmap_claim() says which */
};

/* The mapping that the caller of pult may have: lxc.idmap, or the ranges of /etc/subuid. */
int idmap_choose(const struct guest_def *def, struct idmap *map, struct error *err);
/*
 * Have a range that no other running container has. *lock, if it is one, is held open for as long
 * as the range is in use.
 */
int idmap_claim(struct idmap *map, const char *name, int *lock, struct error *err);
/* The one for file systems that know no id mapping. */
void idmap_identity(struct idmap *map);
/* Write the map of a process that has just been given a new user namespace. */
int idmap_write(const struct idmap *map, pid_t pid, struct error *err);
/* Who the container's root is outside. */
uid_t idmap_root_uid(const struct idmap *map);
gid_t idmap_root_gid(const struct idmap *map);
/* … and how many ids in a row follow that belong to it, with it. */
uint32_t idmap_root_count(const struct idmap *map);
bool idmap_has_host_uid(const struct idmap *map, uid_t uid);
bool idmap_has_gid(const struct idmap *map, gid_t inside);
/* One value of lxc.idmap: "u 0 100000 65536". */
int idmap_is_entry(const char *value, struct error *err);
/* What `pult doctor` says of the caller's ranges. */
void idmap_doctor(struct doctor *d);

/* ---- config.c: what a definition asks for ---- */

enum root_kind {
    ROOT_DIR,     /* a directory, written to */
    ROOT_LAYERS,  /* an overlay that stays: the last tree holds what is written */
    ROOT_OVERLAY, /* a directory, or layers; what is written is gone with the container */
    ROOT_HOST,    /* the host's own file systems, likewise */
};

/* A mount tree of the host's that becomes part of the container. */
struct tree {
    char *path;
    bool recursive;          /* with what is mounted below */
    bool idmap;              /* shown with the container's ids */
    bool optional;           /* may be missing */
    bool given;              /* fd was there before */
    unsigned propagation;    /* MS_SLAVE, MS_SHARED: mounts of the host's appear in it; 0 */
    const char *type, *data; /* a file system of this type on the device `path`; NULL: a clone */
    bool image;              /* the file system in the file `path` */
    int fd;                  /* -1: not open */
};

struct mount_entry {
    char *source, *target, *type, *data;
    uint64_t attr; /* MOUNT_ATTR_… */
    bool bind, optional, relative, create_dir, create_file;
    struct tree tree; /* of a bind mount, and of what the keeper mounts */
};

struct config {
    enum root_kind root;
    /* The root file system first; its layers; ROOT_HOST: one per file system of the host. */
    struct tree *trees;
    size_t tree_count;
    char *upper;     /* ROOT_LAYERS: the last part of a path below the last tree */
    char *root_data; /* of lxc.rootfs.options what is for an image's file system; NULL: nothing */
    bool marks_trusted; /* and the keeper puts them together; filled by config_layers() */
    struct mount_entry *mounts;
    size_t mount_count;
    bool app; /* one command under our init, not a system's own init */
    char **argv, **env;
    char *hostname;
    struct idmap map;
    uint64_t caps;   /* those it may ever have, a bit each */
    bool privileged; /* by root: trees are opened by the keeper */
    bool no_new_privs;
    bool cgroup2;        /* the host's only cgroups are of v2: they are mounted inside, too */
    bool raw_console;    /* its terminal neither echoes nor turns \n into \r\n */
    unsigned cols, rows; /* and has this size */
    int halt_signal, reboot_signal;
    bool halt_given;
    struct nics nics;
    struct filter filter;  /* of system calls; filled by the keeper, config_filter() */
    struct filter profile; /* another one: lxc.seccomp.profile */
    int notify_sock;       /* of a process: to its keeper, for notify_install() */
    struct settings set;
};

int config_load(const struct guest_def *def, struct config *c, struct error *err);
void config_clear(struct config *c);
/* For the engine: what keys of LXC's say of values that every guest has. */
int config_take(struct guest_def *def, struct error *err);
/* By what its layers are put together. */
int config_layers(const struct guest_def *def, struct config *c, struct error *err);
/* The filter that it asks for. */
int config_filter(struct config *c, struct error *err);

struct container;

/* ---- trees.c: parts of the host's file systems ---- */

/* Open (clone) the trees of the config; in whoever may read them. */
int trees_open(struct config *c, struct error *err);
/* Give them the ids of the user namespace. 1: a file system of the root cannot do that. */
int trees_idmap(struct config *c, int userns, struct error *err);
/* Open one more for a container that runs, with its ids where userns is not -1. */
int tree_take(const struct config *c, struct tree *t, int userns, struct error *err);
void trees_close(struct config *c);
void trees_close_root(struct config *c);

/* hotplug.c. Add what a line of lxc.mount.entry says to the running container, or take it away. */
int hotplug(struct container *c, const char *line, bool remove, struct error *err);
/* Write what its name servers are into the running container. */
int hotplug_resolver(struct container *c, struct error *err);

/* ---- spawn.c: keeper and first process talk ---- */

enum message_kind {
    MESSAGE_NETWORK, /* child, if there are interfaces to be made: its network namespace, a socket */
    /* keeper: the ids are mapped. With the trees; text: which are there, and names. Again, without
       any, when it has the console, and the list of devices is as it was said */
    MESSAGE_GO,
    MESSAGE_CONSOLE, /* child: pty master, slave, and the path to more of them, ptmx; its own namespaces */
    MESSAGE_TTYS,    /* child, before that: master and slave of each of lxc.tty.max */
    MESSAGE_READY,   /* child, with lxc.hook.start-host: it waits for another GO */
    MESSAGE_STARTED, /* child: the command runs */
    MESSAGE_ENDED,   /* our init: the wait status of its command */
    MESSAGE_FAILED,  /* child: text says why; value is the exit status */
    MESSAGE_NOTIFY,  /* child: what is heard of its filter, notify.h */
};

struct message {
    int kind, value;
    char text[sizeof((struct error *)0)->text];
};

#define MESSAGE_FDS 250

int message_send(int sock, const struct message *m, const int *fds, size_t nfds);
/* Returns the number of descriptors, or -1; with 0 bytes (closed) errno is EPIPE. */
int message_recv(int sock, struct message *m, int *fds, size_t room);
/*
 * The descriptor that `make` returns in a child of this process, which may enter what it could not leave
 * again. Waits for its end. -1: see err.
 */
int message_made_by(int (*make)(struct config *c, struct error *err), struct config *c,
                    struct error *err);

/* In the order in which setns(2) takes them; behind NS_GIVEN those that the child makes itself. */
enum {
    NS_USER,
    NS_MNT,
    NS_PID,
    NS_UTS,
    NS_CGROUP,
    NS_TIME,
    NS_GIVEN,
    NS_IPC = NS_GIVEN,
    NS_NET,
    NS_COUNT
};
extern const char *const namespace_names[NS_COUNT];

#define CONSOLE_FDS (3 + NS_COUNT - NS_GIVEN) /* of MESSAGE_CONSOLE */

#define TTY_FDS  2 /* of MESSAGE_TTYS, for each */
#define TTYS_MAX 64

struct container {
    struct keeper *keeper;
    struct config config;
    struct cgroup cgroup;
    pid_t init;
    int pidfd, sock;
    int master, slave, ptmx;  /* of its devpts; the last with O_PATH */
    int namespaces[NS_COUNT]; /* -1: not open yet */
    struct event *sock_event, *exit_event, *count_timer, *kill_timer;
    bool running, ended_known;
    int wait_status;
    int layers[ROOT_HOLDS];          /* held: what its root is made of, rootpath.h; -1: none */
    int ids;                         /* holds the claim to its ids; -1: there is none */
    int ttys[TTY_FDS * TTYS_MAX];    /* masters and slaves; -1: none */
    struct console_log *console_log; /* ttys.c */
    int held;                        /* LXC's address of it, foreign.c; -1: none */
    struct event *held_event;
    bool hooked;           /* lxc.hook.pre-start was run, so post-stop will be */
    bool reboots;          /* it ended to begin again: what post-stop is told */
    int netns;             /* in which interfaces of ours are; -1: none */
    char names[256];       /* what its /etc/resolv.conf is to be; "": left alone */
    struct notify *notify; /* notify.c; NULL: none */
    char *apparmor_own;    /* a profile that is this one's alone, apparmor.c; NULL: none */
    struct message failed; /* kind is MESSAGE_FAILED once the child said so */
};

/* namespaces.c. Whose is each of lxc.namespace.*? */
enum namespace_kind {
    NAMESPACE_OWN,
    NAMESPACE_KEPT,   /* the host's */
    NAMESPACE_SHARED, /* another's, or one that the keeper makes (time) */
};
enum namespace_kind namespace_kind(const struct settings *s, int which);
/* CLONE_NEW… of those that are its own. */
int namespaces_flags(const struct settings *s);
/* Be in those that are shared, for a moment, to have a child there. */
struct namespaces_back {
    int fd[SHARE_COUNT];
};
int namespaces_enter(struct config *c, struct namespaces_back *back, struct error *err);
void namespaces_return(struct namespaces_back *back);
/* Join all that are not the host's; its pid namespace takes only children in. */
int namespaces_join(const struct settings *s, const int fds[NS_COUNT], struct error *err);

/*
 * Create the first process, give it its ids and the rest, and let it make its mounts. Before it runs
 * anything of the container it waits for the keeper's loop (engine.c).
 */
int spawn(struct container *c, struct error *err);
/* Join the container's namespaces; its pid namespace takes only children in. */
int spawn_join(const struct container *c, struct error *err);
/*
 * Have done with a helper within ms, and close its pidfd. One that waits for a file system of the
 * container's may not even die of SIGKILL: the keeper does not wait for it.
 */
void spawn_reap(pid_t pid, int pidfd, int ms);
/* Reset what clone inherits from a keeper: signal mask and dispositions. */
void spawn_reset_signals(void);

/* ---- child.c and what it is made of: in the container ---- */

/* The life of the first process. */
void child_main(struct container *c, int sock) __attribute__((noreturn));

/* rootfs.c. Mount the new root over the old one; a descriptor of it. */
int rootfs_mount(struct config *c, struct error *err);
/* lxc.rootfs.options, those that are a mount's: when all that is made in it is there. */
int rootfs_options(const struct config *c, int fd, struct error *err);
/*
 * For the keeper: put the layers of a ROOT_LAYERS together where marks of root's overlays are obeyed.
 * The first tree is the whole then, and there are no others; wait_go() of child.c knows it by that.
 */
int rootfs_layers(struct config *c, struct error *err);
/* Where hooks find the root while it is set up. */
const char *rootfs_path(const struct config *c);
/* Mount an overlay of lower with fresh directories of the tmpfs `scratch`; a detached mount. */
int overlay_mount(int scratch, int lower, unsigned number, struct error *err);
/* The same above what `lowerdir` says; like: whose owner and mode the root has. */
int overlay_mount_above(int scratch, const char *lowerdir, int like, unsigned number,
                        struct error *err);
/* A new, empty file system, not attached to anything yet. options: key, value, …, NULL */
int fs_mount(const char *type, uint64_t attr, const char *const *options, struct error *err);
#define ROOT_DIR_IS_NONE "'/%s' of the root file system is not a directory (a symbolic link?)"
/* Make the directory below rootfd if it is missing, and open it. Follows no symbolic link. */
int rootfs_dir(int rootfd, const char *path, mode_t mode, struct error *err);

/* hostroot.c. The same for a copy of the host. */
int hostroot_mount(struct config *c, int scratch, struct error *err);
/* Which file systems of the host belong to it. */
int hostroot_trees(struct config *c, struct error *err);

/* mounts.c, entries.c, dev.c. Everything else that is mounted. */
int mounts_system(struct config *c, int rootfd, struct error *err);
int mounts_entries(struct config *c, int rootfd, struct error *err);
int mounts_entry(struct mount_entry *m, int rootfd, struct error *err);
int mount_entry_parse(const char *line, struct mount_entry *m, struct error *err);
void mount_entry_clear(struct mount_entry *m);
/* Is it a tree that trees_open() opens? */
bool mount_entry_is_tree(const struct mount_entry *m);
/* A line of a configuration whose root is known: the target is a path of the container's. */
int mounts_parse(const struct config *c, const char *line, struct mount_entry *m,
                 struct error *err);
/* One more line, or those of a file, for config_load(). */
int mounts_add(struct config *c, const char *line, struct error *err);
int mounts_add_fstab(struct config *c, const char *path, struct error *err);
/* What mount_setattr(2) has to be told to clear, for these to be set. */
uint64_t mount_attr_clear(uint64_t attr);
/* Options of mount(8) as MOUNT_ATTR_…; *rest: those that are the file system's, or NULL. */
uint64_t mount_attr_parse(const char *options, char **rest);
/* Where LXC mounts roots. */
#define LXC_ROOTFS_MOUNT "/usr/lib/x86_64-linux-gnu/lxc/rootfs"
/* Sets the pty's three descriptors as MESSAGE_CONSOLE carries them, and those of MESSAGE_TTYS. */
int dev_mount(const struct config *c, int rootfd, int pty[3], int *ttys, struct error *err);

/* caps.c */
int caps_parse(const struct guest_def *def, bool app, uint64_t *keep, struct error *err);
void caps_reduce_for_identity(uint64_t *keep);
/*
 * Give up what the container must not have: capabilities, those that setuid programs could gain,
 * system calls. In two steps, so that the filter comes as late as it can: whoever changes his user
 * does it between them.
 */
int privileges_drop(const struct config *c, struct error *err);
int privileges_filter(const struct config *c, struct error *err);
int caps_is_list(const char *value, struct error *err);

/* init.c. Become the command, or its init. Returns only to say why not. */
int init_run(const struct config *c, int sock, int tty, int *status, struct error *err);

/* exec.c. Exec argv with env as a shell would find it; the exit status that tells why not. */
int exec_command(char *const *argv, char *const *env, struct error *err);

/* ttys.c. The keeper's side of lxc.tty.* and lxc.console.* */
void ttys_take(struct container *c, const int *fds, size_t count);
void ttys_drop(struct container *c);
/* The keeper's log goes to other places, too, if that was asked for. */
int log_copies_open(const struct settings *s, struct error *err);
/* The console is written to a file, too, if that was asked for. */
int console_log_open(struct container *c, struct error *err);
void console_log_close(struct container *c);

/* attach.c */
pid_t attach(struct container *c, const struct exec_request *req, int *master, struct error *err);

/* reach.c. Others on this host who reach a container's files: engine.warn, and of all guests. */
void reach_warn(const struct guest_def *def, void (*tell)(void *arg, const char *text), void *arg);
void reach_doctor(struct doctor *d);

/* doctor.c */
void lxc_doctor(struct doctor *d, bool deep);

#endif
