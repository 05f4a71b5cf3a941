// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/xen/xenstore/ring.hpp"
#include <span>

namespace mirage::xen {

/// Cuts the stream of octets from the store into messages, however it comes in pieces. Keeps of a payload only the part
/// that is asked for, where it is asked for: no message needs a buffer.
class reply_reader {
    xsd_sockmsg header_{};
    std::uint32_t have_ = 0; ///< octets of the message so far, with its header
    std::span<char> place_;
    std::uint32_t from_ = 0;

    static constexpr std::uint32_t header_size = sizeof(xsd_sockmsg);

public:
    enum class step {
        starved,   ///< all that is there is taken
        header,    ///< header() is complete: now is the time for keep()
        message,   ///< the payload is complete, and what was to be kept is where it was to be
        malformed, ///< longer than the protocol allows: where the next message begins cannot be known any more
    };

    void reset() noexcept { have_ = 0; }
    const xsd_sockmsg& header() const noexcept { return header_; }

    /// After step::header: of the payload, the octets from number `from` on belong into `place`, which stays until
    /// step::message. What is before, and what does not fit, is dropped.
    void keep(std::span<char> place, std::uint32_t from = 0) noexcept {
        place_ = place;
        from_ = from;
    }

    step advance(store_ring& ring) noexcept {
        if (have_ < header_size) {
            const auto n = std::min<std::size_t>(header_size - have_, ring.available());
            ring.read(reinterpret_cast<char*>(&header_) + have_, n);
            have_ += static_cast<std::uint32_t>(n);
            if (have_ < header_size)
                return step::starved;
            if (header_.len > XENSTORE_PAYLOAD_MAX)
                return step::malformed;
            keep({});
            return step::header;
        }
        for (;;) {
            const std::uint32_t at = have_ - header_size;
            if (at == header_.len) {
                have_ = 0;
                return step::message;
            }
            // Before the part that is kept, in it, or behind it; up to the end of that or of what is there.
            const auto end = from_ + std::min<std::size_t>(place_.size(), header_.len);
            const bool inside = at >= from_ && at < end;
            const std::size_t until = at < from_ ? std::min(from_, header_.len) : inside ? end : header_.len;
            const auto n = std::min({until - at, header_.len - std::size_t{at}, ring.available()});
            if (n == 0)
                return step::starved;
            ring.read(inside ? place_.data() + (at - from_) : nullptr, n);
            have_ += static_cast<std::uint32_t>(n);
        }
    }
};

} // namespace mirage::xen
