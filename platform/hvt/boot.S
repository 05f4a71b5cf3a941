/* SPDX-License-Identifier: MIT */
/*
 * hvt, x86_64: from the tender's entry to the first line of C++, and what runs at CPL0.
 *
 *   _start   CPL0, the tender's tables   a temporary table, GDT, TSS, boot IDT; iretq to ring 3
 *   build    CPL3, the temporary table   writes the final tables into zeroed RAM behind the image
 *   seal     CPL0, one trap              final tables, final IDT; this trap cannot be taken again
 *   run      CPL3, the final tables      mirage_hvt_start()
 *
 * On some hosts CPL0 is emulated at about a microsecond per instruction, so both CPL0 pieces are straight lines:
 * no loop, no call, no branch but to the message about too little memory (test/hvt/guest/image.py counts the
 * instructions). Everything that loops runs in ring 3, where the code is native. After the seal nothing maps the
 * page tables, no gate loads CR3, and CPL0 is trap_entry alone.
 *
 * Only general registers in this file. All addresses are below 2 GiB: 32-bit absolute relocations.
 */
#include "boot_layout.h"

/* ---- CPL0: entry ---------------------------------------------------------------------------------------- */
        .section .text.boot, "ax", @progbits
        .globl  _start
        .type   _start, @function
_start:                                 /* rdi: boot information, all the way to mirage_hvt_start() */
        /* 0. What follows is written behind the image: is there memory? What boot_build needs of the boot information
              is read here: a page's first touch in ring 3 costs a host with shadow paging as much as twenty
              instructions here. */
        movl    $1, %eax                /* the processor's features; in ring 3 it would be an exit */
        cpuid
        movl    %ecx, %r15d
        movq    BOOT_INFO_MEM_SIZE(%rdi), %r12
        movl    BOOT_INFO_HOST_FEATURES(%rdi), %r14d
        movq    BOOT_INFO_NET_RING(%rdi), %rbx
        cmpq    $least_memory, %r12
        jb      too_small

        /* 1. A table that lets ring 3 see the first 2 MiB and those that hold the page tables. RAM is zero. */
        movq    $boot_pdpt + PTE_TABLE, boot_pml4
        movq    $boot_pd + PTE_TABLE, boot_pdpt
        movq    $PTE_LARGE_RW, boot_pd
        movq    $boot_tables_page + PTE_LARGE_RW, boot_pd_of_tables
        /* The final tables' upper levels, the upper end of the stack and the first variables, too: pages that have been
           touched come with their neighbour's first touch in ring 3. */
        movq    $final_pdpt + PTE_TABLE, final_pml4
        movq    $final_pds + PTE_TABLE, final_pdpt
        movq    $final_pts + PTE_TABLE, final_pds
        movq    $0, final_pts
        movq    $0, main_stack_end - PAGE_SIZE - 8
        movq    $0, main_stack_end - 8
        movq    $0, bss_begin
        movl    $MSR_EFER, %ecx
        movl    $EFER_LME | EFER_LMA | EFER_NXE, %eax
        xorl    %edx, %edx
        wrmsr
        movl    $boot_pml4, %eax
        movq    %rax, %cr3

        /* 2. Descriptors. Base and limit of a 64-bit segment are ignored, so the upper halves are enough. */
        movl    $DESCRIPTOR_KERNEL_CODE, gdt + SELECTOR_KERNEL_CODE + 4
        movl    $DESCRIPTOR_USER_DATA, gdt + SELECTOR_USER_DATA + 4
        movl    $DESCRIPTOR_USER_CODE, gdt + SELECTOR_USER_CODE + 4
        movl    $tss_descriptor_low, gdt + SELECTOR_TSS
        movl    $tss_descriptor_high, gdt + SELECTOR_TSS + 4
        lgdt    gdt_pointer
        lidt    boot_idt_pointer
        movl    $SELECTOR_TSS, %eax
        ltr     %ax

        /* 3. Ring 3, interrupts off, I/O privilege 0: only the ports in the TSS's bitmap are open. */
        movl    $build_frame, %esp
        iretq
        .globl  boot_cpl0_end
boot_cpl0_end:
        .size   _start, . - _start

/* ---- CPL0: seal (the only gate of the boot IDT) ----------------------------------------------------------- */
        .globl  boot_seal
        .type   boot_seal, @function
boot_seal:
        movl    $final_pml4, %eax
        movq    %rax, %cr3
        lidt    idt_pointer
        movl    $run_frame, %esp
        iretq
        .globl  boot_seal_end
boot_seal_end:
        .size   boot_seal, . - boot_seal

/* ---- CPL0: every trap after the seal ---------------------------------------------------------------------- */
/*
 * Leaves a trap_frame (fault.hpp) on the trap stack and goes on in ring 3, where the report is written: no trap
 * is ever returned from. One stub per vector, TRAP_STUB_SIZE octets apart.
 */
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
        xchgq   %rax, 8(%rsp)           /* the vector gives way to cr2, as in the ABI's HALT cookie */
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
        movl    $last_words_frame, %esp
        iretq
        .globl  trap_entry_end
trap_entry_end:
        .size   trap_entry, . - trap_entry

/*
 * The memory map, in ascending order: each region begins where the one before ends. It is what the page tables are
 * made of, and where a fault report takes its names from. In the text, because boot_build has touched that.
 */
        .macro  region end, flags, no_execute, name
        .long   \end, \flags, \no_execute, 1f
        .section .rodata.boot.names, "aMS", @progbits, 1
1:      .asciz  "\name"
        .section .text.boot, "ax", @progbits
        .endm

        .balign 8
        .globl  memory_map
        .type   memory_map, @object
memory_map:
        region  LOW_END, 0, 0, "the null page or other low memory"
        region  IMAGE_BASE, PTE_READ, PTE_NX_HIGH, "boot information (read-only)"
        region  text_end, PTE_READ, 0, "program text"
        region  rodata_end, PTE_READ, PTE_NX_HIGH, "read-only data"
        region  main_stack, 0, 0, "the guard page below the main stack"
        region  main_stack_end, PTE_WRITE, PTE_NX_HIGH, "the main stack"
        region  data_end, PTE_WRITE, PTE_NX_HIGH, "data"
        region  trap_stack, 0, 0, "the guard page below the trap stack"
        region  trap_stack_end, PTE_WRITE, PTE_NX_HIGH, "the trap stack"
        region  gdt_end, PTE_SUPERVISOR_READ, PTE_NX_HIGH, "the GDT"
        region  tables_end, 0, 0, "the page tables (unmapped)"
        region  image_end, PTE_WRITE, PTE_NX_HIGH, "the heap"
        .globl  memory_map_end
memory_map_end:
        .size   memory_map, . - memory_map

/* ---- CPL3: the final page tables --------------------------------------------------------------------------- */
        .type   boot_build, @function
boot_build:
        /* 4. The other page directories, one for each GiB, and a page table for each 2 MiB of image. */
        movl    $final_pds + PTE_TABLE, %eax
        xorl    %ecx, %ecx
1:      movq    %rax, final_pdpt(,%rcx,8)
        addq    $PAGE_SIZE, %rax
        incl    %ecx
        cmpl    $4, %ecx
        jb      1b
        movl    $final_pts + PTE_TABLE, %eax
        xorl    %ecx, %ecx
2:      movq    %rax, final_pds(,%rcx,8)
        addq    $PAGE_SIZE, %rax
        incl    %ecx
        cmpl    $image_large_pages, %ecx
        jb      2b

        /* 5. RAM behind the image, and the ring behind the RAM, in 2 MiB pages. */
        movabsq $PTE_LARGE_RW | PTE_NX, %rdx
        shrq    $LARGE_PAGE_SHIFT, %r12
3:      cmpq    %r12, %rcx
        jae     4f
        movq    %rcx, %rax
        shlq    $LARGE_PAGE_SHIFT, %rax
        orq     %rdx, %rax
        movq    %rax, final_pds(,%rcx,8)
        incq    %rcx
        jmp     3b
4:      testb   $HOST_FEATURE_NET_RING, %r14b
        jz      6f
        movq    %rbx, %rcx
        leaq    NET_RING_SIZE - 1(%rcx), %r13
        shrq    $LARGE_PAGE_SHIFT, %r13
        shrq    $LARGE_PAGE_SHIFT, %rcx
        jz      6f                      /* a tender older than the ring: not an address */
5:      cmpq    $4 * ENTRIES_PER_TABLE - 1, %r13
        ja      6f
        movq    %rcx, %rax
        shlq    $LARGE_PAGE_SHIFT, %rax
        orq     %rdx, %rax
        cmpq    $image_large_pages, %rcx
        jb      51f                     /* never in place of a page table: those map it as heap */
        movq    %rax, final_pds(,%rcx,8)
51:     incq    %rcx
        cmpq    %r13, %rcx
        jbe     5b

        /* 6. 4 KiB pages up to the end of the image's last 2 MiB, as memory_map says. */
6:      movl    $memory_map, %esi
        xorl    %ecx, %ecx
7:      movl    REGION_END(%rsi), %r8d
        movl    REGION_FLAGS(%rsi), %eax
        movl    REGION_NO_EXECUTE(%rsi), %edx
        shlq    $32, %rdx
        orq     %rax, %rdx              /* the attributes of a PTE, or 0 */
8:      cmpq    %r8, %rcx
        jae     10f
        testl   %edx, %edx
        jz      9f
        movq    %rcx, %rax
        orq     %rdx, %rax
        movq    %rcx, %r9
        shrq    $9, %r9                 /* 8 octets of table for each 4096 octets of memory */
        movq    %rax, final_pts(%r9)
9:      addq    $PAGE_SIZE, %rcx
        jmp     8b
10:     addq    $REGION_SIZE, %rsi
        cmpq    $memory_map_end, %rsi
        jb      7b

        /* 7. The one trap that changes tables; goes on at boot_run. rdi stays. */
        ud2
        .size   boot_build, . - boot_build

/* Says so, and ends with the status of an abort: at CPL0, without a stack, in the tender's address space. */
        .type   too_small, @function
too_small:
        movl    $too_small_puts, %eax
        movl    $PORT_PUTS, %edx
        outl    %eax, %dx
        movl    $too_small_halt, %eax
        movl    $PORT_HALT, %edx
        outl    %eax, %dx
11:     jmp     11b
        .size   too_small, . - too_small

/* ---- CPL3: sealed --------------------------------------------------------------------------------------- */
        .type   boot_run, @function
boot_run:                               /* rdi: boot information; rsp: the top of the main stack */
        movl    %r15d, %esi             /* CPUID.1:ECX */
        xorl    %ebp, %ebp              /* the end of every backtrace */
        call    mirage_hvt_start
        ud2
        .size   boot_run, . - boot_run

        .type   last_words, @function
last_words:                             /* rsp: below trap_frame, on the same stack */
        movl    $trap_frame, %edi
        xorl    %ebp, %ebp
        call    mirage_hvt_fault
        ud2
        .size   last_words, . - last_words

/* ---- constants ------------------------------------------------------------------------------------------- */
        .section .rodata.boot, "a", @progbits
        .balign 16
/* A gate: 64-bit interrupt gate, CPL0, on the trap stack (IST1) whoever was interrupted. */
        .macro  gate offset
        .short  \offset
        .short  SELECTOR_KERNEL_CODE
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

boot_idt:
        .zero   6 * 16
        gate    (boot_seal - _start)    /* 6: invalid opcode, the ud2 behind the last step of boot_build */
boot_idt_end:

        .balign 8
        .globl  tss
        .type   tss, @object
tss:    .long   0
        .quad   trap_stack_end          /* RSP0 */
        .quad   0, 0, 0
        .quad   trap_stack_end          /* IST1 */
        .quad   0, 0, 0, 0, 0, 0, 0
        .short  0
        .short  tss_ports - tss
tss_ports:                              /* 0: open. 0x501-0x508 as 4-octet ports, 0x600 likewise */
        .fill   0x500 / 8, 1, 0xff
        .byte   0x01, 0xf0
        .fill   (0x600 - 0x510) / 8, 1, 0xff
        .byte   0xf0
        .byte   0xff, 0xff              /* the processor reads two octets, and asks for a final one */
tss_end:
        .size   tss, . - tss
        .globl  tss_limit
        .set    tss_limit, tss_end - tss - 1

        .balign 8
gdt_pointer:
        .short  GDT_SIZE - 1
        .quad   gdt
        .balign 8
idt_pointer:
        .short  idt_end - idt - 1
        .quad   idt
        .balign 8
boot_idt_pointer:
        .short  boot_idt_end - boot_idt - 1
        .quad   boot_idt

        .macro  iret_frame rip, rsp
        .quad   \rip, SELECTOR_USER_CODE | 3, RFLAGS_RESERVED, \rsp, SELECTOR_USER_DATA | 3
        .endm
        .balign 8
build_frame:
        iret_frame boot_build, 0
run_frame:
        iret_frame boot_run, main_stack_end
last_words_frame:
        iret_frame last_words, last_words_stack

too_small_text:
        .ascii  "mirage: too little memory for this image: give it more with --mem=\n"
too_small_text_end:
        .balign 8
too_small_puts:
        .quad   too_small_text, too_small_text_end - too_small_text
too_small_halt:
        .quad   0
        .long   255, 0

        .section .interp, "a", @progbits
        .asciz  "/nonexistent/mirage/"

/* ---- zeroed memory ---------------------------------------------------------------------------------------- */
        .section .stack, "aw", @nobits
        .balign PAGE_SIZE
        .zero   PAGE_SIZE
        .globl  main_stack, main_stack_end
main_stack:
        .zero   MAIN_STACK_SIZE
main_stack_end:

        .section .supervisor, "aw", @nobits
        .balign PAGE_SIZE
        .zero   PAGE_SIZE
        .globl  trap_stack, trap_stack_end
trap_stack:
        .zero   TRAP_STACK_SIZE - TRAP_FRAME_ROOM
last_words_stack:
        .zero   TRAP_FRAME_ROOM - TRAP_FRAME_SIZE
trap_frame:
        .zero   TRAP_FRAME_SIZE
trap_stack_end:
        .globl  gdt
gdt:    .zero   GDT_SIZE
        .balign PAGE_SIZE
gdt_end:
boot_pml4:
        .zero   PAGE_SIZE
boot_pdpt:
        .zero   PAGE_SIZE
        .globl  boot_pd
boot_pd:
        .zero   PAGE_SIZE
        .globl  final_pml4
final_pml4:
        .zero   PAGE_SIZE
final_pdpt:
        .zero   PAGE_SIZE
        /* Here link.ld puts final_pts, one page for each 2 MiB of the image; then come the page directories. */
        .section .supervisor.directories, "aw", @nobits
        .balign PAGE_SIZE
final_pds:
        .zero   4 * PAGE_SIZE

        .section .note.GNU-stack, "", @progbits
