/* SPDX-License-Identifier: MIT */
/*
 * Xen PVH, x86_64: from the domain builder's entry to the first line of C++, traps, and hypercalls.
 *
 * Everything runs at CPL0, because Xen takes hypercalls of a PVH domain from nowhere else. Interrupts stay off for
 * ever: events are looked at (events.hpp), not taken.
 *
 * Only general registers in this file. All addresses are below 2 GiB: 32-bit absolute relocations.
 */
#include "boot_layout.h"

/* ---- entry: 32-bit protected mode, flat segments, no paging, no stack -------------------------------------- */
        .section .text.boot, "ax", @progbits
        .code32
        .globl  _start
        .type   _start, @function
_start:                                 /* ebx: struct hvm_start_info */
        /* 0. When this began; esi and edi are untouched until 4. */
        rdtsc
        movl    %eax, %esi
        movl    %edx, %edi

        /* 1. The first GiB, mapped where it is, for anything, until C++ has made the final tables (memory_map.cpp). */
        movl    $boot_pdpt + PTE_TABLE, boot_pml4
        movl    $boot_pd + PTE_TABLE, boot_pdpt
        movl    $PTE_WRITE | PTE_LARGE, %eax
        xorl    %ecx, %ecx
1:      movl    %eax, boot_pd(,%ecx,8)
        addl    $LARGE_PAGE_SIZE, %eax
        incl    %ecx
        cmpl    $ENTRIES_PER_TABLE, %ecx
        jb      1b

        /* 2. Long mode (Intel SDM vol. 3A, Initializing IA-32e Mode), with NX, WP and SSE2. */
        movl    $CR4_BOOT, %eax
        movl    %eax, %cr4
        movl    $boot_pml4, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $EFER_BOOT, %eax
        wrmsr
        movl    $CR0_BOOT, %eax
        movl    %eax, %cr0
        lgdt    gdt_pointer
        ljmp    $SELECTOR_CODE, $2f

        /* 3. Segments, traps. The GDT is written here for the last time: LTR marks the TSS busy. */
        .code64
2:      xorl    %eax, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %eax, %fs
        movl    %eax, %gs
        movl    $SELECTOR_TSS, %eax
        ltr     %ax
        lidt    idt_pointer

        /* 4. C++: start information, the TSC of step 0. */
        movl    $main_stack_end, %esp
        shlq    $32, %rdi
        movl    %esi, %esi
        orq     %rdi, %rsi
        movl    %ebx, %edi
        xorl    %ebp, %ebp              /* the end of every backtrace */
        call    mirage_xen_start
        ud2
        .size   _start, . - _start

/* ---- every trap --------------------------------------------------------------------------------------------- */
/* Leaves a trap_frame (fault.cpp) on the trap stack, and reports: no trap is ever returned from. */
        .balign TRAP_STUB_SIZE
        .globl  trap_stubs
        .type   trap_stubs, @function
trap_stubs:
        .set    vector, 0
        .rept   TRAP_VECTORS
        .balign TRAP_STUB_SIZE
        .if     ((TRAP_ERROR_CODES >> vector) & 1) == 0
        pushq   $0
        .endif
        pushq   $vector
        jmp     trap_entry
        .set    vector, vector + 1
        .endr
        .size   trap_stubs, . - trap_stubs

        .globl  trap_entry
        .type   trap_entry, @function
trap_entry:                             /* on the stack: vector, error code, rip, cs, rflags, rsp, ss */
        pushq   %rax
        movq    %cr2, %rax
        xchgq   %rax, 8(%rsp)           /* the vector gives way to cr2 */
        pushq   %rbx
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rbp
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   %rax                    /* the vector */
        movq    %rsp, %rdi
        pushq   $0                      /* aligns the stack */
        xorl    %ebp, %ebp
        call    mirage_xen_fault
        ud2
        .globl  trap_entry_end
trap_entry_end:
        .size   trap_entry, . - trap_entry

/* ---- hypercalls --------------------------------------------------------------------------------------------- */
/* mirage_xen_hypercall(a, b, c, d, e, number): C's registers become Xen's; none that the caller keeps is touched. */
        .globl  mirage_xen_hypercall
        .type   mirage_xen_hypercall, @function
mirage_xen_hypercall:
        movq    %rcx, %r10
        movl    %r9d, %eax
        vmmcall                         /* AMD's; start.cpp changes its last octet into Intel's vmcall */
        .globl  mirage_xen_hypercall_patch
        .set    mirage_xen_hypercall_patch, . - 1
        ret
        .size   mirage_xen_hypercall, . - mirage_xen_hypercall

/* ---- constants ---------------------------------------------------------------------------------------------- */
        .section .rodata.boot, "a", @progbits
        .balign 16
/* A gate: 64-bit interrupt gate, CPL0, on the trap stack (IST1) whatever was interrupted. */
        .macro  gate offset
        .short  \offset
        .short  SELECTOR_CODE
        .byte   1, 0x8e
        .short  IMAGE_BASE >> 16        /* link.ld asserts that all of it is in these 64 KiB */
        .quad   0
        .endm

        .globl  idt
        .type   idt, @object
idt:
        .set    vector, 0
        .rept   TRAP_VECTORS
        gate    (trap_stubs - _start + vector * TRAP_STUB_SIZE)
        .set    vector, vector + 1
        .endr
idt_end:
        .size   idt, . - idt

        .globl  tss
        .type   tss, @object
tss:    .long   0
        .quad   0, 0, 0, 0
        .quad   trap_stack_end          /* IST1 */
        .quad   0, 0, 0, 0, 0, 0, 0
        .short  0
        .short  tss_end - tss           /* no I/O permission map */
tss_end:
        .size   tss, . - tss
        .globl  tss_limit
        .set    tss_limit, tss_end - tss - 1

        .balign 8
gdt:    .quad   0
        .quad   0x00af9b000000ffff      /* code, accessed, L */
        .long   tss_descriptor_low, tss_descriptor_high, 0, 0
gdt_end:
        .balign 8
gdt_pointer:
        .short  gdt_end - gdt - 1
        .quad   gdt
        .balign 8
idt_pointer:
        .short  idt_end - idt - 1
        .quad   idt

/* ---- what the domain builder reads (xen/elfnote.h) ----------------------------------------------------------- */
        .macro  note type
        .balign 4
        .long   4, 8f - 7f, \type
        .asciz  "Xen"
7:
        .endm
        .section .note.Xen, "a", @note
        note    18                      /* XEN_ELFNOTE_PHYS32_ENTRY */
        .long   _start
8:      note    14                      /* XEN_ELFNOTE_SUSPEND_CANCEL: a suspend that came to nothing is understood */
        .long   1
8:      note    6                       /* XEN_ELFNOTE_GUEST_OS */
        .asciz  "mirage"
8:      .balign 4

/* ---- zeroed memory -------------------------------------------------------------------------------------------- */
        .section .stack, "aw", @nobits
        .balign PAGE_SIZE
        .zero   PAGE_SIZE
        .globl  main_stack, main_stack_end
main_stack:
/* The boot code's tables, until C++ has made better ones: the stack does not reach down here that early. */
boot_pml4:
        .zero   PAGE_SIZE
boot_pdpt:
        .zero   PAGE_SIZE
boot_pd:
        .zero   PAGE_SIZE
        .zero   MAIN_STACK_SIZE - 3 * PAGE_SIZE
main_stack_end:

        .section .trap_stack, "aw", @nobits
        .balign PAGE_SIZE
        .zero   PAGE_SIZE
        .globl  trap_stack, trap_stack_end
trap_stack:
        .zero   TRAP_STACK_SIZE
trap_stack_end:

        .section .note.GNU-stack, "", @progbits
