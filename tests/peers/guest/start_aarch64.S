/* SPDX-License-Identifier: BSD-3-Clause */
/* A stack, the vectors, and on into C. Memory is as the MMU leaves it when it is off: nothing may be accessed unaligned. */
    .section .start, "ax"
    .globl _start
_start:
    ldr     x0, =guest_stack_end
    mov     sp, x0
    ldr     x0, =vectors
    msr     vbar_el1, x0
    isb
    b       guest_main

    .text
    .balign 2048
vectors:                        /* sixteen, 128 bytes apart */
    .rept   5
    .balign 128
    b       guest_trapped
    .endr
    .balign 128
    b       interrupted         /* an IRQ while on this stack */
    .rept   10
    .balign 128
    b       guest_trapped
    .endr
    .balign 128

/* What a C function may change; it does not nest, so that the return address can stay where the processor put it. */
interrupted:
    stp     x0, x1, [sp, #-160]!
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x30, [sp, #144]
    bl      platform_interrupt
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x30, [sp, #144]
    ldp     x0, x1, [sp], #160
    eret
