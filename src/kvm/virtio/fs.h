/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared folders: a directory of the host that the guest mounts,
 *
 *     mount -t virtiofs TAG /mnt
 *
 * One key each, numbered from 0:
 *
 *     vm.share.0 = /srv/data,tag=data,ro
 *
 *     tag=NAME        what the guest mounts it by; default: share0 and so on
 *     ro              the guest cannot change anything
 *     map=identity    files belong to whom they belong on the host, and so do new ones, if pult
 *                     runs as root: its default
 *     map=UID[:GID]   all appears as that user's, and is the keeper's on the host; as a user the
 *                     default is 0:0
 *     cache=auto      the guest believes what it was told for a second, and looks again whenever
 *                     it opens a file; default
 *     cache=none      it asks every time, and keeps no contents
 *     cache=always    it asks once: for what nobody changes meanwhile
 *     setid           it may make files set-uid and set-gid
 *     nosecrets       what a copy of this machine does not have (`pult run`) is empty: homes,
 *                     keys, /proc, /run, …
 */
#ifndef PULT_KVM_VIRTIO_FS_H
#define PULT_KVM_VIRTIO_FS_H

#include "base/conf.h"
#include "kvm/virtio/virtio.h"

struct confine_tree;
struct fuse_config;
struct guest_def;

#define FS_TAG_MOST 36u /* bytes; virtio 1.2, 5.11.4 */

/* A value of vm.share.N. */
conf_value_fn fs_is_share;
/* Could the shares of this definition be opened? Tags must differ, directories be there. */
int fs_check(const struct guest_def *def, struct error *err);
/* Put the shares of a definition on the bus. */
int fs_add_all(struct virtio_bus *bus, const struct guest_def *def, struct error *err);
/* How much a share may take, of a VM that has those of its definition and perhaps a root's. */
void fs_limits(const struct virtio_bus *bus, const struct guest_def *def, struct fuse_config *c);
/* One, of this configuration. */
int fs_add(struct virtio_bus *bus, const char *tag, const struct fuse_config *config,
           struct error *err);
/*
 * The directories in which the devices of this bus open files while the guest runs. Room for
 * FS_TREES. Returns how many there are.
 */
#define FS_TREES (2u * PCI_SLOTS)
size_t fs_trees(const struct virtio_bus *bus, struct confine_tree *out);

#endif
