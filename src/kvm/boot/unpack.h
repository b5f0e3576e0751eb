/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways in which a kernel is packed inside of a bzImage: gzip, bzip2, lzma, xz, lz4, zstd.
 *
 * Packed data is distrusted. Output goes into a buffer of the caller's and no further, working
 * memory is bounded, and so is time, as each step of work takes input or gives output. What
 * follows the packed data (Linux appends the size) is not looked at.
 */
#ifndef PULT_KVM_BOOT_UNPACK_H
#define PULT_KVM_BOOT_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What this begins with: "xz" and so on; NULL: nothing that can be unpacked. */
const char *unpack_name(const uint8_t *in, size_t len);
/* Unpack it. Returns how many bytes of out were filled, or -1. */
int64_t unpack(const uint8_t *in, size_t len, uint8_t *out, size_t room, struct error *err);

#endif
