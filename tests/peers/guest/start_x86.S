/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine enters here in 32-bit protected mode, with flat segments, because of the note: PVH. */
    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 4, 18            /* the lengths of what follows; the type: the 32-bit entry */
    .asciz  "Xen"
    .long   _start

    .section .start, "ax"
    .globl _start
_start:
    mov     $guest_stack_end, %esp
    cld
    call    guest_main

    .section .note.GNU-stack, "", @progbits
