// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/statistics.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/wire/vlan.hpp"
#include <array>
#include <cstring>

namespace mirage::net {

/// What a vlan counts. What its lower device does is exported by itself: `registry.add(lower)`.
struct vlan_statistics {
    std::uint64_t foreign = 0;

    static constexpr auto table() noexcept {
        return statistics_table{"vlan_", statistic{&vlan_statistics::foreign, "foreign", "Frames with another tag or none."}};
    }
};

/// NETIF: one virtual LAN on a NETIF whose frames carry tags. IEEE 802.1Q-2018 section 9
///
/// What is sent gets the tag: headers are copied with it, payload stays where it is. What is received loses it: the two
/// addresses move up by four octets, in the frame's own memory. Frames without this tag are dropped and counted, also
/// those with a priority alone. A vlan over a vlan sends two tags: the lower one is then a service_vlan.
///
/// `Lower` is received from and configured here alone, and lives longer. Checksums and segments of what is sent are
/// not left to it, because what is below finds the headers of a tagged frame in another place or not at all. What it
/// says of received frames holds without the tag as well.
template <netif Lower>
class vlan {
    Lower& lower_;
    wire::vlan_tag tag_;
    vlan_statistics statistics_{};

    static constexpr unsigned max_rounds = 16; ///< bursts of others' frames before the loop gets its turn

    /// Takes the tag off. False: the frame is not one of ours.
    bool untag(received_frame& frame) noexcept {
        const octets all = frame.data.view();
        const auto tag = wire::vlan_tag::parse(all, tag_.protocol);
        const buffer* const memory = frame.data.owner();
        if (!tag || tag->id != tag_.id || memory == nullptr)
            return false;
        std::byte* const at = memory->data + (all.data() - memory->data);
        std::memmove(at + wire::vlan_tag::size, at, wire::vlan_tag::at);
        frame.data.remove_prefix(wire::vlan_tag::size);
        return true;
    }

public:
    static constexpr offload capabilities{.rx_checksum = Lower::capabilities.rx_checksum, .gro = Lower::capabilities.gro};

    /// `tag` is what every frame gets; only its protocol and id matter for those that come.
    constexpr vlan(Lower& lower, const wire::vlan_tag& tag) noexcept : lower_{lower}, tag_{tag} {
        check(tag.id >= 1 && tag.id <= wire::vlan_tag::max_id && tag.priority < 8, "vlan: no such tag");
    }
    vlan(const vlan&) = delete;
    vlan& operator=(const vlan&) = delete;

    mac_address mac() const noexcept { return lower_.mac(); }
    /// The tag takes its room from the packet: a device of 1500 octets carries 1496 in a VLAN.
    std::size_t mtu() const noexcept { return lower_.mtu() - wire::vlan_tag::size; }
    offload offloads() const noexcept {
        const offload below = lower_.offloads();
        return {.rx_checksum = below.rx_checksum, .gro = below.gro};
    }
    event& readable() noexcept { return lower_.readable(); }
    const buffer_pool& receive_pool() const noexcept { return lower_.receive_pool(); }
    void flush() noexcept { lower_.flush(); }

    std::size_t receive(std::span<received_frame> burst) noexcept {
        for (unsigned round = 0; round < max_rounds; ++round) {
            const std::size_t came = lower_.receive(burst);
            if (came == 0)
                return 0;
            std::size_t kept = 0;
            for (received_frame& frame : burst.first(came)) {
                if (!untag(frame)) {
                    ++statistics_.foreign;
                    frame.data.reset();
                } else if (received_frame& to = burst[kept++]; &to != &frame) {
                    to = std::move(frame);
                }
            }
            if (kept != 0)
                return kept;
        }
        lower_.readable().set(); // there may be more behind what others were sent
        return 0;
    }

    /// As NETIF says; errc::too_large also for more than 252 octets of headers.
    result<> transmit(const transmit_frame& frame) noexcept {
        std::array<std::byte, 256> headers;
        const std::size_t size = frame.headers.size() + wire::vlan_tag::size;
        if (size > headers.size())
            return std::unexpected(errc::too_large);
        check(frame.headers.size() >= wire::ethernet_header::size, "vlan: the Ethernet header is not in the headers");
        check(frame.checksum_start == 0 && frame.gso_size == 0, "vlan: something was left to a device that does not do it");
        constexpr std::size_t at = wire::vlan_tag::at;
        std::memcpy(headers.data(), frame.headers.data(), at);
        tag_.emit(mutable_octets{headers}.subspan(at));
        std::memcpy(headers.data() + at + wire::vlan_tag::size, frame.headers.data() + at, frame.headers.size() - at);
        return lower_.transmit({.headers = octets{headers}.first(size), .payload = frame.payload});
    }

    unsigned attachments() const noexcept
        requires reattachable<Lower>
    {
        return lower_.attachments();
    }
    void hear(mac_address group) noexcept
        requires group_filtering<Lower>
    {
        lower_.hear(group);
    }
    void ignore(mac_address group) noexcept
        requires group_filtering<Lower>
    {
        lower_.ignore(group);
    }

    const wire::vlan_tag& tag() const noexcept { return tag_; }
    /// Frames that were dropped because they have another tag or none.
    std::uint64_t foreign() const noexcept { return statistics_.foreign; }
    const vlan_statistics& statistics() const noexcept { return statistics_; }
};

} // namespace mirage::net
