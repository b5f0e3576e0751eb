/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Archives for the kernel: cpio(5), "new ASCII format", and Linux's initramfs buffer format. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "kvm/throw/throw.h"

#define HEAD_BYTES 110u

static void put(struct cpio *c, const void *data, size_t len)
{
    if (c->room - c->len < len + 4) {
        c->room = max(2 * c->room, c->len + len + 4096);
        c->data = xrealloc(c->data, c->room, 1);
    }
    if (len)
        memcpy(c->data + c->len, data, len);
    c->len += len;
    while (c->len % 4) /* what follows begins at a multiple of 4 */
        c->data[c->len++] = '\0';
}

/* The fields in their order: inode, mode, owner, group, links, time, size, device, device of a
 * node, length of the name with its NUL, checksum. */
void cpio_add(struct cpio *c, const char *name, unsigned mode, const void *data, size_t len)
{
    size_t name_len = strlen(name) + 1;
    char head[HEAD_BYTES + 1];

    snprintf(head, sizeof(head), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
             ++c->files, mode, 0u, 0u, 1u, 0u, (unsigned)len, 0u, 0u, 0u, 0u, (unsigned)name_len,
             0u);
    char *both = xcalloc(1, HEAD_BYTES + name_len);
    memcpy(both, head, HEAD_BYTES);
    memcpy(both + HEAD_BYTES, name, name_len);
    put(c, both, HEAD_BYTES + name_len); /* only both together are filled up */
    free(both);
    put(c, data, len);
}

void cpio_end(struct cpio *c)
{
    cpio_add(c, "TRAILER!!!", 0, NULL, 0);
}

void cpio_clear(struct cpio *c)
{
    if (!c)
        return;
    free(c->data);
    *c = (struct cpio){0};
}
