// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/four_tuple.hpp"
#include <cstdint>

namespace mirage::tcp {

/// Gives `tuple` a local port with which it is `free`; `next` counts the choices of all tuples. False: there is none. RFC 6056 section
/// 3.3.3: each peer has a sequence of its own, which begins where nobody can guess. The range is that of RFC 6335 section 6.
template <class Endpoint>
bool choose_ephemeral_port(four_tuple<Endpoint>& tuple, const siphash_key& secret, std::uint16_t& next, auto free) noexcept {
    constexpr std::uint16_t first = 49152, count = 65535 - first + 1;
    const auto offset = static_cast<std::uint16_t>(keyed_hash(secret, tuple));
    for (unsigned i = 0; i < count; ++i) {
        tuple.local.port = static_cast<std::uint16_t>(first + static_cast<std::uint16_t>(offset + next++) % count);
        if (free(tuple))
            return true;
    }
    return false;
}

} // namespace mirage::tcp
