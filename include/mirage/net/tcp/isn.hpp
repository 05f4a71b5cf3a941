// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/siphash.hpp"
#include "mirage/core/time.hpp"
#include "mirage/net/tcp/connection.hpp"

namespace mirage::tcp {

/// ISN = M + F(localip, localport, remoteip, remoteport, secretkey), M ticking every 4 microseconds.
/// RFC 6528 section 3, RFC 9293 section 3.4.1
constexpr sequence initial_sequence_number(const siphash_key& secret, const four_tuple& t, instant now) noexcept {
    const auto addresses = std::uint64_t{t.local.address.value()} << 32 | t.remote.address.value();
    const auto ports = std::uint64_t{t.local.port} << 16 | t.remote.port;
    const auto m = static_cast<std::uint64_t>(now.time_since_epoch().count()) / 4000;
    return {static_cast<std::uint32_t>(m + siphash(secret, addresses, ports))};
}

} // namespace mirage::tcp
