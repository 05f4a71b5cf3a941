// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/statistics.hpp"
#include "mirage/net/icmp_rules.hpp"
#include "mirage/net/packet.hpp"
#include "mirage/net/rate_limit.hpp"
#include "mirage/wire/checksum.hpp"
#include "mirage/wire/icmpv4.hpp"
#include <algorithm>

namespace mirage::net {

/// What the ICMP layer has seen since boot.
struct icmp_statistics {
    std::uint64_t received = 0, malformed = 0, echo_replies = 0, errors_sent = 0, errors_suppressed = 0,
        errors_received = 0;

    static constexpr auto table() noexcept {
        using s = icmp_statistics;
        return statistics_table{
            "icmp_",
            statistic{&s::received, "received", "ICMP messages received."},
            statistic{&s::malformed, "malformed", "Messages dropped as wrong."},
            statistic{&s::echo_replies, "echo_replies", "Echo requests answered."},
            statistic{&s::errors_sent, "errors_sent", "Error messages sent."},
            statistic{&s::errors_suppressed, "errors_suppressed", "Errors not sent: limited, or not allowed."},
            statistic{&s::errors_received, "errors_received", "Error messages received."}};
    }
};

/// ICMP for IPv4: answers echo requests, reports what cannot be delivered. RFC 792, RFC 1122 section 3.2.2
///
/// Redirects change nothing, whoever sends them: any neighbour can write one, and on a link with several routers the
/// application names them (net::static_routes). RFC 1122 section 3.2.2.2 has a host follow those of its first hop; a
/// packet that the wrong router takes is forwarded by it all the same.
struct icmp {
    static constexpr std::uint8_t protocol = 1;
    static constexpr bool ipv4_only = true;

    template <class Stack>
    class state;
};

template <class Stack>
class icmp::state {
    using header_room = typename Stack::header_room;
    using received_packet = typename Stack::received_packet;

    Stack& stack_;
    rate_limit limiter_{std::chrono::milliseconds{10}, 20}; ///< RFC 1812 section 4.3.2.8
    icmp_statistics statistics_{};

public:
    state(Stack& owner, const auto&) noexcept : stack_{owner} {}

    const icmp_statistics& statistics() const noexcept { return statistics_; }

    void input(received_packet& packet) noexcept {
        ++statistics_.received;
        const auto view = wire::icmpv4_view::parse(packet.data.view()); // no device verifies ICMP
        if (!view) {
            ++statistics_.malformed;
            return;
        }
        switch (view->type()) {
        case wire::icmpv4_type::echo_request:
            if (packet.unicast) // RFC 1122 section 3.2.2.6 allows silence towards a group: it stops smurfs
                answer_echo(packet, *view);
            break;
        case wire::icmpv4_type::destination_unreachable:
        case wire::icmpv4_type::time_exceeded:
        case wire::icmpv4_type::parameter_problem:
            ++statistics_.errors_received;
            stack_.ip().undelivered(view->payload(), &*view);
            break;
        default: // RFC 1122 section 3.2.2: unknown types are discarded silently
            break;
        }
    }

    /// Reports that `packet` could not be delivered, unless a rule or the rate limit forbids it.
    void unreachable(const received_packet& packet, wire::unreachable_code code) noexcept {
        if (!packet.may_report || !limiter_.take(stack_.now())) {
            ++statistics_.errors_suppressed;
            return;
        }
        // Header and text lie side by side in the frame: the quote is one slice of it.
        const auto length = std::min(packet.data.size(), wire::icmpv4_header::max_quote - packet.network_header.size());
        const slice quote = slice::of_static(octets{packet.network_header.data(), packet.network_header.size() + length});
        ++statistics_.errors_sent;
        send(to_ipv4(packet.destination), to_ipv4(packet.source), wire::icmpv4_header::unreachable(code), quote);
    }

    /// Reports to the sender of a datagram whose pieces did not all come. RFC 1122 section 3.3.2
    void reassembly_timed_out(const wire::ipv4_view& first_piece) noexcept {
        if (!may_send_error(first_piece, reception::unicast) || !limiter_.take(stack_.now())) {
            ++statistics_.errors_suppressed;
            return;
        }
        ++statistics_.errors_sent;
        send(first_piece.destination(), first_piece.source(), wire::icmpv4_header::exceeded(wire::exceeded_code::reassembly),
             slice::of_static(wire::icmpv4_header::quote(first_piece.packet())));
    }

private:
    void answer_echo(received_packet& packet, wire::icmpv4_view request) noexcept {
        const auto header = wire::icmpv4_header::echo_reply(request);
        slice text = std::move(packet.data);
        text.remove_prefix(wire::icmpv4_header::size);
        ++statistics_.echo_replies;
        send(to_ipv4(packet.destination), to_ipv4(packet.source), header, text);
    }

    void send(sender_of<Stack> from, ipv4_address to, const wire::icmpv4_header& header, const slice& payload) noexcept {
        header_room room;
        header.emit(room.transport(header.size), wire::sum(payload.view()));
        (void)stack_.ip().transmit(room, from, to, {.protocol = protocol,
                                                    .transport_length = header.size,
                                                    .payload = std::span{&payload, 1}});
        stack_.device_touched();
    }
};

} // namespace mirage::net
