// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/device/random.hpp"
#include "mirage/net/neighbours.hpp"
#include "mirage/net/link_output.hpp"
#include "mirage/net/packet.hpp"
#include "mirage/net/icmp_rules.hpp"
#include "mirage/net/rate_limit.hpp"
#include "mirage/net/reassembly.hpp"
#include "mirage/net/routing.hpp"
#include "mirage/wire/arp.hpp"
#include "mirage/wire/ethernet.hpp"
#include "mirage/wire/icmpv4.hpp"
#include "mirage/wire/ipv4.hpp"
#include <algorithm>
#include <array>

namespace mirage::net {

struct address_guard;
struct further_addresses;
struct igmp;
struct static_routes;

/// What the IPv4 layer has seen since boot.
struct ipv4_statistics {
    std::uint64_t received = 0, sent = 0;
    std::uint64_t malformed = 0;        ///< header errors, bad header checksums
    std::uint64_t not_for_us = 0;       ///< addresses that RFC 1122 section 3.2.1.3 says to drop
    std::uint64_t unknown_protocol = 0; ///< no listed layer takes it
    std::uint64_t fragments = 0, unresolved = 0, unreachable = 0;
    std::uint64_t address_conflicts = 0; ///< ARP packets of others that claim our address

    static constexpr auto table() noexcept {
        using s = ipv4_statistics;
        return statistics_table{
            "ipv4_",
            statistic{&s::received, "received", "Packets received."},
            statistic{&s::sent, "sent", "Packets sent."},
            statistic{&s::malformed, "malformed", "Packets with wrong headers."},
            statistic{&s::not_for_us, "not_for_us", "Packets for others."},
            statistic{&s::unknown_protocol, "unknown_protocol", "Packets of a protocol of no layer."},
            statistic{&s::fragments, "fragments", "Fragments received."},
            statistic{&s::unresolved, "unresolved", "Packets whose neighbour did not answer ARP."},
            statistic{&s::unreachable, "unreachable", "Packets without a route."},
            statistic{&s::address_conflicts, "address_conflicts", "ARP packets of others with our address."}};
    }
};

/// IPv4 with ARP over one Ethernet interface. RFC 791, RFC 826, RFC 1122 section 3
struct ipv4 {
    static constexpr wire::ethertype ethertype = wire::ethertype::ipv4;

    template <class Stack>
    class state;
};

/// A packet that waits for its neighbour's address: all of it in one slice, from the IP header on.
struct waiting_packet {
    slice packet{};
    std::uint16_t headers = 0; ///< octets of it that are network and transport header
    std::uint16_t checksum_start = 0, checksum_offset = 0, gso_size = 0; ///< see transmit_frame
};

template <class Stack>
class ipv4::state {
    using sender = sender_of<Stack>;
    static constexpr bool guarded = Stack::template has<address_guard>;
    static constexpr bool plural = Stack::template has<further_addresses>, routed = Stack::template has<static_routes>;

    Stack& stack_;
    routing routing_{};
    /// Where datagrams are put together, and where packets wait for a neighbour: the two places that copy. RFC 1122
    /// section 3.3.2 asks for datagrams of 576 octets.
    buffer_pool datagrams_{8, 4096};
    neighbours<waiting_packet> neighbours_;
    reassembly<4> reassembly_{datagrams_};
    std::uint16_t identification_;
    ipv4_statistics statistics_{};

public:
    using loss_handler = net::loss_handler<Stack>;

private:
    using header_room = typename Stack::header_room;
    using received_packet = typename Stack::received_packet;
    static constexpr std::size_t header_size = wire::ipv4_header::size;

    struct loss_listener {
        wire::ip_protocol protocol{};
        loss_handler told = nullptr;
    };
    std::array<loss_listener, 2> loss_listeners_{}; // UDP and TCP
    void (*spread_loss_)(state&, octets, const wire::icmpv4_view*) noexcept = nullptr;

    /// See undelivered().
    static void spread_loss(state& self, octets quote, const wire::icmpv4_view* error) noexcept {
        const errc why = error == nullptr ? errc::unreachable : meaning(*error);
        const auto lost = wire::ipv4_view::parse_quote(quote);
        if (why == errc{} || !lost || !self.is_own(lost->source()) || lost->fragment_offset() != 0)
            return;
        for (const auto& l : self.loss_listeners_)
            if (l.told != nullptr && l.protocol == lost->protocol())
                l.told(self.stack_,
                       {lost->source(), lost->destination(), lost->payload(), lost->total_length(),
                        why == errc::too_large ? error->next_hop_mtu() : std::uint16_t{0}},
                       why);
    }

    /// What the neighbour cache acts through.
    struct arp_output {
        state& self;

        void transmit(const wire::arp_packet& packet, mac_address to) noexcept {
            if constexpr (guarded)
                if (self.address().is_link_local()) // RFC 3927 section 2.5: so that conflicts are seen
                    to = mac_address::broadcast();
            if constexpr (plural)
                if (packet.operation == wire::arp_operation::request) { // as one of the neighbour's own subnet
                    wire::arp_packet asking = packet;
                    asking.sender_protocol = self.source_for(packet.target_protocol);
                    return self.send_arp(to, asking);
                }
            self.send_arp(to, packet);
        }
        void resolved(waiting_packet&& w, mac_address to) noexcept {
            header_room room;
            const octets headers = w.packet.view().first(w.headers);
            std::ranges::copy(headers, room.network_header(header_size).data());
            w.packet.remove_prefix(w.headers);
            wire::ethernet_header{to, self.stack_.device().mac(), wire::ethertype::ipv4}.emit(room.link_header(header_size));
            (void)self.count(self.stack_.device().transmit({.headers = room.all(header_size, w.headers - header_size),
                                                            .payload = std::span{&w.packet, 1},
                                                            .checksum_start = w.checksum_start,
                                                            .checksum_offset = w.checksum_offset,
                                                            .gso_size = w.gso_size}));
            self.stack_.device_touched();
        }
        void failed(waiting_packet&& w, ipv4_address) noexcept {
            ++self.statistics_.unresolved;
            self.undelivered(w.packet.view(), nullptr); // as a router would say: RFC 1812 section 5.2.7.1
        }
    } arp_{*this};
    rate_limit defences_{std::chrono::seconds{10}, 1};

    struct alarm_timer : timer {
        state& self;
        explicit alarm_timer(state& s) noexcept
            : timer{[](timer& t) noexcept { static_cast<alarm_timer&>(t).self.on_time(); }}, self{s} {}
    } alarm_{*this};

public:
    /// `settings.network` are the ipv4_options.
    state(Stack& owner, const auto& settings) noexcept
        : stack_{owner}, routing_{settings.network.ipv4, settings.network.gateway},
          neighbours_{owner.device().mac()}, identification_{random_integer<std::uint16_t>(owner.random())} {
        neighbours_.configure(address());
    }
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    const ipv4_statistics& statistics() const noexcept { return statistics_; }
    /// The layer's own, those of ARP and of reassembly.
    void publish(auto& registry, const char* labels) const noexcept {
        registry.add(statistics_, labels);
        registry.add(neighbours_.count(), labels);
        registry.add(reassembly_.count(), labels);
    }
    ipv4_address address() const noexcept { return routing_.address(); }
    const routing& routes() const noexcept { return routing_; }

    /// Gives the interface another address, subnet and default router, as DHCP does, and tells the neighbours
    /// (RFC 5227 section 2.3). Unspecified: the interface has none any more.
    void configure(ipv4_prefix own, ipv4_address gateway) noexcept {
        routing_ = {own, gateway};
        neighbours_.configure(own.address);
        if constexpr (guarded)
            stack_.template get<address_guard>().adopt(own.address);
        else if (routing_.configured())
            announce();
    }

    /// Sends an ARP packet to everybody: a probe, an announcement.
    void broadcast_arp(const wire::arp_packet& packet) noexcept { send_arp(mac_address::broadcast(), packet); }

    /// Tells the neighbours who has our address. RFC 5227 section 2.3
    void announce() noexcept {
        broadcast_arp(wire::arp_packet::announcement(stack_.device().mac(), address()));
    }

    /// The interface is at another port of a switch: the neighbours' frames would still go to the old one.
    /// RFC 5227 section 2.3
    void reattached() noexcept {
        if (routing_.configured())
            announce();
    }

    /// From now on `told` hears of lost packets of `protocol`. A transport asks for it when the first of its users can
    /// be told something: an image that only answers has no code for it, hence the pointer.
    void report_losses(wire::ip_protocol protocol, loss_handler told) noexcept {
        spread_loss_ = &spread_loss;
        for (auto& l : loss_listeners_)
            if (l.told == nullptr || l.protocol == protocol) {
                l = {protocol, told};
                return;
            }
    }

    /// The packet of which `quote` is at least the beginning did not arrive, as an ICMP error says; nullptr: as we know
    /// ourselves.
    void undelivered(octets quote, const wire::icmpv4_view* error) noexcept {
        if (spread_loss_ != nullptr)
            spread_loss_(*this, quote, error);
    }

    /// The address that packets to `destination` come from; unspecified when there is no way to it.
    ipv4_address source_for(ipv4_address destination) const noexcept {
        const auto hop = route(destination);
        if constexpr (plural)
            if (hop && !routing_.is_on_link(hop->address))
                if (const ipv4_prefix* const own = stack_.template get<further_addresses>().on_link(hop->address))
                    return own->address;
        return hop ? address() : ipv4_address{};
    }

    /// Whether the interface has this address.
    bool is_own(ipv4_address a) const noexcept {
        if constexpr (plural)
            if (stack_.template get<further_addresses>().holds(a))
                return true;
        return a == address();
    }

    /// A frame whose ethertype may be one of ours. False: it is not.
    bool input(received_frame& frame, const wire::ethernet_view& ethernet) noexcept {
        switch (ethernet.type()) {
        case wire::ethertype::ipv4:
            input_packet(frame, ethernet);
            return true;
        case wire::ethertype::arp:
            input_arp(ethernet.payload());
            return true;
        default:
            return false;
        }
    }

    /// Sends one packet to `destination` whose transport header is in `room`, from `source`, which counts only where there
    /// is more than one address. errc::would_block when the device has no room, errc::unreachable without a route,
    /// errc::too_large.
    result<> transmit(header_room& room, sender source, ipv4_address destination,
                      const outgoing_packet& packet) noexcept {
        const auto hop = route(destination);
        if (!hop) [[unlikely]] {
            ++statistics_.unreachable;
            return std::unexpected(hop.error());
        }
        std::size_t length = header_size + packet.transport_length;
        for (const slice& s : packet.payload)
            length += s.size();
        if (length > 0xffff)
            return std::unexpected(errc::too_large);
        if (length > stack_.device().mtu() && packet.gso_size == 0) [[unlikely]]
            return transmit_in_pieces(*hop, room, source, destination, packet, length);
        // Atomic datagrams need no identification (RFC 6864 section 4.1); others get a new one each.
        wire::ipv4_header{.source = source.or_only(address()),
                          .destination = destination,
                          .protocol = static_cast<wire::ip_protocol>(packet.protocol),
                          .ttl = packet.ttl,
                          .dscp_ecn = Stack::marks_congestion ? packet.ecn : std::uint8_t{0},
                          .dont_fragment = packet.do_not_fragment,
                          .identification = packet.do_not_fragment ? std::uint16_t{0} : ++identification_,
                          .total_length = static_cast<std::uint16_t>(length)}
            .emit(room.network_header(header_size));
        if (hop->mac)
            return send_to(*hop->mac, room, packet);
        if (const mac_address* const mac = neighbours_.find(hop->address, stack_.now(), arp_)) [[likely]] {
            set_alarm(); // an entry that has grown old is being polled
            return send_to(*mac, room, packet);
        }
        return wait_for(hop->address, room, packet);
    }

private:
    /// Where a packet goes first: by the longest prefix among the subnets, the static routes and the default router.
    /// RFC 1122 section 3.3.1.1
    result<next_hop> route(ipv4_address destination) const noexcept {
        const auto hop = routing_.route(destination);
        if constexpr (plural || routed) {
            if (hop ? hop->mac.has_value() : hop.error() == errc::invalid_argument || !routing_.configured())
                return hop;
            int longest = routing_.is_on_link(destination) ? routing_.own().length : -1;
            if constexpr (plural) {
                const auto& further = stack_.template get<further_addresses>();
                if (further.holds(destination))
                    return std::unexpected(errc::invalid_argument);
                if (further.is_broadcast(destination))
                    return next_hop{destination, mac_address::broadcast()};
                if (const ipv4_prefix* const own = further.on_link(destination))
                    longest = std::max<int>(longest, own->length);
            }
            if constexpr (routed)
                if (const auto* const r = stack_.template get<static_routes>().find(destination);
                    r != nullptr && r->to.length > longest)
                    return next_hop{r->via.is_unspecified() ? destination : r->via, {}};
            if (longest >= 0)
                return next_hop{destination, {}};
        }
        return hop;
    }

    /// What a received packet's addresses say, further addresses included. RFC 1122 sections 3.2.1.3 and 3.3.4.2
    reception classify(ipv4_address source, ipv4_address destination, bool link_group) const noexcept {
        if constexpr (plural) {
            const auto& further = stack_.template get<further_addresses>();
            if (further.holds(source) || further.is_broadcast(source))
                return reception::discard;
            if (further.holds(destination) && routing_.configured()) // as what is sent to the first
                return routing_.classify(source, address(), link_group);
            if (further.is_broadcast(destination) && routing_.configured() && !source.is_unspecified())
                return routing_.classify(source, ipv4_address::broadcast(), link_group);
        }
        return routing_.classify(source, destination, link_group);
    }

    result<> send_to(mac_address to, header_room& room, const outgoing_packet& packet) noexcept {
        return send_on_link(stack_, room, header_size, to, ethertype, packet, statistics_.sent);
    }

    result<> count(result<> sent) noexcept {
        if (sent)
            ++statistics_.sent;
        return sent;
    }

    /// RFC 791 section 3.2, RFC 1122 section 3.3.3. For packets whose checksum is done and whose neighbour is known:
    /// only ICMP echo replies become this long.
    [[gnu::noinline, gnu::cold]] result<> transmit_in_pieces(const next_hop& hop, header_room& room,
                                                             sender source,
                                                             ipv4_address destination, const outgoing_packet& packet,
                                                             std::size_t length) noexcept {
        const mac_address* const mac = hop.mac ? &*hop.mac : neighbours_.find(hop.address, stack_.now(), arp_);
        if (packet.do_not_fragment || packet.checksum_offload || mac == nullptr)
            return std::unexpected(packet.do_not_fragment ? errc::too_large : errc::unreachable);
        const mac_address to = *mac;
        const std::size_t most = (stack_.device().mtu() - header_size) / 8 * 8;
        const std::size_t total = length - header_size;
        ++identification_;
        for (std::size_t offset = 0; offset < total;) {
            const std::size_t size = std::min(most, total - offset);
            const std::size_t header = offset == 0 ? packet.transport_length : 0; // it travels with the first piece
            std::array<slice, transmit_frame::max_fragments> parts;
            std::size_t count = 0, skip = offset + header - packet.transport_length, left = size - header;
            for (const slice& s : packet.payload) {
                const std::size_t passed = std::min(skip, s.size());
                skip -= passed;
                if (left == 0 || passed == s.size())
                    continue;
                parts[count] = s.share(passed, left);
                left -= parts[count++].size();
            }
            wire::ipv4_header{.source = source.or_only(address()),
                              .destination = destination,
                              .protocol = static_cast<wire::ip_protocol>(packet.protocol),
                              .ttl = packet.ttl,
                              .dont_fragment = false,
                              .more_fragments = offset + size < total,
                              .identification = identification_,
                              .fragment_offset = static_cast<std::uint16_t>(offset),
                              .total_length = static_cast<std::uint16_t>(header_size + size)}
                .emit(room.network_header(header_size));
            const auto sent = send_to(to, room, {.transport_length = header, .payload = std::span{parts}.first(count)});
            if (!sent)
                return sent;
            offset += size;
        }
        return {};
    }

    void input_packet(received_frame& frame, const wire::ethernet_view& ethernet) noexcept {
        ++statistics_.received;
        const auto view = wire::ipv4_view::parse(ethernet.payload());
        if (!view) {
            ++statistics_.malformed;
            return;
        }
        const reception how = classify(view->source(), view->destination(), ethernet.destination().is_group());
        if (how == reception::discard || view->has_source_route()) { // RFC 1122 section 3.2.1.8 (c): not for a host
            ++statistics_.not_for_us;
            return;
        }
        if constexpr (Stack::template has<igmp>)
            if (how == reception::multicast && !stack_.template get<igmp>().groups().is_member(view->destination())) {
                ++statistics_.not_for_us; // RFC 1112 section 7.2
                return;
            }
        if (view->is_fragment()) {
            take_fragment(*view, how);
            return;
        }
        deliver(*view, how, std::move(frame.data), frame.checksum_verified);
    }

    /// Hands on what `packet`, the memory that `view` reads, carries.
    void deliver(const wire::ipv4_view& view, reception how, slice&& data, bool checksum_verified) noexcept {
        received_packet packet{.network_header = view.header(),
                               .source = view.source(),
                               .destination = view.destination(),
                               .protocol = static_cast<std::uint8_t>(view.protocol()),
                               .ttl = view.ttl(),
                               .unicast = how == reception::unicast,
                               .checksum_verified = checksum_verified};
        // Before there is an address, only the DHCP client listens, and it is UDP (RFC 2131 section 4.1).
        if (how == reception::unconfigured && view.protocol() != wire::ip_protocol::udp) {
            ++statistics_.not_for_us;
            return;
        }
        const octets payload = view.payload();
        packet.may_report = may_send_error(view, how);
        packet.data = std::move(data);
        packet.data.remove_prefix(static_cast<std::size_t>(payload.data() - packet.data.data()));
        packet.data.remove_suffix(packet.data.size() - payload.size());
        deliver(packet);
    }

    /// A piece of a datagram. RFC 791 section 3.2, RFC 1122 section 3.3.2
    void take_fragment(const wire::ipv4_view& piece, reception how) noexcept {
        ++statistics_.fragments;
        auto whole = reassembly_.add(piece, stack_.now());
        set_alarm();
        if (!whole)
            return;
        // Its header was mended by us, and no device has seen it whole: the transport's checksum is still to verify.
        if (const auto view = wire::ipv4_view::parse(whole->view()))
            deliver(*view, how, std::move(*whole), false);
    }

    void deliver(received_packet& packet) noexcept {
        if (stack_.deliver(packet))
            return;
        ++statistics_.unknown_protocol;
        if constexpr (Stack::has_icmp) // RFC 1122 section 3.2.2.1
            stack_.icmp().unreachable(packet, wire::unreachable_code::protocol);
    }

    /// Keeps a packet until its neighbour has answered. Success: it may still be lost, as on any link.
    [[gnu::noinline, gnu::cold]] result<> wait_for(ipv4_address hop, const header_room& room,
                                                   const outgoing_packet& packet) noexcept {
        page room_to_wait = datagrams_.take();
        const octets headers = room.all(header_size, packet.transport_length).subspan(header_room::link);
        std::size_t length = headers.size();
        for (const slice& s : packet.payload)
            length += s.size();
        if (!room_to_wait || length > room_to_wait.room().size()) {
            ++statistics_.unresolved;
            neighbours_.solicit(hop, stack_.now(), arp_);
            set_alarm();
            return {};
        }
        std::byte* at = std::ranges::copy(headers, room_to_wait.room().data()).out;
        for (const slice& s : packet.payload)
            at = std::ranges::copy(s.view(), at).out;
        waiting_packet waiting{.packet = std::move(room_to_wait).freeze(0, length),
                               .headers = static_cast<std::uint16_t>(headers.size())};
        if (packet.checksum_offload) {
            waiting.checksum_start = header_room::link + header_size;
            waiting.checksum_offset = packet.checksum_offset;
            waiting.gso_size = packet.gso_size;
        }
        neighbours_.resolve(hop, std::move(waiting), stack_.now(), arp_);
        set_alarm();
        return {};
    }

    void input_arp(octets raw) noexcept {
        const auto packet = wire::arp_view::parse(raw);
        if (!packet) {
            ++statistics_.malformed;
            return;
        }
        if (routing_.configured() && packet->sender_protocol() == address()
            && packet->sender_hardware() != stack_.device().mac())
            defend();
        if constexpr (guarded)
            stack_.template get<address_guard>().receive(*packet);
        if constexpr (plural) {
            auto& further = stack_.template get<further_addresses>();
            if (further.holds(packet->sender_protocol())) {
                if (packet->sender_hardware() != stack_.device().mac()) {
                    ++statistics_.address_conflicts;
                    if (defences_.take(stack_.now())) // RFC 5227 section 2.4 (b)
                        further.announce(packet->sender_protocol());
                }
                return;
            }
            if (further.holds(packet->target_protocol())) {
                neighbours_.receive(*packet, stack_.now(), arp_, packet->target_protocol());
                set_alarm();
                return stack_.device_touched();
            }
        }
        neighbours_.receive(*packet, stack_.now(), arp_);
        set_alarm();
        stack_.device_touched();
    }

    /// Somebody else claims our address: say whose it is, at most once in 10 s (RFC 5227 section 2.4 (b)).
    void defend() noexcept {
        ++statistics_.address_conflicts;
        if constexpr (!guarded) // who does it better
            if (defences_.take(stack_.now()))
                announce();
    }

    void send_arp(mac_address to, const wire::arp_packet& packet) noexcept {
        std::array<std::byte, wire::ethernet_header::size + wire::arp_packet::size> frame;
        wire::ethernet_header{to, stack_.device().mac(), wire::ethertype::arp}.emit(frame);
        packet.emit(mutable_octets{frame}.subspan(wire::ethernet_header::size));
        (void)stack_.device().transmit({.headers = frame});
        stack_.device_touched();
    }

    void set_alarm() noexcept {
        const instant due = std::min(neighbours_.next_deadline(), reassembly_.next_deadline());
        if (due != never && (!alarm_.armed() || due < alarm_.deadline()))
            stack_.loop().arm(alarm_, due);
    }

    void on_time() noexcept {
        neighbours_.on_time(stack_.now(), arp_);
        reassembly_.on_time(stack_.now(), [&](octets quote) {
            if constexpr (Stack::has_icmp)
                if (const auto view = wire::ipv4_view::parse_quote(quote))
                    stack_.icmp().reassembly_timed_out(*view);
        });
        set_alarm();
    }
};

} // namespace mirage::net
