// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/control_block.hpp"
#include "mirage/net/tcp/four_tuple.hpp"
#include "mirage/net/tcp/rtt.hpp"
#include "mirage/net/tcp/segment.hpp"
#include "mirage/net/tcp/user.hpp"
#include <algorithm>
#include <array>
#include <optional>

namespace mirage::tcp {

/// SYN cookies: what a listener whose backlog is full must remember of a SYN travels in the sequence number of its answer, and
/// comes back in the ACK. RFC 4987 section 3.6 and appendix A
///
/// Bit 31: which of two periods of 64 s. Bits 30 to 28: the MSS, one of eight. The rest is a hash of these, of the addresses, ports and
/// of the peer's ISN: a blind guess is right once in 2^28, for at most 128 s. Window scale and SACK go into the lowest bits of our
/// timestamp, which the peer echoes; without timestamps the connection has neither.
namespace syn_cookie {

inline constexpr std::array<std::uint16_t, 8> sizes{536, 1024, 1220, 1360, 1400, 1440, 1460, 8940};
inline constexpr duration period = std::chrono::seconds{64};
inline constexpr duration lifetime = 2 * period; ///< no cookie is valid for longer
inline constexpr std::uint32_t option_bits = 63, scale_bits = 15, no_scale = 15, sack_bit = 16;

namespace detail {

constexpr std::uint64_t period_at(instant now) noexcept { return static_cast<std::uint64_t>(now.time_since_epoch() / period); }

template <class Endpoint>
constexpr sequence make(const siphash_key& key, const four_tuple<Endpoint>& t, sequence irs, std::uint64_t number,
                        std::uint32_t index) noexcept {
    const std::uint32_t said = static_cast<std::uint32_t>(number & 1) << 31 | index << 28;
    const std::uint64_t hash = siphash(key, keyed_hash(key, t), number << 3 | index, std::uint64_t{irs.value});
    return {said | static_cast<std::uint32_t>(hash & 0xfff'ffff)};
}

} // namespace detail

/// The ISN of the answer to `syn`.
template <class Endpoint>
constexpr sequence issue(const siphash_key& key, const four_tuple<Endpoint>& t, const segment& syn, instant now) noexcept {
    std::uint32_t index = sizes.size() - 1;
    while (index > 0 && sizes[index] > syn.mss)
        --index;
    return detail::make(key, t, syn.seq, detail::period_at(now), index);
}

/// `value`, our timestamp, with what `syn` offers in its lowest bits; not later than `value`, so that our next one is not earlier.
constexpr std::uint32_t timestamp(std::uint32_t value, const segment& syn) noexcept {
    const std::uint32_t scale = syn.window_scale < 0 ? no_scale : static_cast<std::uint32_t>(std::min<int>(syn.window_scale, 14));
    const std::uint32_t said = (value & ~option_bits) | scale | (syn.sack_permitted ? sack_bit : 0);
    return said > value ? said - (option_bits + 1) : said;
}

/// The SYN whose answer `ack` acknowledges, as far as it can be known again; nothing when we never sent that answer.
template <class Endpoint>
constexpr std::optional<segment> redeem(const siphash_key& key, const four_tuple<Endpoint>& t, const segment& ack,
                                        instant now) noexcept {
    const sequence cookie = ack.ack - 1, irs = ack.seq - 1;
    const std::uint64_t current = detail::period_at(now);
    const std::uint64_t number = (current & 1) == cookie.value >> 31 ? current : current - 1;
    const std::uint32_t index = cookie.value >> 28 & 7;
    if (detail::make(key, t, irs, number, index) != cookie)
        return {};
    segment syn{.seq = irs, .window = ack.window, .syn = true, .mss = sizes[index], .has_timestamps = ack.has_timestamps,
                .timestamps = ack.timestamps};
    if (ack.has_timestamps) {
        const std::uint32_t scale = ack.timestamps.echo & scale_bits;
        syn.window_scale = scale == no_scale ? std::int8_t{-1} : static_cast<std::int8_t>(scale);
        syn.sack_permitted = (ack.timestamps.echo & sack_bit) != 0;
    }
    return syn;
}

/// The whole answer to `syn`, as prepare(), open_passive() and header_for() would make it.
template <class Endpoint>
constexpr segment answer(const siphash_key& key, const four_tuple<Endpoint>& t, const segment& syn, const parameters& settings,
                         instant now) noexcept {
    segment reply{.seq = issue(key, t, syn, now), .ack = syn.seq + 1, .syn = true, .has_ack = true, .mss = settings.mss};
    reply.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(settings.receive_buffer, 0xffff));
    if (syn.window_scale >= 0 && syn.has_timestamps) // otherwise nobody would remember
        reply.window_scale = static_cast<std::int8_t>(window_scale(settings.receive_buffer));
    reply.sack_permitted = syn.sack_permitted && syn.has_timestamps;
    reply.has_timestamps = syn.has_timestamps;
    reply.timestamps = {timestamp(timestamp_at(now), syn), syn.timestamps.value};
    return reply;
}

/// A block that was opened from a redeemed SYN is as it was when the answer had gone out.
template <class Tcb>
constexpr void answered(Tcb& tcb) noexcept {
    tcb.snd.nxt = tcb.snd.max = tcb.snd.iss + 1;
    tcb.rcv.advertised = tcb.rcv.nxt + std::min<std::uint32_t>(tcb.rcv.buffer, 0xffff);
}

} // namespace syn_cookie
} // namespace mirage::tcp
