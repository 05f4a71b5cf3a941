/* SPDX-License-Identifier: MIT */
/* Numbers that boot.S and the guest's C++ share. Plain #defines: the assembler reads this too. */
#pragma once
#include "mirage/xen/layout.h"

#define LARGE_PAGE_SHIFT 21
#define LARGE_PAGE_SIZE 0x200000
#define ENTRIES_PER_TABLE 512

/* Intel SDM vol. 3A, Paging: 4-Level Paging. Accessed and dirty are set, so that nobody has to set them later. */
#define PTE_TABLE 0x23                  /* present, writable, accessed */
#define PTE_READ 0x21                   /* present, accessed */
#define PTE_WRITE 0x63                  /* present, writable, accessed, dirty */
#define PTE_LARGE 0x80
#define PTE_NX 0x8000000000000000

#define CR0_BOOT 0x80010033             /* PG, WP, NE, ET, MP, PE */
#define CR4_BOOT 0x620                  /* OSXMMEXCPT, OSFXSR, PAE */
#define MSR_EFER 0xc0000080
#define EFER_BOOT 0x900                 /* NXE, LME */

#define SELECTOR_CODE 0x08
#define SELECTOR_TSS 0x10

#define TRAP_VECTORS 22                 /* all that a processor without virtualisation features of its own raises */
#define TRAP_STUB_SIZE 16
#define TRAP_ERROR_CODES 0x227d00       /* vectors that push one: 8, 10-14, 17, 21 */

#define MAIN_STACK_SIZE 0x10000
#define TRAP_STACK_SIZE 0x2000

#define VMCALL_LAST_OCTET 0xc1          /* 0f 01 c1; vmmcall is 0f 01 d9 */
