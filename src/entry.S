/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the kernel enters a static pult, before the C library's _start.
 *
 * A position-independent program that is linked statically relocates itself first of all, and so
 * writes to each page of its constants that has an address in it: a page fault each, a third of
 * those of a short command. Here all are had with one call. A kernel before 5.14 does not know
 * that one, and nothing is lost.
 */
#ifdef __CET__
#include <cet.h> /* marks this file, too, as fit for a shadow stack */
#else
#define _CET_ENDBR
#endif

#define SYS_madvise         28
#define MADV_POPULATE_WRITE 23
#define PAGE_MASK           -4096

    .text
    .globl pult_entry
    .type pult_entry, @function
pult_entry:
    _CET_ENDBR
    mov  %rdx, %rbx /* what the kernel hands to _start */
    lea  __preinit_array_start(%rip), %rdi
    and  $PAGE_MASK, %rdi
    lea  __bss_start + 4095(%rip), %rsi
    and  $PAGE_MASK, %rsi
    sub  %rdi, %rsi
    mov  $MADV_POPULATE_WRITE, %edx
    mov  $SYS_madvise, %eax
    syscall
    mov  %rbx, %rdx
    xor  %ebx, %ebx
    jmp  _start
    .size pult_entry, . - pult_entry

    .section .note.GNU-stack, "", @progbits
