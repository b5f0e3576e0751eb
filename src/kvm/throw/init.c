/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program throw/init/init.c, as it was built. */
#include "kvm/throw/throw.h"

__asm__(".section .rodata\n"
        ".balign 16\n"
        "throw_init_begin: .incbin \"kvm/init\"\n"
        "throw_init_end:\n"
        ".previous\n");

extern const char throw_init_begin[], throw_init_end[];

const void *throw_init(size_t *size)
{
    /* cppcheck-suppress comparePointers; the two ends of one thing */
    *size = (size_t)(throw_init_end - throw_init_begin);
    return throw_init_begin;
}
