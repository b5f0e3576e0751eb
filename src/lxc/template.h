/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the files of a new container come to be. template.c has the table; each template fills
 * dir/rootfs, which is where a container looks for its root when its definition names none.
 */
#ifndef PULT_LXC_TEMPLATE_H
#define PULT_LXC_TEMPLATE_H

#include "base/conf.h"
#include "base/error.h"
#include "base/options.h"
#include "guest/engine.h"

extern const struct guest_template lxc_templates[];

/* dir/rootfs, empty, for root 0755. Caller frees. NULL on failure. */
char *template_root(const char *dir, struct error *err);
/* Open an archive and unpack it into dir/rootfs. */
int template_unpack(const struct guest_source *s, const char *archive, const char *dir,
                    struct error *err);

/* A small file, for template_files(). */
struct template_file {
    const char *path, *text;
    mode_t mode; /* 0: a symbolic link to text; S_IFDIR | …: a directory */
};
/* Make them in a root; those that are there are replaced. Ends with a NULL path. */
int template_files(const char *root, const struct template_file *files, struct error *err);

/* template_debian.c, template_busybox.c, template_host.c, template_lxc.c, oci.c */
typedef int template_fn(const struct guest_source *s, const char *dir, struct conf *conf,
                        struct error *err);
template_fn template_debian, template_busybox, template_host, template_lxc, template_oci;

#endif
