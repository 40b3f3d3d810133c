/* SPDX-License-Identifier: BSD-3-Clause */
/* A stack, and on into C. There is one hart. */
    .section .start, "ax"
    .globl _start
_start:
    la      sp, guest_stack_end
    j       guest_main
