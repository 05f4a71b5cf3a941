// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/four_tuple.hpp"
#include "mirage/net/tcp/sequence.hpp"

namespace mirage::tcp {

/// ISN = M + F(localip, localport, remoteip, remoteport, secretkey), M ticking every 4 microseconds.
/// RFC 6528 section 3, RFC 9293 section 3.4.1
template <class Endpoint>
constexpr sequence initial_sequence_number(const siphash_key& secret, const four_tuple<Endpoint>& t, instant now) noexcept {
    const auto m = static_cast<std::uint64_t>(now.time_since_epoch().count()) / 4000;
    return {static_cast<std::uint32_t>(m + keyed_hash(secret, t))};
}

} // namespace mirage::tcp
