// SPDX-License-Identifier: MIT
#pragma once
#pragma GCC system_header

// Xen's own public headers (Debian: libxen-dev), unmodified, for every structure and number of its ABI. They are C:
// this header alone includes them, as a system header, so that our warnings do not look into them.
#include <cstdint>

// Without this they describe the interface as it was before 2005.
#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#endif

#include <xen/xen.h>

#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/blkif.h>
#include <xen/io/console.h>
#include <xen/io/netif.h>
#include <xen/io/ring.h>
#include <xen/io/xenbus.h>
#include <xen/io/xs_wire.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

static_assert(__XEN_INTERFACE_VERSION__ >= 0x00040700, "an older interface was chosen on the command line");
