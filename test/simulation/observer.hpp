// SPDX-License-Identifier: MIT
#pragma once
// Someone at the cable who knows TCP only from its RFCs and sees what both hosts send, before the line loses it.
#include "mirage/core/address.hpp"
#include "mirage/net/tcp/sequence.hpp"
#include "mirage/wire/ethernet.hpp"
#include "mirage/wire/ipv4.hpp"
#include "mirage/wire/tcp.hpp"
#include <cstdarg>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace simulation {

using namespace mirage;
using tcp::sequence;

/// What is wrong with a run; the first word of it is kept.
struct verdict {
    std::string first{};
    [[gnu::format(printf, 2, 3)]] void wrong(const char* format, ...) {
        if (!first.empty())
            return;
        char text[300];
        va_list values;
        va_start(values, format);
        (void)std::vsnprintf(text, sizeof text, format, values);
        va_end(values);
        first = text;
    }
    explicit operator bool() const noexcept { return !first.empty(); }
};

/// One direction of one connection.
struct direction {
    sequence iss{};              ///< of the SYN
    sequence end{};              ///< behind what has been sent, the FIN included
    sequence edge{};             ///< right edge of the window that this end announced last
    sequence acknowledged{};     ///< the last ACK of this end
    static constexpr short unseen = -1;
    std::vector<short> text{};   ///< all text that was sent
    std::uint32_t ts_value = 0;
    std::uint16_t mss = 536;
    std::uint8_t shift = 0;
    bool opened = false, acks = false, offered_scale = false, offered_timestamps = false, offered_sack = false;
    bool fin = false;
    sequence fin_at{};
};

/// Judges every segment that goes on the line by rules of RFC 9293, 7323 and 2018 that hold whatever happened before.
class observer {
    verdict& verdict_;
    std::map<std::uint32_t, direction> directions_{}; ///< by source and destination port: two hosts have no other

    static std::uint32_t key(std::uint16_t from, std::uint16_t to) noexcept { return std::uint32_t{from} << 16 | to; }

    void opening(direction& me, const wire::tcp_view& seg, const wire::tcp_options& options) {
        const sequence seq{seg.sequence()};
        if (me.opened && me.iss == seq) { // again; it says what it said
            if (options.maximum_segment_size != me.mss)
                verdict_.wrong("a SYN that is sent again offers another MSS");
            return;
        }
        me = {}; // a new connection between the same ports
        me.opened = true;
        me.iss = seq;
        me.end = seq + 1;
        if (!options.maximum_segment_size)
            verdict_.wrong("a SYN without MSS (RFC 9293 section 3.7.1, SHLD-5)");
        me.mss = options.maximum_segment_size.value_or(536);
        me.offered_scale = options.window_scale.has_value();
        me.shift = options.window_scale.value_or(0);
        me.offered_timestamps = options.timestamps.has_value();
        me.offered_sack = options.sack_permitted;
        if (!seg.payload().empty())
            verdict_.wrong("text on a SYN that nobody asked for");
    }

    void acknowledgment(direction& me, const direction& peer, const wire::tcp_view& seg, bool syn) {
        const sequence ack{seg.acknowledgment()};
        if (peer.opened && after(ack, peer.end))
            verdict_.wrong("acknowledges %u octets that were never sent (RFC 9293 section 3.10.7.4)",
                           octets_between(peer.end, ack));
        if (me.acks && before(ack, me.acknowledged))
            verdict_.wrong("takes %u octets back that were acknowledged", octets_between(ack, me.acknowledged));
        const unsigned shift = syn || !peer.offered_scale || !me.offered_scale ? 0 : me.shift;
        const sequence edge = ack + (std::uint32_t{seg.window()} << shift);
        // RFC 9293 section 3.8.6, SHLD-14; a SYN cannot say more than 64 KiB, and what a scaled window cannot express it may lack: RFC 7323 section 2.4
        if (me.acks && !syn && before(edge + ((1u << shift) - 1), me.edge))
            verdict_.wrong("shrinks its window by %u octets (RFC 9293 section 3.8.6)", octets_between(edge, me.edge));
        me.edge = me.acks ? later(me.edge, edge) : edge;
        me.acknowledged = ack;
        me.acks = true;
    }

    void text(direction& me, const direction& peer, const wire::tcp_view& seg, std::size_t most) {
        const sequence seq{seg.sequence()};
        const octets data = seg.payload();
        const auto size = static_cast<std::uint32_t>(data.size());
        const sequence behind = seq + size;
        if (size > most)
            verdict_.wrong("a segment of %u octets for an MSS of %zu (RFC 9293 section 3.7.1)", size, most);
        if (me.fin && size > 0 && after(behind, me.fin_at))
            verdict_.wrong("text behind the FIN (RFC 9293 section 3.10.4)");
        // A probe of a closed window is one octet behind it (section 3.8.6.1).
        if (peer.acks && size > 0 && after(behind, peer.edge + (size == 1 ? 1u : 0u)))
            verdict_.wrong("port %u to %u: text from %u on, %u octets of it beyond the window (RFC 9293 section 3.8.6)",
                           seg.source_port(), seg.destination_port(), octets_between(me.iss, seq),
                           octets_between(peer.edge, behind));
        const auto at = distance(me.iss + 1, seq);
        if (at < 0 || static_cast<std::size_t>(at) > me.text.size() + 1) { // + 1: behind the FIN
            if (at < -1 || (size > 0 && !blind))
                verdict_.wrong("text that leaves a hole behind what was sent");
            if (at < 0 || size == 0)
                return;
            me.text.resize(static_cast<std::size_t>(at), direction::unseen);
        }
        for (std::size_t i = 0; i < size; ++i) {
            const auto place = static_cast<std::size_t>(at) + i;
            if (place < me.text.size()) {
                if (me.text[place] != direction::unseen && me.text[place] != std::to_integer<short>(data[i])) {
                    verdict_.wrong("octet %zu is sent again as another", place);
                    return;
                }
                me.text[place] = std::to_integer<short>(data[i]);
            } else {
                me.text.push_back(std::to_integer<short>(data[i]));
            }
        }
        sequence end = behind;
        if (seg.has(wire::tcp_flags::fin)) {
            if (me.fin && me.fin_at != behind)
                verdict_.wrong("the FIN moved (RFC 9293 section 3.10.4)");
            me.fin = true;
            me.fin_at = behind;
            end += 1;
        }
        me.end = later(me.end, end);
    }

    void options_of(direction& me, const direction& peer, const wire::tcp_view& seg, const wire::tcp_options& options) {
        if (options.maximum_segment_size || options.window_scale || options.sack_permitted)
            verdict_.wrong("an option that belongs to a SYN alone");
        const bool timestamps = me.offered_timestamps && peer.offered_timestamps;
        if (timestamps != options.timestamps.has_value() && peer.opened)
            verdict_.wrong("timestamps %s (RFC 7323 section 3.2)", timestamps ? "missing" : "that were not agreed on");
        if (options.timestamps) {
            if (static_cast<std::int32_t>(options.timestamps->value - me.ts_value) < 0 && me.ts_value != 0)
                verdict_.wrong("the timestamp clock runs backwards (RFC 7323 section 5.4)");
            me.ts_value = options.timestamps->value;
        }
        if (options.sack_count != 0 && !(me.offered_sack && peer.offered_sack))
            verdict_.wrong("SACK blocks that were not agreed on (RFC 2018 section 2)");
        for (std::size_t i = 0; i < options.sack_count; ++i) {
            const sequence left{options.sack[i].left}, right{options.sack[i].right};
            if (!before(left, right) || after(right, peer.end) || before(left, peer.iss + 1))
                verdict_.wrong("a SACK block of what was never sent (RFC 2018 section 3)");
            // The first may be a D-SACK (RFC 2883 section 4): below the ACK, or inside the second.
            if (i > 0 && !after(left, sequence{seg.acknowledgment()}))
                verdict_.wrong("a SACK block below the ACK (RFC 2018 section 4)");
        }
    }

public:
    bool blind = false; ///< a cable was pulled: what a host sent meanwhile was not seen here

    explicit observer(verdict& v) noexcept : verdict_{v} {}

    /// A frame that one of the hosts sends, cut into segments and with its checksum in it.
    void frame(octets data) {
        const auto ethernet = wire::ethernet_view::parse(data);
        if (!ethernet)
            return verdict_.wrong("a frame that is none");
        if (ethernet->type() != wire::ethertype::ipv4)
            return;
        const auto packet = wire::ipv4_view::parse(ethernet->payload());
        if (!packet)
            return verdict_.wrong("a malformed IPv4 packet");
        if (packet->protocol() != wire::ip_protocol::tcp)
            return;
        const auto seg = wire::tcp_view::parse(packet->payload(), packet->pseudo_header());
        if (!seg)
            return verdict_.wrong("a malformed segment, or its checksum is wrong (RFC 9293 section 3.1, MUST-2)");
        const auto options = seg->options();
        if (options.malformed)
            return verdict_.wrong("malformed options");
        using flags = wire::tcp_flags;
        if (seg->has(flags::rst))
            return; // may carry whatever answers what it answers
        direction& me = directions_[key(seg->source_port(), seg->destination_port())];
        const direction& peer = directions_[key(seg->destination_port(), seg->source_port())];
        const bool syn = seg->has(flags::syn);
        if (syn)
            opening(me, *seg, options);
        else if (!me.opened)
            return verdict_.wrong("a segment of no connection");
        else
            options_of(me, peer, *seg, options);
        if (seg->has(flags::ack))
            acknowledgment(me, peer, *seg, syn);
        else if (!syn)
            verdict_.wrong("a segment without ACK (RFC 9293 section 3.10.7.4)");
        if (!syn)
            text(me, peer, *seg, peer.mss);
    }
};

} // namespace simulation
