/* SPDX-License-Identifier: BSD-3-Clause */
/* A stack, somewhere for program checks to go, and on into C. The machine starts with 64-bit addresses and interrupts masked. */
    .section .start, "ax"
    .globl _start
_start:
    larl    %r15, guest_stack_end
    aghi    %r15, -160          /* where a function may save registers of its caller's */
    larl    %r1, check_psw
    mvc     0x1d0(16), 0(%r1)
    brasl   %r14, guest_main

    .data
    .balign 8
check_psw:
    .quad   0x0000000180000000, guest_trapped
