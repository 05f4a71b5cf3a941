// SPDX-License-Identifier: MIT
#pragma once
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

/// A short lower-case English phrase, static storage.
constexpr std::string_view message(errc e) noexcept {
    switch (e) {
    case errc::would_block: return "would block";
    case errc::truncated: return "truncated";
    case errc::malformed: return "malformed";
    case errc::bad_checksum: return "bad checksum";
    case errc::refused: return "connection refused";
    case errc::reset: return "connection reset by peer";
    case errc::timed_out: return "timed out";
    case errc::eof: return "end of stream";
    case errc::cancelled: return "cancelled";
    case errc::closed: return "closed";
    case errc::no_buffers: return "out of buffers";
    case errc::too_large: return "too large";
    case errc::in_use: return "already in use";
    case errc::unreachable: return "unreachable";
    case errc::not_found: return "not found";
    case errc::invalid_argument: return "invalid argument";
    case errc::read_only: return "read-only";
    case errc::io: return "input/output error";
    case errc::unsupported: return "not supported";
    }
    return "unknown error";
}

} // namespace mirage
