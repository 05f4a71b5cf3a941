// SPDX-License-Identifier: MIT
#pragma once
// IPv6 over one Ethernet interface. Packets in and out, and ICMPv6, are here; Neighbour Discovery is in ndp_host.hpp.
#include "mirage/core/statistics.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/device/random.hpp"
#include "mirage/net/ipv6_options.hpp"
#include "mirage/net/ndp_host.hpp"
#include "mirage/net/link_output.hpp"
#include "mirage/net/packet.hpp"
#include "mirage/net/rate_limit.hpp"
#include "mirage/net/reassembly.hpp"
#include "mirage/wire/ethernet.hpp"
#include "mirage/wire/ipv4.hpp"
#include "mirage/wire/ipv6_extensions.hpp"
#include <algorithm>
#include <array>

namespace mirage::net {

/// What the IPv6 layer has seen since boot.
struct ipv6_statistics {
    std::uint64_t received = 0, sent = 0;
    std::uint64_t malformed = 0;        ///< headers, extension headers, ICMPv6 messages
    std::uint64_t not_for_us = 0;
    std::uint64_t unknown_protocol = 0; ///< no listed layer takes it
    std::uint64_t fragments = 0, unresolved = 0, unreachable = 0;
    std::uint64_t echo_replies = 0, errors_sent = 0, errors_suppressed = 0, errors_received = 0;

    static constexpr auto table() noexcept {
        using s = ipv6_statistics;
        return statistics_table{
            "ipv6_",
            statistic{&s::received, "received", "Packets received."},
            statistic{&s::sent, "sent", "Packets sent."},
            statistic{&s::malformed, "malformed", "Packets with wrong headers."},
            statistic{&s::not_for_us, "not_for_us", "Packets for others."},
            statistic{&s::unknown_protocol, "unknown_protocol", "Packets of a protocol of no layer."},
            statistic{&s::fragments, "fragments", "Fragments received."},
            statistic{&s::unresolved, "unresolved", "Packets whose neighbour did not answer."},
            statistic{&s::unreachable, "unreachable", "Packets without a route."},
            statistic{&s::echo_replies, "echo_replies", "Echo requests answered."},
            statistic{&s::errors_sent, "errors_sent", "ICMPv6 errors sent."},
            statistic{&s::errors_suppressed, "errors_suppressed", "Errors not sent: limited, or not allowed."},
            statistic{&s::errors_received, "errors_received", "ICMPv6 errors received."}};
    }
};

/// IPv6 with ICMPv6 and Neighbour Discovery over one Ethernet interface. RFC 8200, RFC 4443, RFC 4861, RFC 4862
struct ipv6 {
    static constexpr wire::ethertype ethertype = wire::ethertype::ipv6;

    template <class Stack>
    class state;
};

template <class Stack>
class ipv6::state {
    using header_room = typename Stack::header_room;
    using received_packet = typename Stack::received_packet;
    using discovery = ndp_host<state>;
    friend discovery;
    static constexpr std::size_t header_size = wire::ipv6_header::size;

    Stack& stack_;
    /// Where packets are put together, and where they wait for a neighbour. RFC 8200 section 5 asks for 1500 octets.
    buffer_pool packets_{8, 4096};
    reassembly<4, ipv6_fragments> reassembly_{packets_};
    rate_limit errors_{std::chrono::milliseconds{10}, 20}; ///< RFC 4443 section 2.4 (f)
    rate_limit group_echoes_{std::chrono::milliseconds{100}, 10};
    std::uint32_t identification_;
    ipv6_statistics statistics_{};

    struct loss_listener {
        wire::ip_protocol protocol{};
        loss_handler<Stack> told = nullptr;
    };
    std::array<loss_listener, 2> loss_listeners_{};
    discovery discovery_;

    struct alarm_timer : timer {
        state& self;
        explicit alarm_timer(state& s) noexcept
            : timer{[](timer& t) noexcept { static_cast<alarm_timer&>(t).self.on_time(); }}, self{s} {}
    } alarm_{*this};

public:
    /// `settings.ipv6` are the ipv6_options. Begins to look for addresses and routers when the stack first runs.
    state(Stack& owner, const auto& settings) noexcept
        : stack_{owner}, identification_{random_integer<std::uint32_t>(owner.random())}, discovery_{*this, settings.ipv6} {
        set_alarm();
    }
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    const ipv6_statistics& statistics() const noexcept { return statistics_; }
    /// The layer's own, those of Neighbour Discovery and of reassembly.
    void publish(auto& registry, const char* labels) const noexcept {
        registry.add(statistics_, labels);
        registry.add(discovery_.statistics(), labels);
        registry.add(discovery_.neighbours().count(), labels);
        registry.add(reassembly_.count(), labels);
    }
    const discovery& host() const noexcept { return discovery_; }
    const ipv6_addresses& addresses() const noexcept { return discovery_.addresses(); }

    /// The interface is at another port of a switch, perhaps of another network.
    void reattached() noexcept {
        discovery_.reattached();
        set_alarm();
    }

    /// An address that the host was leased, or for longer. False: there is no room for it.
    bool assign(const ipv6_address& address, instant preferred, instant valid) noexcept {
        const bool done = discovery_.assign(address, preferred, valid, 128); // RFC 8415: no prefix comes with it
        set_alarm();
        return done;
    }
    /// The address is not ours any more.
    void withdraw(const ipv6_address& address) noexcept {
        discovery_.withdraw(address);
        set_alarm();
    }

    /// From now on `told` hears of lost packets of `protocol`.
    void report_losses(wire::ip_protocol protocol, loss_handler<Stack> told) noexcept {
        for (auto& l : loss_listeners_)
            if (l.told == nullptr || l.protocol == protocol) {
                l = {protocol, told};
                return;
            }
    }

    /// The address that packets to `destination` come from; unspecified when there is no way to it.
    ipv6_address source_for(const ipv6_address& destination) noexcept {
        const instant now = stack_.now();
        if (!discovery_.next_hop(destination, now))
            return {};
        if constexpr (Stack::template has<temporary_addresses>)
            return addresses().source_for(destination, now, [this](const ipv6_address& a) {
                return stack_.template get<temporary_addresses>().is_temporary(a);
            });
        else
            return addresses().source_for(destination, now);
    }
    /// How long a packet to `destination` may be, in octets. RFC 8201
    std::size_t path_mtu(const ipv6_address& destination) noexcept {
        return discovery_.routes().mtu(destination, discovery_.link_mtu(), stack_.now());
    }

    bool input(received_frame& frame, const wire::ethernet_view& ethernet) noexcept {
        if (ethernet.type() != wire::ethertype::ipv6)
            return false;
        ++statistics_.received;
        if (const auto view = wire::ipv6_view::parse(ethernet.payload()))
            input_packet(*view, std::move(frame.data), ethernet.destination().is_group(), frame.checksum_verified, true);
        else
            ++statistics_.malformed;
        return true;
    }

    /// Sends one packet whose transport header is in `room`. errc::would_block when the device has no room,
    /// errc::unreachable without a route or address, errc::too_large.
    result<> transmit(header_room& room, const ipv6_address& source, const ipv6_address& destination,
                      const outgoing_packet& packet) noexcept {
        const auto hop = discovery_.next_hop(destination, stack_.now());
        if (!hop || source.is_unspecified()) [[unlikely]] {
            ++statistics_.unreachable;
            return std::unexpected(errc::unreachable);
        }
        std::size_t length = packet.transport_length;
        for (const slice& s : packet.payload)
            length += s.size();
        if (length > 0xffff)
            return std::unexpected(errc::too_large);
        if (packet.gso_size == 0 && header_size + length > path_mtu(destination)) [[unlikely]]
            return transmit_in_pieces(*hop, room, source, destination, packet, length);
        header_for(source, destination, packet, length).emit(room.network_header(header_size));
        return hand_on(*hop, room, packet);
    }

    /// Tells the sender of `packet` that nobody listens at its port. RFC 4443 section 3.1
    void port_unreachable(const received_packet& packet) noexcept {
        report(packet, {wire::icmpv6_type::destination_unreachable,
                        static_cast<std::uint8_t>(wire::icmpv6_unreachable::port)});
    }

private:
    /// Is what is sent to this group for us?
    bool hears(const ipv6_address& group) const noexcept {
        if constexpr (Stack::template has<mld>)
            if (stack_.template get<mld>().groups().is_listener(group))
                return true;
        return addresses().hears(group);
    }

    wire::ipv6_header header_for(const ipv6_address& source, const ipv6_address& destination,
                                 const outgoing_packet& packet, std::size_t length) const noexcept {
        // RFC 3493 section 5.2: what is sent to a group does not leave the link, unless its sender says so
        constexpr bool said = Stack::template has<mld>;
        const std::uint8_t to_group = said ? packet.ttl : std::uint8_t{1};
        const std::uint8_t usual = destination.is_multicast() ? to_group : discovery_.hop_limit();
        return {.source = source,
                .destination = destination,
                .next = wire::next_header{packet.protocol},
                .hop_limit = packet.ttl != outgoing_packet{}.ttl ? packet.ttl : usual,
                .traffic_class = Stack::marks_congestion ? packet.ecn : std::uint8_t{0},
                .payload_length = static_cast<std::uint16_t>(length)};
    }

    result<> hand_on(const ipv6_address& hop, header_room& room, const outgoing_packet& packet) noexcept {
        if (hop.is_multicast())
            return send_to(discovery::group_mac(hop), room, packet);
        if (const mac_address* const mac = discovery_.find(hop)) [[likely]] {
            set_alarm(); // an entry that has grown old is being polled
            return send_to(*mac, room, packet);
        }
        return wait_for(hop, room, packet);
    }

    result<> send_to(mac_address to, header_room& room, const outgoing_packet& packet) noexcept {
        return send_on_link(stack_, room, header_size, to, ethertype, packet, statistics_.sent);
    }
    result<> count(result<> sent) noexcept {
        if (sent)
            ++statistics_.sent;
        return sent;
    }

    /// Keeps a packet until its neighbour has answered. Success: it may still be lost, as on any link.
    [[gnu::noinline, gnu::cold]] result<> wait_for(const ipv6_address& hop, const header_room& room,
                                                   const outgoing_packet& packet) noexcept {
        page memory = packets_.take();
        const octets headers = room.all(header_size, packet.transport_length).subspan(header_room::link);
        std::size_t length = headers.size();
        for (const slice& s : packet.payload)
            length += s.size();
        if (!memory || length > memory.room().size() || packet.gso_size != 0) { // what is to be cut is TCP's, and comes again
            ++statistics_.unresolved;
            discovery_.solicit_for(hop);
        } else {
            std::byte* at = std::ranges::copy(headers, memory.room().data()).out;
            for (const slice& s : packet.payload)
                at = std::ranges::copy(s.view(), at).out;
            if (packet.checksum_offload) { // the field holds the sum of the pseudo-header: see transmit_frame
                const mutable_octets transport = memory.room().subspan(header_size, length - header_size);
                wire::store<std::uint16_t>(transport.data() + packet.checksum_offset, wire::sum(transport).finish());
            }
            discovery_.resolve(hop, std::move(memory).freeze(0, length));
        }
        set_alarm();
        return {};
    }

    /// A packet that waited. It is whole in one slice, with its checksum done.
    void send_waiting(slice&& packet, mac_address to) noexcept {
        std::array<std::byte, wire::ethernet_header::size + header_size> headers;
        wire::ethernet_header{to, stack_.device().mac(), wire::ethertype::ipv6}.emit(headers);
        std::ranges::copy(packet.view().first(header_size), headers.begin() + wire::ethernet_header::size);
        packet.remove_prefix(header_size);
        (void)count(stack_.device().transmit({.headers = headers, .payload = std::span{&packet, 1}}));
        stack_.device_touched();
    }
    /// It cannot be sent: nobody has that address. As RFC 4861 section 7.2.2 says, told to its sender: ourselves.
    void drop_waiting(slice&& packet) noexcept {
        ++statistics_.unresolved;
        lost(packet.view(), errc::unreachable);
    }

    /// RFC 8200 section 4.5. Packets come here whose text and header are in few slices and whose checksum is done.
    [[gnu::noinline, gnu::cold]] result<> transmit_in_pieces(const ipv6_address& hop, header_room& room,
                                                             const ipv6_address& source,
                                                             const ipv6_address& destination,
                                                             const outgoing_packet& packet, std::size_t total) noexcept {
        if (packet.checksum_offload || packet.gso_size != 0)
            return std::unexpected(errc::too_large);
        // The transport header is part of what is cut: all of it lies side by side in a page of ours.
        page memory = packets_.take();
        if (!memory || total > memory.room().size())
            return std::unexpected(memory ? errc::too_large : errc::would_block);
        std::byte* at = std::ranges::copy(room.transport(packet.transport_length), memory.room().data()).out;
        for (const slice& s : packet.payload)
            at = std::ranges::copy(s.view(), at).out;
        const slice whole = std::move(memory).freeze(0, total);
        const std::size_t most = (path_mtu(destination) - header_size - wire::ipv6_fragment_header::size) / 8 * 8;
        ++identification_;
        for (std::size_t offset = 0; offset < total; offset += most) {
            const std::size_t size = std::min(most, total - offset);
            const slice piece = whole.share(offset, size);
            header_room head;
            wire::ipv6_fragment_header{packet.protocol, offset + size < total, static_cast<std::uint16_t>(offset),
                                       identification_}
                .emit(head.transport(wire::ipv6_fragment_header::size));
            const outgoing_packet part{.protocol = static_cast<std::uint8_t>(wire::next_header::fragment),
                                       .transport_length = wire::ipv6_fragment_header::size,
                                       .payload = std::span{&piece, 1},
                                       .ttl = packet.ttl};
            header_for(source, destination, part, part.transport_length + size).emit(head.network_header(header_size));
            if (const auto sent = hand_on(hop, head, part); !sent)
                return sent;
        }
        return {};
    }

    /// `view` reads the memory of `data`. `first`: it has not been put together from pieces.
    void input_packet(const wire::ipv6_view& view, slice&& data, bool link_group, bool checksum_verified,
                      bool first) noexcept {
        const ipv6_address source = view.source(), destination = view.destination();
        const bool group = destination.is_multicast();
        // RFC 4291 sections 2.5.3, 2.5.5.2 and 2.7; our own packets do not come back to us except as an echo of the link.
        if (source.is_multicast() || source.is_loopback() || source.is_mapped() || destination.is_mapped()
            || !(group ? hears(destination) : addresses().is_valid(destination) && !link_group)
            || addresses().is_valid(source)) {
            ++statistics_.not_for_us;
            return;
        }
        const wire::ipv6_chain chain = wire::walk_extensions(view);
        received_packet packet{.network_header = view.packet().first(chain.offset),
                               .source = source,
                               .destination = destination,
                               .protocol = chain.protocol,
                               .ttl = view.hop_limit(),
                               .unicast = !group,
                               .may_report = !group && !source.is_unspecified(),
                               .checksum_verified = checksum_verified};
        if (chain.verdict == wire::ipv6_verdict::deliver) {
            const octets text = view.packet().subspan(chain.offset);
            packet.data = std::move(data);
            packet.data.remove_prefix(static_cast<std::size_t>(text.data() - packet.data.data()));
            packet.data.remove_suffix(packet.data.size() - text.size());
            deliver(packet, chain, view);
            return;
        }
        if (chain.verdict == wire::ipv6_verdict::reassemble && first) {
            take_fragment(view, chain, packet);
            return;
        }
        ++statistics_.malformed;
        if (chain.verdict != wire::ipv6_verdict::report && chain.verdict != wire::ipv6_verdict::report_always)
            return;
        packet.may_report |= chain.verdict == wire::ipv6_verdict::report_always && !source.is_unspecified();
        report_about(view.packet(), packet, {wire::icmpv6_type::parameter_problem, chain.problem, chain.pointer});
    }

    void deliver(received_packet& packet, const wire::ipv6_chain& chain, const wire::ipv6_view& view) noexcept {
        if (packet.protocol == static_cast<std::uint8_t>(wire::next_header::icmpv6)) {
            input_icmp(packet, chain.router_alert);
            return;
        }
        if (stack_.deliver(packet))
            return;
        ++statistics_.unknown_protocol; // RFC 8200 section 4
        report_about(view.packet(), packet, {wire::icmpv6_type::parameter_problem, 1, chain.named_at});
    }

    /// A piece of a packet. RFC 8200 section 4.5, RFC 5722, RFC 7112
    void take_fragment(const wire::ipv6_view& view, const wire::ipv6_chain& chain, const received_packet& packet) noexcept {
        ++statistics_.fragments;
        const auto piece = wire::ipv6_piece::make(view, chain);
        if (!piece) {
            ++statistics_.malformed;
            return;
        }
        if (piece->fragment_offset() == 0 && !wire::has_whole_chain(view, chain.fragment_at)) {
            ++statistics_.malformed;
            report_about(view.packet(), packet, {wire::icmpv6_type::parameter_problem, 3, 0}); // RFC 7112 section 5
            return;
        }
        auto whole = reassembly_.add(*piece, stack_.now());
        set_alarm();
        if (!whole)
            return;
        if (const auto again = wire::ipv6_view::parse(whole->view()))
            input_packet(*again, std::move(*whole), false, false, false);
    }

    // ICMPv6. RFC 4443

    void input_icmp(received_packet& packet, bool router_alert) noexcept {
        const ipv6_address source = to_ipv6(packet.source), destination = to_ipv6(packet.destination);
        const auto pseudo = wire::pseudo_header_sum(source, destination, packet.protocol,
                                                    static_cast<std::uint32_t>(packet.data.size()));
        const auto view = wire::icmpv6_view::parse(packet.data.view(), pseudo,
                                                   packet.checksum_verified ? wire::verify::no : wire::verify::yes);
        if (!view) {
            ++statistics_.malformed;
            return;
        }
        switch (view->type()) {
        case wire::icmpv6_type::echo_request: answer_echo(packet, *view); return;
        case wire::icmpv6_type::destination_unreachable:
        case wire::icmpv6_type::packet_too_big:
        case wire::icmpv6_type::time_exceeded:
        case wire::icmpv6_type::parameter_problem:
            ++statistics_.errors_received;
            take_error(*view);
            return;
        default: break;
        }
        discovery_.input({source, destination, packet.ttl, router_alert}, *view);
        set_alarm();
    }

    /// RFC 4443 section 4.2
    void answer_echo(received_packet& packet, const wire::icmpv6_view& request) noexcept {
        const ipv6_address to = to_ipv6(packet.source);
        if (to.is_unspecified() || (!packet.unicast && !group_echoes_.take(stack_.now())))
            return;
        const ipv6_address from = packet.unicast ? to_ipv6(packet.destination)
                                                 : addresses().source_for(to, stack_.now());
        const std::uint32_t rest = request.rest();
        packet.data.remove_prefix(wire::icmpv6_header::size);
        ++statistics_.echo_replies;
        send(from, to, {wire::icmpv6_type::echo_reply, 0, rest}, packet.data);
    }

    void report(const received_packet& packet, const wire::icmpv6_header& header) noexcept {
        // Headers and text lie side by side in the frame.
        report_about({packet.network_header.data(), packet.network_header.size() + packet.data.size()}, packet, header);
    }
    /// An error about `packet`, all of whose octets are `whole`, unless a rule or the rate limit forbids it. RFC 4443
    /// section 2.4 (e) and (f)
    void report_about(octets whole, const received_packet& packet, const wire::icmpv6_header& header) noexcept {
        const auto is_error_or_redirect = [&] {
            if (packet.protocol != static_cast<std::uint8_t>(wire::next_header::icmpv6))
                return false;
            const octets text = whole.subspan(std::min(packet.network_header.size(), whole.size()));
            return text.empty() || std::to_integer<unsigned>(text[0]) < 128 || text[0] == std::byte{137};
        };
        if (!packet.may_report || is_error_or_redirect() || !errors_.take(stack_.now())) {
            ++statistics_.errors_suppressed;
            return;
        }
        const ipv6_address to = to_ipv6(packet.source);
        ++statistics_.errors_sent;
        send(packet.unicast ? to_ipv6(packet.destination) : addresses().source_for(to, stack_.now()), to, header,
             slice::of_static(wire::icmpv6_header::quote(whole)));
    }

    void send(const ipv6_address& from, const ipv6_address& to, const wire::icmpv6_header& header,
              const slice& payload) noexcept {
        header_room room;
        constexpr auto protocol = static_cast<std::uint8_t>(wire::next_header::icmpv6);
        const auto pseudo =
            wire::pseudo_header_sum(from, to, protocol, static_cast<std::uint32_t>(header.size + payload.size()));
        header.emit(room.transport(header.size), wire::sum(payload.view(), pseudo));
        (void)transmit(room, from, to, {.protocol = protocol,
                                        .transport_length = header.size,
                                        .payload = std::span{&payload, 1}});
        stack_.device_touched();
    }

    /// RFC 4443 section 2.4 (d), RFC 8201 section 4
    void take_error(const wire::icmpv6_view& error) noexcept {
        using type = wire::icmpv6_type;
        if (error.type() == type::packet_too_big) {
            if (const auto quote = wire::ipv6_view::parse_quote(error.payload());
                quote && addresses().is_valid(quote->source())
                && discovery_.routes().too_big(quote->destination(), error.rest(), discovery_.link_mtu(), stack_.now()))
                lost(error.payload(), errc::too_large);
            return;
        }
        const bool nobody = (error.type() == type::destination_unreachable
                             && error.code() == static_cast<std::uint8_t>(wire::icmpv6_unreachable::port))
                            || (error.type() == type::parameter_problem && error.code() == 1);
        lost(error.payload(), nobody ? errc::refused : errc::unreachable);
    }

    /// The packet of which `quote` is at least the beginning did not arrive.
    void lost(octets quote, errc why) noexcept {
        const auto view = wire::ipv6_view::parse_quote(quote);
        if (!view || !addresses().is_valid(view->source()) || view->payload().size() < 8)
            return;
        for (const auto& l : loss_listeners_)
            if (l.told != nullptr && static_cast<std::uint8_t>(l.protocol) == view->first_header())
                l.told(stack_, {view->source(), view->destination(), view->payload()}, why);
    }

    void set_alarm() noexcept {
        const instant due = std::min(discovery_.next_deadline(), reassembly_.next_deadline());
        if (due != never && (!alarm_.armed() || due < alarm_.deadline()))
            stack_.loop().arm(alarm_, due);
    }
    void on_time() noexcept {
        discovery_.on_time();
        reassembly_.on_time(stack_.now(), [&](octets quote) { // RFC 8200 section 4.5, RFC 4443 section 3.3
            const auto view = wire::ipv6_view::parse_quote(quote);
            if (!view || view->destination().is_multicast() || view->source().is_unspecified())
                return;
            received_packet packet{.source = view->source(), .destination = view->destination(),
                                   .protocol = view->first_header()};
            packet.network_header = quote.first(wire::ipv6_header::size);
            report_about(quote, packet, {wire::icmpv6_type::time_exceeded, 1});
        });
        set_alarm();
    }
};

} // namespace mirage::net
