/* SPDX-License-Identifier: MIT */
/*
 * The Solo5 hvt ABI, version 2, x86_64: numbers for the assembler, the tender and the guest's C++ alike. Plain
 * #defines. The structures are in abi.hpp, which asserts the offsets given here.
 */
#pragma once

/* Guest-physical map. What is below IMAGE_BASE belongs to the tender. */
#define LOW_END 0x10000                 /* below: not mapped for the guest */
#define BOOT_INFO_ADDRESS 0x10000       /* boot information, manifest, command line: read-only */
#define IMAGE_BASE 0x100000             /* the least address of an image */

/* struct boot_info */
#define BOOT_INFO_MEM_SIZE 0
#define BOOT_INFO_HOST_FEATURES 40
#define BOOT_INFO_NET_RING 48
#define HOST_FEATURE_NET_RING 1
/* Our own, far from what Solo5 numbers: POLL serves what is on the ring before it waits, so that a guest about to
 * wait need not kick; and reads at the ring's end stay posted there until their device has a frame. */
#define HOST_FEATURE_POLL_SERVES_RING 0x80000000

/* A hypercall is a 4-octet OUT of a structure's address to one of these ports. */
#define PORT_WALLTIME 0x501
#define PORT_PUTS 0x502
#define PORT_POLL 0x503
#define PORT_BLOCK_WRITE 0x504
#define PORT_BLOCK_READ 0x505
#define PORT_NET_WRITE 0x506
#define PORT_NET_READ 0x507
#define PORT_HALT 0x508
#define PORT_RING_KICK 0x600

#define NET_RING_SIZE 49280             /* struct net_ring */
