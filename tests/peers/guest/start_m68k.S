/* SPDX-License-Identifier: BSD-3-Clause */
/* A stack, and on into C; the machine starts as supervisor, with interrupts masked. */
    .section .start, "ax"
    .globl _start
_start:
    lea     guest_stack_end, %sp
    jsr     guest_main
