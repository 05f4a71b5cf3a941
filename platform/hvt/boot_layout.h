/* SPDX-License-Identifier: MIT */
/* Numbers that boot.S and the guest's C++ share. Plain #defines: the assembler reads this too. */
#pragma once
#include "mirage/hvt/layout.h"

#define PAGE_SIZE 0x1000
#define LARGE_PAGE_SHIFT 21
#define ENTRIES_PER_TABLE 512

/* Intel SDM vol. 3A, Paging: 4-Level Paging. Accessed and dirty are set, so that nobody has to set them later. */
#define PTE_TABLE 0x27                  /* present, writable, user, accessed */
#define PTE_READ 0x25                   /* present, user, accessed */
#define PTE_WRITE 0x67                  /* present, writable, user, accessed, dirty */
#define PTE_SUPERVISOR_READ 0x21        /* present, accessed */
#define PTE_LARGE_RW 0xe7               /* PTE_WRITE, 2 MiB */
#define PTE_NX_HIGH 0x80000000          /* bit 63, in the upper half of an entry */
#define PTE_NX 0x8000000000000000

#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_LMA 0x400
#define EFER_NXE 0x800

#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_USER_DATA 0x18
#define SELECTOR_USER_CODE 0x20
#define SELECTOR_TSS 0x28
#define GDT_SIZE 0x38
#define DESCRIPTOR_KERNEL_CODE 0x00af9b00 /* present, DPL 0, code, accessed, L; the upper 4 octets */
#define DESCRIPTOR_USER_DATA 0x00cff300
#define DESCRIPTOR_USER_CODE 0x00affb00
#define RFLAGS_RESERVED 2               /* all else clear: IF = 0, IOPL = 0 */

#define TRAP_VECTORS 22                 /* all that a processor without virtualisation features of its own raises */
#define TRAP_STUB_SIZE 16
#define TRAP_ERROR_CODES 0x227d00       /* vectors that push one: 8, 10-14, 17, 21 */
#define TRAP_FRAME_SIZE (23 * 8)        /* struct trap_frame */
#define TRAP_FRAME_ROOM (24 * 8)        /* keeps the stack aligned */

#define MAIN_STACK_SIZE 0x10000
#define TRAP_STACK_SIZE 0x2000

/* struct memory_region */
#define REGION_END 0
#define REGION_FLAGS 4
#define REGION_NO_EXECUTE 8
#define REGION_NAME 12
#define REGION_SIZE 16
