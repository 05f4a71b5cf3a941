// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/head_parser.hpp"
#include "mirage/core/time.hpp"

namespace mirage::http {

/// What one peer may cost us.
struct limits {
    head_limits head{};
    duration idle_timeout = std::chrono::seconds{60};  ///< for the first octet of the next request; then we close
    duration head_timeout = std::chrono::seconds{10};  ///< for the rest of a head; then 408
    duration body_timeout = std::chrono::seconds{20};  ///< for each piece of a body that a handler reads; then 408
    duration send_timeout = std::chrono::seconds{30};  ///< for a peer that reads nothing; then the connection is cut
    duration linger_timeout = std::chrono::seconds{2}; ///< for what the peer still sends after the last response
    std::uint64_t least_rate = 1024;                   ///< octets per second; who is slower over a while is cut
    std::uint64_t body = std::uint64_t{1} << 40;       ///< octets of a request's body; beyond it 413
    std::uint64_t drain = 256 * 1024;                  ///< octets of a body that nobody read, to keep the connection
    std::uint32_t connections = 1024;                  ///< at the same time; more wait in the listener's backlog
    std::uint32_t requests = 1'000'000;                ///< on one connection
    std::uint16_t split_heads = 8; ///< heads that came in pieces, at the same time; beyond it 503. Costs head octets each
};

} // namespace mirage::http
