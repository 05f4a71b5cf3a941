/* SPDX-License-Identifier: MIT */
/*
 * The guest's address map: numbers for the assembler, the linker script and C++ alike. Plain #defines.
 *
 * Memory is mapped where it is (virtual = guest-physical) but for the pages in the 64 KiB below the image. There are
 * no RAM pages in use there, so that the small pages that map the image map these, too, and no table more is needed.
 */
#pragma once

#define PAGE_SIZE 0x1000
#define PAGE_SHIFT 12

#define NULL_GUARD_END 0x8000           /* below: not mapped */
#define SHARED_INFO_ADDRESS 0x8000      /* shared_info; its frame is the RAM page of this number */
#define CONSOLE_RING_ADDRESS 0x9000     /* where the toolstack put the console's ring */
#define STORE_RING_ADDRESS 0xa000       /* and the xenstore's */
#define IMAGE_BASE 0x10000              /* the least address of an image */
