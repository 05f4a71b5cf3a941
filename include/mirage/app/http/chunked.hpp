// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/syntax.hpp"
#include "mirage/core/octets.hpp"
#include <algorithm>

namespace mirage::http {

/// Reads the chunked transfer coding (RFC 9112 section 7.1) where the octets lie, in pieces of any size.
/// Chunk extensions and trailer fields are skipped, within limits.
class chunk_decoder {
public:
    enum class state : std::uint8_t {
        size, extension, size_end, data, data_cr, data_lf, trailer_start, trailer, trailer_lf, end_lf, done, failed
    };
    /// What next() found: `skipped` octets of framing, then `content` octets that belong to the body.
    struct step {
        std::size_t skipped = 0, content = 0;
    };

    /// Most octets of extensions per chunk, and of the trailer section.
    static constexpr std::uint32_t extension_limit = 256, trailer_limit = 4096;

    /// Reads up to the end of the next piece of content, or to the end of `input`. When done() the octets behind
    /// `skipped` belong to the next request.
    constexpr step next(octets input) noexcept {
        step s;
        while (s.skipped < input.size() && state_ != state::done && state_ != state::failed) {
            if (state_ == state::data) {
                s.content = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - s.skipped));
                left_ -= s.content;
                if (left_ == 0)
                    state_ = state::data_cr;
                return s;
            }
            take(std::to_integer<char>(input[s.skipped++]));
        }
        return s;
    }

    constexpr bool done() const noexcept { return state_ == state::done; }
    constexpr bool failed() const noexcept { return state_ == state::failed; }

private:
    state state_ = state::size;
    std::uint8_t digits_ = 0;
    std::uint32_t ignored_ = 0; ///< octets of this extension or trailer section
    std::uint64_t left_ = 0;    ///< octets of this chunk that are to come

    constexpr void expect(char c, char wanted, state then) noexcept { state_ = c == wanted ? then : state::failed; }

    constexpr void ignore(std::uint32_t limit) noexcept {
        if (++ignored_ > limit)
            state_ = state::failed;
    }

    constexpr void take(char c) noexcept {
        switch (state_) {
        case state::size: {
            const int digit = c >= '0' && c <= '9'                       ? c - '0'
                              : to_lower(c) >= 'a' && to_lower(c) <= 'f' ? to_lower(c) - 'a' + 10
                                                                         : -1;
            if (digit >= 0 && digits_ < 15) {
                ++digits_;
                left_ = left_ * 16 + static_cast<unsigned>(digit);
            } else if (digits_ == 0 || digit >= 0) {
                state_ = state::failed;
            } else if (c == '\r') {
                state_ = state::size_end;
            } else {
                ignored_ = 0;
                state_ = c == ';' || c == ' ' || c == '\t' ? state::extension : state::failed;
            }
            break;
        }
        case state::extension:
            if (c == '\r')
                state_ = state::size_end;
            else if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f)
                state_ = state::failed; // a bare LF here is how requests are smuggled
            else
                ignore(extension_limit);
            break;
        case state::size_end:
            ignored_ = 0;
            expect(c, '\n', left_ == 0 ? state::trailer_start : state::data);
            digits_ = 0;
            break;
        case state::data_cr: expect(c, '\r', state::data_lf); break;
        case state::data_lf: expect(c, '\n', state::size); break;
        case state::trailer_start:
            state_ = c == '\r' ? state::end_lf : detail::is(c, detail::token_octet) ? state::trailer : state::failed;
            ignore(trailer_limit);
            break;
        case state::trailer:
            if (c == '\r')
                state_ = state::trailer_lf;
            else if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f)
                state_ = state::failed;
            else
                ignore(trailer_limit);
            break;
        case state::trailer_lf: expect(c, '\n', state::trailer_start); break;
        case state::end_lf: expect(c, '\n', state::done); break;
        case state::data:
        case state::done:
        case state::failed: break;
        }
    }
};

} // namespace mirage::http
