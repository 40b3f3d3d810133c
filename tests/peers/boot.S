/* SPDX-License-Identifier: BSD-3-Clause */
/* A boot sector: what a PC's firmware loads from the disk that it drives by itself. Asks the
 * firmware for sectors 1 to 16, writes them back inverted from sector 32 on, and says so. */
.code16
.globl start
start:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    cld
    movb $0x42, %ah
    movw $packet, %si
    int $0x13
    jc bad
    movw $0x8000, %si
    movw $(16 * 512), %cx
1:  notb (%si)
    incw %si
    loop 1b
    movl $32, sector
    movb $0x43, %ah
    xorb %al, %al
    movw $packet, %si
    int $0x13
    jc bad
    movw $good_text, %si
    jmp say
bad:
    movw $bad_text, %si
say:
    lodsb
    testb %al, %al
    jz finish
    outb %al, $0xe9
    jmp say
finish:
    movb $0x10, %al
    outb %al, $0xf4
    hlt
    jmp finish
packet:
    .byte 16, 0
    .word 16
    .word 0x8000, 0
sector:
    .long 1, 0
good_text:
    .asciz "moved\n"
bad_text:
    .asciz "failed\n"
    .org 510
    .word 0xaa55
