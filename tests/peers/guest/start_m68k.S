/* SPDX-License-Identifier: BSD-3-Clause */
/* A stack, the vectors, and on into C; the machine starts as supervisor, with interrupts masked. */
    .section .start, "ax"
    .globl _start
_start:
    lea     guest_stack_end, %sp
    lea     vectors, %a0
    movec   %a0, %vbr
    jsr     guest_main

    .text
    .balign 4
vectors:
    .rept   25
    .long   guest_trapped
    .endr
    .rept   7                   /* interrupts of level 1 to 7 */
    .long   interrupted
    .endr
    .rept   224
    .long   guest_trapped
    .endr

interrupted:
    movem.l %d0-%d1/%a0-%a1, -(%sp) /* what a C function may change */
    jsr     platform_interrupt
    movem.l (%sp)+, %d0-%d1/%a0-%a1
    rte
