// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ip_address.hpp"
#include "mirage/core/siphash.hpp"

namespace mirage::tcp {

/// What tells one connection from another at this host. RFC 9293 section 3.4
template <class Endpoint>
struct four_tuple {
    Endpoint local{}, remote{};
    friend constexpr bool operator==(const four_tuple&, const four_tuple&) noexcept = default;
};

/// A number that nobody can predict who does not know the key.
template <class Endpoint>
constexpr std::uint64_t keyed_hash(const siphash_key& key, const four_tuple<Endpoint>& t) noexcept {
    const auto ports = std::uint64_t{t.local.port} << 16 | t.remote.port;
    if constexpr (std::is_same_v<Endpoint, ipv4_endpoint>) {
        const auto addresses = std::uint64_t{t.local.address.value()} << 32 | t.remote.address.value();
        return siphash(key, addresses, ports);
    } else {
        const ipv6_address &local = to_ipv6(t.local.address), &remote = to_ipv6(t.remote.address);
        return siphash(key, local.high(), local.low(), remote.high(), remote.low(), ports);
    }
}

} // namespace mirage::tcp
