/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lxc.rootfs.path says, beside a directory:
 *
 *     overlay:LOWER[:LOWER…]:UPPER   (overlayfs:, too) what is written goes to UPPER, a directory; the
 *                                    LOWERs are only read, the first on top. The overlay's own
 *                                    directory is beside UPPER.
 *     loop:FILE                      an image of a file system; or the path alone, as dir:, btrfs: and
 *                                    zfs: stand before that of a directory
 *     lvm:DEVICE                     (rbd:, too) a block device that has one; or its path alone
 *
 * A clone by overlay has its UPPER in its own directory, and for LOWERs those of the guest that it
 * is one of, which is needed for as long as there is such a clone.
 */
#ifndef PULT_LXC_ROOTPATH_H
#define PULT_LXC_ROOTPATH_H

#include "base/error.h"
#include "guest/def.h"
#include "guest/engine.h"

#define LOWERS_MAX       8
#define OVERLAY_WORK     "olwork" /* as LXC called it, */
#define OVERLAY_WORK_LXC "work"   /* and calls it since 3.0 */

enum root_form { ROOT_IS_DIR, ROOT_IS_OVERLAY, ROOT_IS_IMAGE };

struct root_path {
    enum root_form form;
    char *path; /* the directory; UPPER; the image */
    char *lowers[LOWERS_MAX];
    unsigned lower_count;
};

int root_path_parse(const char *value, struct root_path *r, struct error *err);
/* That of a guest: rootfs/ in its directory where nothing is said. Not host:/. */
int root_path_of(const struct guest_def *def, struct root_path *r, struct error *err);
void root_path_clear(struct root_path *r);
#define cleanup_root_path __attribute__((cleanup(root_path_clear)))
/* As a value of lxc.rootfs.path. Caller frees. */
char *root_path_text(const struct root_path *r);

/*
 * Whose marks of what is gone its layers bear: "trusted" of an overlay that root of the host mounted,
 * as LXC does, "user" of one that a user namespace did, as ours mostly are; `otherwise` where none
 * does. Such a mark says nothing to the other kind. NULL: there are both.
 */
const char *root_path_marks(const struct root_path *r, const char *otherwise, struct error *err);

/*
 * Have all of it as one directory, read-only, in a mount namespace of the caller's own; where that is.
 * Caller frees. NULL on failure.
 */
char *root_path_view(const struct root_path *r, struct error *err);

/* The directory that holds UPPER and what the overlay itself needs, both made like the first LOWER. */
int root_path_upper(const struct root_path *r, const char *dir, struct error *err);

/* Is there an image, with a file system that is known? */
int image_check(const char *image, struct error *err);
/* A loop device for an image, gone with its last mount, or the block device itself; its path. Caller frees. */
char *loop_device(const char *image, bool read_only, int *fd, const char **type, struct error *err);

/*
 * What a running guest writes to is nobody's layer meanwhile, and what it lies on is not written to:
 * a flock on HOME/guests/NAME/running, and a shared one on that of each LOWER's guest, held by these
 * descriptors (-1: none). -1: others have them, which the error names.
 */
#define ROOT_HOLDS (LOWERS_MAX + 1)
int root_path_hold(const struct guest_def *def, int fds[ROOT_HOLDS], struct error *err);

/* engine.needed */
int root_path_needed(const struct guest_def *def, const char *dir, struct error *err);

#endif
