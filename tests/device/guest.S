/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tests' guest: a kernel of a few hundred bytes, entered at 64 bits with Linux's zero page. It
 * does what the letters after "do=" on its command line say, one after the other, and powers off
 * at the end or at a letter that it does not know. Without "do=" it prints its command line.
 *
 *     h  print "hello"                       l  spin for ever
 *     f  print 1024 lines of 64 bytes        s  halt for ever
 *     e  echo the console until a "q"        t  triple fault
 *     c  print the clock                     r  reset by port 0xcf9
 *     x  print what nobody answers           k  reset by the keyboard controller
 *     aN start N more CPUs, which halt       p  print a kernel panic's words
 *     i  let them spin instead               o  let them power off instead
 *     j  let them jump to the PC's reset vector instead
 *     b  wait for the power button           v  tell pvpanic
 *     w  echo COM2 until a "q"
 *     n  count, a line of eight digits each, until a "q" comes on the console
 *     z  wait until a second of the clock is over
 */
#define COM1       0x3f8
#define COM1_MCR   0x3fc
#define COM1_LSR   0x3fd
#define COM2       0x2f8
#define COM2_MCR   0x2fc
#define COM2_LSR   0x2fd
#define MCR_LISTEN 0x03 /* DTR, RTS */
#define LSR_DR     0x01
#define LSR_THRE   0x20
#define PM_STATUS  0x600
#define PM_CONTROL 0x604
#define POWER_OFF  0x3400
#define LAPIC_ICR  0xfee00300
#define ICR_INIT   0x000c4500 /* to all but itself */
#define ICR_SIPI   0x000c4608 /* the same, at page 8 */
#define AP_PAGE    0x8000
#define AP_COUNT   0xff0
#define COUNT      0x8ff8
#define AP_JOB     0xff4 /* the letter that said what they do; 0: halt */

.macro command letter, label
    cmp $\letter, %al
    je \label
.endm

    .code64
    .text
    .globl _start
_start:
    mov $0x90000, %esp
    mov 0x228(%rsi), %esi /* boot_params.hdr.cmd_line_ptr */
    mov %esi, %edi
find:
    mov (%rsi), %eax
    and $0xffffff, %eax
    cmp $0x3d6f64, %eax /* "do=" */
    je found
    inc %esi
    test %al, %al
    jnz find
    call print
    jmp off
found:
    add $3, %esi
next:
    movzbl (%rsi), %eax
    inc %esi
    command 'h', hello
    command 'f', flood
    command 'e', echo
    command 'c', clock
    command 'w', wire
    command 'x', nobody
    command 'a', others
    command 'i', others_job
    command 'o', others_job
    command 'j', others_job
    command 'b', button
    command 'z', second
    command 'n', count
    command 'l', spin
    command 's', stand
    command 't', triple
    command 'r', reset
    command 'k', keyboard
    command 'p', panic
    command 'v', pvpanic
off:
    mov $PM_CONTROL, %edx
    mov $POWER_OFF, %eax
    out %ax, %dx
stand:
    cli
    hlt
    jmp stand

hello:
    lea hello_text(%rip), %edi
    call print
    jmp next

flood:
    mov $1024, %ebx
1:  lea flood_text(%rip), %edi
    mov $4, %ecx
2:  call wait_thre
    push %rcx
    push %rsi
    mov $16, %ecx /* as many as the FIFO takes */
    mov %edi, %esi
    mov $COM1, %edx
    rep outsb
    mov %esi, %edi
    pop %rsi
    pop %rcx
    dec %ecx
    jnz 2b
    dec %ebx
    jnz 1b
    jmp next

echo:
    mov $COM1_MCR, %edx
    mov $MCR_LISTEN, %al
    out %al, %dx
1:  mov $COM1_LSR, %edx
    in %dx, %al
    test $LSR_DR, %al
    jz 1b
    mov $COM1, %edx
    in %dx, %al
    mov %al, %bl
    call put
    cmp $'q', %bl
    jne 1b
    mov $'\n', %al
    call put
    jmp next

wire:
    mov $COM2_MCR, %edx
    mov $MCR_LISTEN, %al
    out %al, %dx
1:  mov $COM2_LSR, %edx
    in %dx, %al
    test $LSR_DR, %al
    jz 1b
    mov $COM2, %edx
    in %dx, %al
    mov %al, %bl
    mov $COM2_LSR, %edx
2:  in %dx, %al
    test $LSR_THRE, %al
    jz 2b
    mov $COM2, %edx
    mov %bl, %al
    out %al, %dx
    cmp $'q', %bl
    jne 1b
    jmp next

clock:
    mov $4, %al
    call cmos
    call put_hex
    mov $':', %al
    call put
    mov $2, %al
    call cmos
    call put_hex
    mov $'\n', %al
    call put
    jmp next

second:
    mov $0, %al
    call cmos
    mov %al, %bl
1:  mov $0, %al
    call cmos
    cmp %al, %bl
    je 1b
    jmp next

/* In a register and in memory, which have to agree. */
count:
    mov $COM1_MCR, %edx
    mov $MCR_LISTEN, %al
    out %al, %dx
    xor %ebx, %ebx
    mov %ebx, COUNT
1:  inc %ebx
    incl COUNT
    cmp %ebx, COUNT
    je 2f
    lea lost_text(%rip), %edi
    call print
    jmp off
2:  mov $32, %ecx
3:  sub $8, %ecx
    mov %ebx, %eax
    shr %cl, %eax
    call put_hex
    test %ecx, %ecx
    jnz 3b
    mov $'\n', %al
    call put
    mov $COM1_LSR, %edx
    in %dx, %al
    test $LSR_DR, %al
    jz 1b
    mov $COM1, %edx
    in %dx, %al
    cmp $'q', %al
    jne 1b
    jmp next

/* A port and an address where nothing is. */
nobody:
    mov $0x1234, %edx
    in %dx, %eax
    mov $0xd0000000, %edx
    and (%rdx), %eax
    inc %eax
    jnz off
    lea ones_text(%rip), %edi
    call print
    jmp next

others:
    movzbl (%rsi), %ebx
    inc %esi
    sub $'0', %ebx
    movl $0, AP_PAGE + AP_COUNT
    push %rsi
    lea ap_start(%rip), %esi
    mov $AP_PAGE, %edi
    mov $(ap_end - ap_start), %ecx
    rep movsb
    pop %rsi
    mov $LAPIC_ICR, %edx
    movl $ICR_INIT, (%rdx)
    movl $ICR_SIPI, (%rdx)
1:  pause
    cmp %ebx, AP_PAGE + AP_COUNT
    jne 1b
    lea others_text(%rip), %edi
    call print
    jmp next

others_job:
    mov %al, AP_PAGE + AP_JOB
    jmp next

button:
    mov $PM_STATUS, %edx
    in %dx, %ax
    test $0x100, %eax
    jz button
    out %ax, %dx
    lea button_text(%rip), %edi
    call print
    jmp next

spin:
    pause
    jmp spin

triple:
    lidt no_idt(%rip)
    ud2

reset:
    mov $0xcf9, %edx
    mov $6, %al
    out %al, %dx
    jmp stand

keyboard:
    mov $0x64, %edx
1:  in %dx, %al
    test $2, %al
    jnz 1b
    mov $0xfe, %al
    out %al, %dx
    jmp stand

panic:
    lea panic_text(%rip), %edi
    call print
    jmp next

pvpanic:
    mov $0x505, %edx
    in %dx, %al
    out %al, %dx
    jmp next

/* ---- subroutines: they change eax and edx ---- */

wait_thre:
    mov $COM1_LSR, %edx
1:  in %dx, %al
    test $LSR_THRE, %al
    jz 1b
    ret

/* One byte, in al. */
put:
    push %rax
    call wait_thre
    pop %rax
    mov $COM1, %edx
    out %al, %dx
    ret

/* A text, at edi. */
print:
    mov (%rdi), %al
    test %al, %al
    jz 1f
    call put
    inc %edi
    jmp print
1:  ret

/* al in hexadecimal: what the clock says in BCD. */
put_hex:
    push %rax
    shr $4, %al
    call 1f
    pop %rax
1:  and $15, %al
    add $'0', %al
    cmp $'9', %al
    jbe put
    add $('a' - '9' - 1), %al
    jmp put

/* Register al of the clock. */
cmos:
    out %al, $0x70
    in $0x71, %al
    ret

/* Where the other CPUs begin: in real mode, copied to AP_PAGE. */
    .code16
ap_start:
    lock incl %cs:AP_COUNT
    mov %cs:AP_JOB, %al
    cmp $'i', %al
    je 2f
    cmp $'j', %al
    je 3f
    cmp $'o', %al
    jne 1f
    mov $PM_CONTROL, %dx
    mov $POWER_OFF, %ax
    out %ax, %dx
1:  cli
    hlt
    jmp 1b
2:  pause
    jmp 2b
3:  ljmp $0xf000, $0xfff0
ap_end:

hello_text:
    .asciz "hello\n"
lost_text:
    .asciz "lost\n"
ones_text:
    .asciz "all ones\n"
others_text:
    .asciz "all up\n"
button_text:
    .asciz "button\n"
panic_text:
    .ascii "[    1.0] Kernel panic - not syncing: out of coffee\n"
    .ascii "[    1.0] CPU: 0 PID: 1 Comm: init\n"
    .asciz "[    1.0] ---[ end Kernel panic - not syncing: out of coffee ]---\n"
flood_text:
    .ascii "The quick brown fox jumps over the lazy dog, and does it again.\n"
    .balign 8
no_idt:
    .word 0
    .quad 0
