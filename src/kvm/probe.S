/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The doctor's guest. In long mode it asks a port how far to count down, does so, and asks again.
 * The answer 0 makes it halt for good.
 */
#define PROBE_PORT 0x700

    .code64
    .text
    mov $PROBE_PORT, %edx
ask:
    in %dx, %eax
    test %eax, %eax
    jz done
count:
    dec %eax
    jnz count
    jmp ask
done:
    cli
    hlt
    jmp done
