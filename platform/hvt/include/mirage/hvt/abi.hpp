// SPDX-License-Identifier: MIT
//
// The Solo5 hvt ABI, version 2, with the shared network ring: every structure that guest and tender exchange.
// Both sides include this; it needs nothing but <cstdint>. All integers are little-endian, all addresses are
// guest-physical (which is what the guest sees, too) and are numbers here, so that no side follows one unchecked.
#pragma once
#include "mirage/hvt/layout.h"
#include <cstddef>
#include <cstdint>

namespace mirage::hvt::abi {

/// What the entry point gets the address of.
struct boot_info {
    std::uint64_t mem_size = 0;       ///< octets of RAM from address 0; the ring is behind them
    std::uint64_t kernel_end = 0;     ///< the end of the last loaded segment that has file content
    std::uint64_t cpu_cycle_freq = 0; ///< of the TSC, in Hz
    std::uint64_t cmdline = 0;        ///< a NUL-terminated text
    std::uint64_t mft = 0;            ///< struct manifest, filled in
    std::uint32_t host_features = 0;
    std::uint32_t guest_features = 0; ///< always 0
    std::uint64_t net_ring = 0;       ///< struct net_ring; 0: none
};
static_assert(offsetof(boot_info, mem_size) == BOOT_INFO_MEM_SIZE);
static_assert(offsetof(boot_info, host_features) == BOOT_INFO_HOST_FEATURES);
static_assert(offsetof(boot_info, net_ring) == BOOT_INFO_NET_RING);
static_assert(sizeof(boot_info) == 56);

/// What a hypercall returns in `ret`, and a ring commit.
enum class status : std::int32_t { ok = 0, again = 1, invalid = 2, unspecified = 3 };

// Hypercall arguments. (in) is written by the guest, (out) by the tender.

struct walltime {
    std::uint64_t nsecs = 0; ///< (out) UTC, since the Unix epoch
};
struct puts {
    std::uint64_t data = 0, len = 0; ///< (in)
};
struct poll {
    std::uint64_t timeout_nsecs = 0; ///< (in) relative
    std::uint64_t ready_set = 0;     ///< (out) bit h: network device h has input
    std::int32_t ret = 0;            ///< (out) the number of ready devices
};
struct block_transfer {
    std::uint64_t handle = 0, offset = 0, data = 0, len = 0; ///< (in) octets
    status ret = status::ok;                                 ///< (out)
};
struct net_transfer {
    std::uint64_t handle = 0, data = 0; ///< (in)
    std::uint64_t len = 0;              ///< (in) octets of the buffer or frame; (out) of NET_READ: of the frame
    status ret = status::ok;            ///< (out)
};
struct halt {
    std::uint64_t cookie = 0;     ///< (in) 0 or the address of at least 512 readable octets
    std::int32_t exit_status = 0; ///< (in) of the tender; 255: abort
};
static_assert(sizeof(poll) == 24 && sizeof(block_transfer) == 40 && sizeof(net_transfer) == 32 && sizeof(halt) == 16);

/// What HALT's cookie points to after a fault.
struct trap_registers {
    std::uint64_t cr2 = 0, error_code = 0, rip = 0, cs = 0, rflags = 0, rsp = 0, ss = 0;
};

/// The same, and more for a tender that knows `magic`: 512 octets, as many as a cookie always has.
struct fault_report {
    static constexpr std::uint64_t magic_value = 0x544c554146474d31; ///< "1MGFAULT" in memory
    static constexpr std::uint64_t panic_vector = ~std::uint64_t{0};
    trap_registers registers{};
    std::uint64_t magic = magic_value;
    std::uint64_t vector = 0;       ///< of the exception; panic_vector: the guest gave up by itself
    std::uint64_t general[15]{};    ///< r15 ... r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
    std::uint64_t depth = 0;        ///< how many of `frames` hold something
    std::uint64_t frames[39]{};     ///< return addresses, innermost first
};
static_assert(sizeof(fault_report) == 512 && offsetof(fault_report, magic) == 56);

// The manifest: in the image as a note, in low memory as the copy that the tender has filled in.

enum class device_type : std::uint32_t { block = 1, net = 2, reserved_first = 0x40000000 };

struct manifest_entry {
    char name[68]{};            ///< NUL-terminated
    device_type type{};
    union {
        std::uint64_t capacity = 0; ///< block: octets
        struct {
            std::uint8_t mac[6];
            std::uint16_t mtu;  ///< without the 14 octets of Ethernet
        } net;
    };
    std::uint16_t block_size = 0;
    std::int64_t host_fd = 0;   ///< the tender's own; 0 in an image
    bool attached = false;
    bool offloads = false;      ///< net, ours alone: ring_offload is understood
    std::uint8_t padding[6]{};
};
static_assert(sizeof(manifest_entry) == 104 && offsetof(manifest_entry, type) == 68);
static_assert(offsetof(manifest_entry, capacity) == 72 && offsetof(manifest_entry, block_size) == 80);
static_assert(offsetof(manifest_entry, host_fd) == 88 && offsetof(manifest_entry, attached) == 96);

inline constexpr std::uint32_t manifest_version = 1;
inline constexpr std::size_t manifest_max_entries = 64; ///< the first is reserved; a handle is an index

struct manifest {
    std::uint32_t version = manifest_version;
    std::uint32_t entries = 0;
    // manifest_entry[entries] follow
};

/// In front of a note's payload: an ELF note with the name "Solo5".
struct note_header {
    std::uint32_t name_size = 6, payload_size = 0, type = 0;
    char name[8] = {'S', 'o', 'l', 'o', '5', 0, 0, 0};
};
inline constexpr std::uint32_t note_abi = 0x31494241, note_manifest = 0x3154464d;

struct abi_note {
    note_header header{.payload_size = 16, .type = note_abi};
    std::uint32_t target = 1, version = 2, reserved[2]{};
};

template <std::size_t Entries>
struct manifest_note {
    note_header header{.payload_size = 12 + 104 * Entries, .type = note_manifest};
    std::uint32_t padding = 0; ///< counts as payload: aligns what follows to 8
    manifest head{.entries = Entries};
    manifest_entry entry[Entries]{};
};

// The network ring.

inline constexpr std::uint32_t ring_slots = 1024; ///< a power of two; at most one less may be outstanding

enum class ring_op : std::uint32_t { net_write = 1, net_read = 2 };

/// What a frame leaves to the other side. It lies where the ABI reserves octets, and is ours alone: only a device whose
/// manifest_entry::offloads is set reads it. The words are those of VIRTIO 1.1 section 5.1.6; all 0 leaves nothing.
struct ring_offload {
    static constexpr std::uint8_t needs_checksum = 1, data_valid = 2; // flags
    static constexpr std::uint8_t no_segments = 0, tcp_ipv4 = 1;      // segmentation

    std::uint8_t flags = 0;
    std::uint8_t segmentation = 0;
    std::uint16_t segment_size = 0;    ///< TCP payload octets
    std::uint16_t checksum_start = 0;  ///< from the start of the frame
    std::uint16_t checksum_offset = 0; ///< from checksum_start
};

struct ring_entry {
    ring_op op{};
    std::uint32_t handle = 0;
    std::uint64_t data = 0;
    std::uint32_t len = 0;
    std::uint32_t id = 0; ///< comes back in the commit
    ring_offload offload{};
};
static_assert(sizeof(ring_offload) == 8 && sizeof(ring_entry) == 32);

/// Of a net_read; a net_write has none.
struct ring_commit {
    std::uint32_t id = 0;
    status ret{};
    std::uint32_t len = 0;
    std::uint8_t flags = 0, reserved = 0; ///< as in ring_offload, and so is
    std::uint16_t segment_size = 0;       ///< this; 0: one segment
};
static_assert(sizeof(ring_commit) == 16);

/// Indices run freely; slot = index % ring_slots. Each side writes its own cache line only.
struct net_ring {
    std::uint32_t ent_tail, com_head; ///< written by the guest
    std::uint64_t takes_unfinished;   ///< bit h: device h may hand up frames whose checksum is not finished (ours alone)
    std::uint64_t takes_joined;       ///< bit h: and joined TCP segments, up to 64 KiB (ours alone)
    std::uint8_t padding_guest[40];
    std::uint32_t ent_head, com_tail; ///< written by the tender
    std::uint32_t needs_kick;         ///< by the tender: about to sleep, kick after the next entry
    std::uint8_t padding_tender[52];
    ring_entry entry[ring_slots];
    ring_commit commit[ring_slots];
};
static_assert(offsetof(net_ring, ent_head) == 64 && offsetof(net_ring, entry) == 128);
static_assert(offsetof(net_ring, commit) == 32896 && sizeof(net_ring) == NET_RING_SIZE);

} // namespace mirage::hvt::abi
