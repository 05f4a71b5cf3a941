/* SPDX-License-Identifier: MIT */
/*
 * A guest that does what its command line says: the tests write each hypercall, and each wrong one, as text.
 *
 * A command is a letter and its arguments, hexadecimal, all separated by single spaces:
 *
 *   q A V    store V at A, 8 octets        o P V    out dword V to port P
 *   d A V    store V at A, 4 octets        a P V    out octet V to port P
 *   c D S N  copy N octets from S to D     i P      in dword from port P
 *   p A N    PUTS N octets at A            x A      PUTS the 8 octets at A as 16 digits and a newline
 *   u A V    wait until the 4 octets at A are V
 *   n A V O  unless the 4 octets at A are V, go to character O of the command line
 *   g O      go to character O             h S C    HALT with status S and cookie C
 *   r A      load from A                   j A      call A
 *   k        hlt                           s        an SSE instruction
 *
 * At its end it halts with 0. It runs at CPL0 on the tender's tables, without an IDT: any exception is a triple fault.
 */
#include "mirage/hvt/layout.h"

        .section .note.solo5.abi, "a", @note
        .balign 4
        .long   6, 16, 0x31494241
        .asciz  "Solo5"
        .balign 4
        .long   1, 2, 0, 0

        .section .note.solo5.manifest, "a", @note
        .balign 8
        .long   6, 4 + 8 + 104, 0x3154464d
        .asciz  "Solo5"
        .balign 4
        .long   0
        .long   1, 1
        .zero   68
        .long   0x40000000
        .zero   32

        .data
        .balign 64
call:   .zero   64                      /* arguments of our own hypercalls */
digits: .zero   17

        .text
        .globl  _start
        .type   _start, @function
_start:                                 /* rbx: the command line; rsi: where we are in it */
        movq    24(%rdi), %rbx
        movq    %rbx, %rsi
        jmp     next
        .size   _start, . - _start

/* Skips a space and reads a number into rax; clobbers rcx. */
        .type   _ZN5guest6numberEv, @function
_ZN5guest6numberEv:
        incq    %rsi
        xorl    %eax, %eax
1:      movzbl  (%rsi), %ecx
        subl    $'0', %ecx
        js      3f                      /* a space, or the end */
        cmpl    $10, %ecx
        jb      2f
        subl    $'a' - '0' - 10, %ecx
2:      shlq    $4, %rax
        addq    %rcx, %rax
        incq    %rsi
        jmp     1b
3:      ret
        .size   _ZN5guest6numberEv, . - _ZN5guest6numberEv

/* Reads numbers into r8, r9, r10, as many as the command takes. */
three:  call    _ZN5guest6numberEv
        movq    %rax, %r8
        call    _ZN5guest6numberEv
        movq    %rax, %r9
        call    _ZN5guest6numberEv
        movq    %rax, %r10
        ret
two:    call    _ZN5guest6numberEv
        movq    %rax, %r8
        call    _ZN5guest6numberEv
        movq    %rax, %r9
        ret
one:    call    _ZN5guest6numberEv
        movq    %rax, %r8
        ret

        .type   next, @function
next:   movzbl  (%rsi), %eax
        incq    %rsi
        cmpb    $' ', %al
        je      next
        movl    $table, %edx
1:      movzbl  (%rdx), %ecx
        testl   %ecx, %ecx
        jz      finish                  /* unknown, or the end */
        cmpb    %al, %cl
        je      2f
        addl    $16, %edx
        jmp     1b
2:      jmp     *8(%rdx)
        .size   next, . - next

finish: xorl    %r8d, %r8d
        xorl    %r9d, %r9d
        jmp     end

do_q:   call    two
        movq    %r9, (%r8)
        jmp     next
do_d:   call    two
        movl    %r9d, (%r8)
        jmp     next
do_c:   call    three
        movq    %rsi, %rbp
        movq    %r8, %rdi
        movq    %r9, %rsi
        movq    %r10, %rcx
        rep movsb
        movq    %rbp, %rsi
        jmp     next
do_o:   call    two
        movl    %r8d, %edx
        movl    %r9d, %eax
        mfence
        outl    %eax, %dx
        jmp     next
do_a:   call    two
        movl    %r8d, %edx
        movl    %r9d, %eax
        outb    %al, %dx
        jmp     next
do_i:   call    one
        movl    %r8d, %edx
        inl     %dx, %eax
        jmp     next
do_p:   call    two
put:    movq    %r8, call
        movq    %r9, call + 8
        movl    $call, %eax
        movl    $PORT_PUTS, %edx
        outl    %eax, %dx
        jmp     next
do_x:   call    one
        movq    (%r8), %rax
        movl    $16, %ecx
        movl    $digits, %edi
1:      rolq    $4, %rax
        movl    %eax, %edx
        andl    $15, %edx
        movb    hex(%rdx), %dl
        movb    %dl, (%rdi)
        incq    %rdi
        decl    %ecx
        jnz     1b
        movb    $'\n', (%rdi)
        movl    $digits, %r8d
        movl    $17, %r9d
        jmp     put
do_u:   call    two
1:      cmpl    %r9d, (%r8)
        je      next
        pause
        jmp     1b
do_n:   call    three
        cmpl    %r9d, (%r8)
        je      next
        leaq    (%rbx, %r10), %rsi
        jmp     next
do_g:   call    one
        leaq    (%rbx, %r8), %rsi
        jmp     next
do_h:   call    two
end:    movq    %r9, call
        movl    %r8d, call + 8
        movl    $call, %eax
        movl    $PORT_HALT, %edx
        outl    %eax, %dx
        jmp     end
do_r:   call    one
        .globl  _ZN5guest10load_wordsEPKm
        .type   _ZN5guest10load_wordsEPKm, @function
_ZN5guest10load_wordsEPKm:
        movq    (%r8), %rax
        jmp     next
        .size   _ZN5guest10load_wordsEPKm, . - _ZN5guest10load_wordsEPKm
do_j:   call    one
        call    *%r8
        jmp     next
do_k:   hlt
        jmp     next
do_s:   paddd   %xmm0, %xmm1
        jmp     next

        .section .text.table, "a"
        .balign 16
table:  .irp    letter, q, d, c, o, a, i, p, x, u, n, g, h, r, j, k, s
        .ascii  "\letter"
        .zero   7
        .quad   do_\letter
        .endr
        .quad   0
hex:    .ascii  "0123456789abcdef"
        .section .note.GNU-stack, "", @progbits
