/* SPDX-License-Identifier: BSD-3-Clause */
/* In place of a firmware, from address 0 on: the machine enters at 0x100, with the device tree's address in r3; every other vector is the end. */
    .section .start, "ax"
    .globl _start
    .org    0x100
_start:
    b       start
    .irp    vector, 0x200, 0x300, 0x380, 0x400, 0x480, 0x500, 0x600, 0x700, 0x800, 0x900, 0x980, 0xa00, 0xc00, 0xd00, 0xe00, 0xe40, 0xf00, 0xf20, 0xf40, 0xf60
    .org    \vector
    b       trapped
    .endr

    .org    0x2000
start:
    lis     2, .TOC.@ha
    addi    2, 2, .TOC.@l
    lis     1, guest_stack_end@ha
    addi    1, 1, guest_stack_end@l
    li      0, 0
    stdu    0, -112(1)
    lis     4, platform_tree@ha
    std     3, platform_tree@l(4)
    bl      guest_main
    nop
trapped:
    lis     2, .TOC.@ha
    addi    2, 2, .TOC.@l
    bl      guest_trapped
    nop
    .section .note.GNU-stack, "", @progbits
