/* SPDX-License-Identifier: MIT */
/* A PVH domain that does nothing. What `xl create` takes for it, it takes for every domain. */
        .section .note.Xen, "a", @note
        .balign 4
        .long   4, 4, 18                /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz  "Xen"
        .long   _start
        .text
        .code32
        .globl  _start
_start: pause                           /* not HLT: with interrupts off it ends the domain, which is work for the toolstack */
        jmp     _start
        .section .note.GNU-stack, "", @progbits
