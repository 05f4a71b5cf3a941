// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/address.hpp"
#include "mirage/core/buffer.hpp"
#include "mirage/core/errc.hpp"
#include "mirage/core/event.hpp"
#include <concepts>
#include <span>

namespace mirage {

/// What a network interface does in the stack's stead.
struct offload {
    bool tx_checksum = false;        ///< completes a TCP or UDP checksum (transmit_frame::checksum_start)
    bool rx_checksum = false;        ///< may set received_frame::checksum_verified
    std::uint32_t tso_size = 0;      ///< largest TCP packet it will segment, IP header included; 0: none
    bool gro = false;                ///< may hand up TCP segments joined into one packet (received_frame::gso_size)
    bool ipv6 = false;               ///< tx_checksum and tso_size hold for IPv6, too; without it for IPv4 alone
};

/// One Ethernet frame as it came in, in the device's own memory.
struct received_frame {
    slice data{};                    ///< from the destination MAC address on; no FCS
    bool checksum_verified = false;  ///< the transport checksum is known to be right
    std::uint16_t gso_size = 0;      ///< payload octets of each segment that was joined into this; 0: one segment
};

/// One Ethernet frame to go out: `headers`, then the octets of each slice of `payload` in order.
struct transmit_frame {
    octets headers{};                   ///< link, network and transport headers; contiguous; at most 256 octets
    std::span<const slice> payload{};   ///< at most transmit_frame::max_fragments slices
    /// 0: every checksum is done. Otherwise the offset in octets, from the start of the frame, where the transport
    /// header begins; its checksum field (at + checksum_offset) holds the folded pseudo-header sum, uncomplemented.
    std::uint16_t checksum_start = 0;
    std::uint16_t checksum_offset = 0;
    std::uint16_t gso_size = 0;         ///< TCP payload octets per segment; 0: send as one frame. Needs checksum_start

    static constexpr std::size_t max_fragments = 40;

    std::size_t size() const noexcept {
        std::size_t total = headers.size();
        for (const slice& s : payload)
            total += s.size();
        return total;
    }
};

namespace netif_requires {

template <class D>
concept mac = requires(const D dev) {
    { dev.mac() } noexcept -> std::same_as<mac_address>;
};
template <class D>
concept mtu = requires(const D dev) {
    { dev.mtu() } noexcept -> std::same_as<std::size_t>;
};
template <class D>
concept offloads = requires(const D dev) {
    { D::capabilities } -> std::convertible_to<offload>;
    { dev.offloads() } noexcept -> std::same_as<offload>;
};
template <class D>
concept receive = requires(D dev, std::span<received_frame> burst) {
    { dev.receive(burst) } noexcept -> std::same_as<std::size_t>;
};
template <class D>
concept transmit = requires(D dev, const transmit_frame& frame) {
    { dev.transmit(frame) } noexcept -> std::same_as<result<>>;
};
template <class D>
concept flush = requires(D dev) {
    { dev.flush() } noexcept -> std::same_as<void>;
};
template <class D>
concept readable = requires(D dev) {
    { dev.readable() } noexcept -> std::same_as<event&>;
};
template <class D>
concept pool = requires(D dev) {
    { dev.receive_pool() } noexcept -> std::same_as<const buffer_pool&>;
};

} // namespace netif_requires

/// NETIF: an Ethernet interface that hands up frames in its own memory and gathers what it sends.
///
/// `dev.receive(burst)`   overwrites up to burst.size() elements with frames that have arrived and returns how
///                        many. Each frame's slice owns its memory: the device cannot reuse it before the slice
///                        and all its shares are gone. 0: nothing is there now. Costs little when nothing is.
/// `dev.transmit(frame)`  sends or queues one frame. The headers and the span are the caller's again on return;
///                        a device that needs payload longer takes a share() of the slices. Frames leave in
///                        order. errc::would_block when its queue is full (nothing was sent), errc::too_large
///                        over mtu() + 14 (over the offloads' limit with gso_size), errc::io when the link is down.
/// `dev.flush()`          everything transmitted so far is on its way; call it once per burst, not per frame.
/// `dev.readable()`       set by the platform when receive() may return more than 0 again.
/// `dev.mac()`, `mtu()`   own address; largest IP packet in octets, the 14-octet Ethernet header is extra.
/// `D::capabilities`      the most that this type ever offloads: what is false here is compiled away above.
/// `dev.offloads()`       what this device does offload: settled when it was opened, within the capabilities.
/// `dev.receive_pool()`   where the frames' memory comes from: whoever keeps slices watches available().
///
/// Nothing here blocks or throws; receive and transmit do not allocate.
template <class D>
concept netif = netif_requires::mac<D> && netif_requires::mtu<D> && netif_requires::offloads<D>
                && netif_requires::receive<D> && netif_requires::transmit<D> && netif_requires::flush<D>
                && netif_requires::readable<D> && netif_requires::pool<D>;

/// A NETIF that can find itself at another port of the network while it is used, because the guest moved or its backend
/// was replaced.
///
/// `dev.attachments()`    how often that has been so, the first time included; readable() is set then, too.
template <class D>
concept reattachable = netif<D> && requires(const D dev) {
    { dev.attachments() } noexcept -> std::same_as<unsigned>;
};

/// A NETIF that can keep frames back that are for Ethernet groups nobody here wants, so that they wake nobody up.
///
/// `dev.hear(group)`      one more user of `group`. From the first call on, frames of other groups may be kept back.
/// `dev.ignore(group)`    one user less.
template <class D>
concept group_filtering = netif<D> && requires(D dev, mac_address group) {
    { dev.hear(group) } noexcept -> std::same_as<void>;
    { dev.ignore(group) } noexcept -> std::same_as<void>;
};

} // namespace mirage
