/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Container images of OCI and docker, as they lie in a directory; oci.c. */
#ifndef PULT_LXC_OCI_H
#define PULT_LXC_OCI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "base/error.h"

#define OCI_LAYERS 256 /* no image has as many: a file system of layers takes 128 */

struct oci_blob {
    char *path;      /* in the image's directory */
    char digest[65]; /* sha256 in hex; "": not known */
    bool plain;      /* the digest is that of the uncompressed file */
};

struct oci_image {
    json_t *config;
    struct oci_blob *layers; /* the lowest first */
    size_t count;
};

/* Find out what an image is made of. tag: which one, or NULL. */
int oci_read(int dir, const char *tag, struct oci_image *image, struct error *err);
void oci_clear(struct oci_image *image);
/* Open a blob, after its digest was checked. */
int oci_open(int dir, const struct oci_blob *b, struct error *err);
/* What the image says of how it is to be run, as keys; root: its root file system. */
int oci_conf(const struct oci_image *image, int root, struct conf *conf, struct error *err);

#endif
