/* SPDX-License-Identifier: MIT */
/*
 * A guest that stays in ring 0, as Solo5's own bindings do, and says so (.interp). It does what its command line says, a
 * letter each, and prints what it sees: 16 digits and a newline for each number.
 *
 *   t  loads GDT, segments, TSS and IDT: the type of the TSS, which the processor has changed, and the base of FS
 *   m  model specific registers, and what is relative to FS and GS     v  control registers
 *   a  reserved bits of CR4: #GP; where there is XSAVE: XCR0 without x87: #GP, and with SSE
 *   s  arithmetic with SSE: 2.0, 5.0, 3.0, 8.0 squared, as single-precision numbers
 *   u  #UD          d  #DE          b  #BP, by INT3     i  INT 0x30
 *   p  #PF: read of address 8, write to the boot information, read of the tender's memory, write behind all memory
 *   g  #GP: address that is not canonical, selector beyond the GDT, unknown MSR, FS base that is not canonical
 *   e  interrupt flag: set, in the handler, after it, cleared           n  #NP, from a gate that is not present
 *   f  #DF: gates of #UD and #NP that are not present                   j  a far jump
 *   k  hlt          o  an OUT to port 0xf0          x  rdpmc          c  a CR3 of its own          r  iretq to ring 3
 *   l  no IDT, and #UD                              w  a stack that is not there, and #UD: #PF
 *
 * An exception that "t" has prepared for prints: vector, error code, what RIP is past the instruction's beginning, CS, IF, TF
 * and RF, what RSP has changed, SS, and for #PF CR2 and how far the handler's stack is below that of IST 1; then it goes
 * on behind the instruction.
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

        .section .interp, "a", @progbits
        .asciz  "/nonexistent/solo5/"

        .set    CODE, 0x08
        .set    DATA, 0x10
        .set    OTHER, 0x18             /* data with a base */
        .set    TASK, 0x20

        .data
        .balign 64
gdt:    .quad   0, 0x00af99000000ffff, 0x00cf93000000ffff, 0x00cf93201000ffff
task_descriptor:
        .quad   0, 0
gdt_end:
idt:    .fill   2 * 49, 8, 0
idt_end:
task:   .zero   104
        .zero   2048
ist_1:  .zero   64
gdt_at: .word   gdt_end - gdt - 1
        .quad   gdt
idt_at: .word   idt_end - idt - 1
        .quad   idt
none:   .word   0
        .quad   0
fault_at: .quad 0
resume:   .quad 0
stack_at: .quad 0
words:    .quad 0x1111, 0x2222, 0x3333
far:      .long do_j_there
          .word CODE
          .balign 16
floats:   .float 2.0, 5.0, 3.0, 8.0
call:     .zero 64
digits:   .zero 17

        .text
/* Prints r8; clobbers rax, rcx, rdx, rdi. */
        .type   show, @function
show:   movl    $16, %ecx
        movl    $digits, %edi
        movq    %r8, %rax
1:      rolq    $4, %rax
        movl    %eax, %edx
        andl    $15, %edx
        movb    hex(%rdx), %dl
        movb    %dl, (%rdi)
        incq    %rdi
        decl    %ecx
        jnz     1b
        movb    $'\n', (%rdi)
        movq    $digits, call
        movq    $17, call + 8
        movl    $call, %eax
        movl    $PORT_PUTS, %edx
        outl    %eax, %dx
        ret
        .size   show, . - show

        .macro  print value
        movq    \value, %r8
        call    show
        .endm

/* An instruction that raises an exception, which the handler skips. */
        .macro  faulty instruction:vararg
        movq    $1f, fault_at
        movq    $2f, resume
        movq    %rsp, stack_at
1:      \instruction
2:
        .endm

        .macro  handler number, coded
handler_\number:
        .if \coded == 0
        pushq   $0
        .endif
        pushq   $\number
        jmp     caught
        .endm
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 9, 15, 16, 18, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 48
        handler \n, 0
        .endr
        .irp    n, 8, 10, 11, 12, 13, 14, 17, 21
        handler \n, 1
        .endr

caught: print   (%rsp)
        print   8(%rsp)
        movq    16(%rsp), %r8
        subq    fault_at, %r8
        call    show
        print   24(%rsp)
        movq    32(%rsp), %r8
        andl    $0x10300, %r8d
        call    show
        movq    40(%rsp), %r8
        subq    stack_at, %r8
        call    show
        print   48(%rsp)
        cmpl    $14, (%rsp)
        jne     1f
        movq    %cr2, %r8
        call    show
        movl    $ist_1, %r8d
        subq    %rsp, %r8
        call    show
1:      movq    resume, %rax
        movq    %rax, 16(%rsp)
        addq    $16, %rsp
        iretq

        .globl  _start
        .type   _start, @function
_start: movq    24(%rdi), %rsi
        .size   _start, . - _start

next:   movzbl  (%rsi), %eax
        incq    %rsi
        movl    $table, %edx
1:      movzbl  (%rdx), %ecx
        testl   %ecx, %ecx
        jz      finish
        cmpb    %al, %cl
        je      2f
        addl    $16, %edx
        jmp     1b
2:      jmp     *8(%rdx)

finish: movq    $0, call
        movl    $0, call + 8
        movl    $call, %eax
        movl    $PORT_HALT, %edx
        outl    %eax, %dx

do_t:   lgdt    gdt_at
        pushq   $CODE
        pushq   $1f
        lretq
1:      movl    $DATA, %eax
        movl    %eax, %ss
        movl    %eax, %ds
        movw    words_data, %es
        movl    $OTHER, %eax
        movl    %eax, %fs
        xorl    %eax, %eax
        movl    %eax, %gs
        movl    $ist_1, %eax
        movq    %rax, task + 36
        movl    $task, %eax             /* below 16 MiB */
        shlq    $16, %rax
        movl    $0x89, %ecx
        shlq    $40, %rcx
        orq     %rcx, %rax
        orq     $103, %rax
        movq    %rax, task_descriptor
        movl    $TASK, %eax
        ltr     %ax
        movl    $handlers, %edx         /* number, IST, address */
3:      movl    (%rdx), %ecx
        shll    $4, %ecx
        movl    8(%rdx), %eax
        movw    %ax, idt(%rcx)
        shrl    $16, %eax
        movw    %ax, idt + 6(%rcx)
        movw    $CODE, idt + 2(%rcx)
        movl    4(%rdx), %eax
        orl     $0x8e00, %eax
        movw    %ax, idt + 4(%rcx)
        addl    $16, %edx
        cmpl    $handlers_end, %edx
        jb      3b
        movl    $idt_at, %eax
        lidt    (%rax)
        movzbl  task_descriptor + 5, %r8d
        call    show
        movl    $0xc0000100, %ecx       /* the base that came with OTHER */
        rdmsr
        print   %rax
        jmp     next

        .macro  write_msr number, low, high
        movl    $\number, %ecx
        movl    $\low, %eax
        movl    $\high, %edx
        wrmsr
        .endm
        .macro  show_msr number
        movl    $\number, %ecx
        rdmsr
        shlq    $32, %rdx
        orq     %rax, %rdx
        print   %rdx
        .endm
do_m:   write_msr 0xc0000100, words, 0
        show_msr 0xc0000100
        print   %fs:8
        write_msr 0xc0000101, words + 8, 0
        write_msr 0xc0000102, words + 16, 0
        print   %gs:0
        swapgs
        print   %gs:0
        show_msr 0xc0000102
        write_msr 0xc0000081, 0x12345678, 0x00180008
        show_msr 0xc0000081
        show_msr 0xc0000080
        jmp     next
do_v:   movq    %cr0, %r12
        print   %r12
        orq     $8, %r12
        movq    %r12, %cr0
        movq    %cr0, %r8
        call    show
        clts
        movq    %cr0, %r8
        call    show
        movl    $0x1234, %r9d
        movq    %r9, %cr2
        movq    %cr2, %r8
        call    show
        movq    %cr4, %r8
        call    show
        movq    %cr3, %rax
        movq    %rax, %cr3
        invlpg  (%rax)
        wbinvd
        jmp     next
do_a:   movl    $0x23, %edi             /* clear of what cannot be there: reserved bits of CR4, XCR0 without x87 */
        shlq    $32, %rdi
        faulty  movq %rdi, %cr4
        movl    $1, %eax
        cpuid
        btl     $26, %ecx
        jnc     next
        movq    %cr4, %rax
        btsq    $18, %rax
        movq    %rax, %cr4
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        movl    $2, %eax
        faulty  xsetbv
        xorl    %ecx, %ecx              /* the handler has used them */
        xorl    %edx, %edx
        movl    $3, %eax
        xsetbv
        jmp     next
do_s:   movaps  floats, %xmm1
        mulps   %xmm1, %xmm1
        cvtps2pd %xmm1, %xmm2
        sqrtpd  %xmm2, %xmm2
        movaps  %xmm1, floats
        movq    %xmm2, %r8
        call    show
        print   floats
        print   floats + 8
        jmp     next
do_u:   faulty  ud2
        jmp     next
do_d:   xorl    %ecx, %ecx
        faulty  divl %ecx
        jmp     next
do_b:   faulty  int3
        jmp     next
do_i:   faulty  int $0x30
        jmp     next
do_p:   faulty  movl 8, %eax
        faulty  movl %eax, BOOT_INFO_ADDRESS
        faulty  movl 0x9000, %eax
        movq    $0x4000000000, %rdi
        faulty  movl %eax, (%rdi)
        jmp     next
do_g:   movq    $0x123456789abcdef0, %rdi
        faulty  movl (%rdi), %eax
        movl    $0x58, %edi
        faulty  movl %edi, %ds
        movl    $0xdeadbeef, %ecx
        faulty  rdmsr
        movl    $0xc0000100, %ecx
        movl    $0x80000000, %edx
        faulty  wrmsr
        jmp     next
do_e:   sti
        faulty  ud2
        faulty  ud2
        cli
        faulty  ud2
        jmp     next
do_n:   andb    $0x7f, idt + 6 * 16 + 5
        faulty  ud2
        orb     $0x80, idt + 6 * 16 + 5
        jmp     next
do_f:   andb    $0x7f, idt + 6 * 16 + 5
        andb    $0x7f, idt + 11 * 16 + 5
        faulty  ud2
        jmp     next
do_j:   ljmp    *far
do_j_there:
        movl    $0x1a, %r8d
        call    show
        jmp     next
do_k:   hlt
do_o:   movl    $0xf0, %edx
        movl    $1, %eax
        outb    %al, %dx
        jmp     next
do_x:   rdpmc
        jmp     next
do_c:   movl    $0x200000, %eax
        movq    %rax, %cr3
        jmp     next
do_r:   pushq   $0x23
        pushq   %rsp
        pushq   $2
        pushq   $0x2b
        pushq   $next
        iretq
do_l:   lidt    none
        ud2
do_w:   movl    $0x8000, %esp
        faulty  ud2
        jmp     next

        .section .text.tables, "a"
        .balign 16
table:  .irp    letter, t, m, v, a, s, u, d, b, i, p, g, e, n, f, j, k, o, x, c, r, l, w
        .ascii  "\letter"
        .zero   7
        .quad   do_\letter
        .endr
        .quad   0, 0
handlers:
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19, 20, 21, 48
        .long   \n, 0
        .quad   handler_\n
        .endr
        .long   14, 1                   /* #PF has a stack of its own */
        .quad   handler_14
handlers_end:
words_data: .word DATA
hex:    .ascii  "0123456789abcdef"
        .section .note.GNU-stack, "", @progbits
