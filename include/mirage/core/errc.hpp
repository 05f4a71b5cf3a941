// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/text_table.hpp"
#include <array>
#include <cstdint>
#include <expected>
#include <string_view>

namespace mirage {

/// Why an operation failed. One vocabulary for all layers; never an exception.
enum class errc : std::uint8_t {
    would_block = 1,   ///< nothing to receive, or no room to send; retry on the next wake-up
    truncated,         ///< fewer octets than the header promises
    malformed,         ///< a field contradicts its specification
    bad_checksum,      ///< RFC 1071 sum is not zero
    refused,           ///< the peer answered SYN with RST
    reset,             ///< the peer aborted an open connection
    timed_out,         ///< no answer in time (for TCP: R2 exceeded, RFC 9293 section 3.8.3)
    eof,               ///< orderly end of stream; not a failure of the link
    cancelled,         ///< the operation was withdrawn by its owner
    closed,            ///< the object was already closed by its owner
    no_buffers,        ///< a bounded pool ran dry
    too_large,         ///< the datum does not fit where it should go
    in_use,            ///< the port or name is already taken
    unreachable,       ///< no route, or the network answered that there is none
    not_found,         ///< no such name, entry or device
    invalid_argument,  ///< the caller passed something outside the documented range
    read_only,         ///< the device does not accept writes
    io,                ///< the device reports a failure
    unsupported,       ///< the device or peer cannot do this
};

/// A value or the reason why there is none. Test it, then dereference; `.value()` would pull in an abort.
template <class T = void>
using result = std::expected<T, errc>;

namespace detail {
// In the order of errc, whose first value is 1.
inline constexpr auto errc_messages = std::to_array<std::string_view>({
    "unknown error",
    "would block", "truncated", "malformed", "bad checksum", "connection refused",
    "connection reset by peer", "timed out", "end of stream", "cancelled", "closed",
    "out of buffers", "too large", "already in use", "unreachable", "not found", "invalid argument",
    "read-only", "input/output error", "not supported",
});
static_assert(errc_messages.size() == static_cast<std::size_t>(errc::unsupported) + 1);
} // namespace detail

/// A short lower-case English phrase, static storage.
constexpr std::string_view message(errc e) noexcept {
    using table = text_table<detail::errc_messages>;
    const auto number = static_cast<std::size_t>(e);
    return table::at(number < table::size ? number : 0);
}

} // namespace mirage
