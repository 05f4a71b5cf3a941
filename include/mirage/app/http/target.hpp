// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/syntax.hpp"
#include "mirage/core/errc.hpp"
#include <span>
#include <string_view>

namespace mirage::http {

/// A request target taken apart (RFC 9112 section 3.2).
struct request_target {
    std::string_view path{};  ///< begins with "/", percent-decoded, without dot segments; "*" for the whole server
    std::string_view query{}; ///< what follows the first "?", as it was sent
};

namespace detail {

constexpr int hex_digit(char c) noexcept {
    return c >= '0' && c <= '9' ? c - '0' : to_lower(c) >= 'a' && to_lower(c) <= 'f' ? to_lower(c) - 'a' + 10 : -1;
}

/// Drops the last segment of path[0, size), which ends in "/". Whether there was one to drop.
constexpr bool drop_segment(std::span<char> path, std::size_t& size) noexcept {
    if (size <= 1)
        return false;
    --size;
    while (path[size - 1] != '/')
        --size;
    return true;
}

} // namespace detail

/// Decodes and normalises an absolute path into `room`.
///
/// Percent-encoded octets are decoded once (RFC 3986 section 2.4), then "." and ".." segments are resolved
/// (section 5.2.4). errc::malformed: an incomplete or wrong escape; an escaped control character or NUL; an escaped
/// "/", which would change the segments; a ".." that would leave the root, which no honest client sends.
/// errc::too_large: `room` is too small; as large as `text` is enough.
constexpr result<std::string_view> normalise_path(std::string_view text, std::span<char> room) noexcept {
    std::size_t size = 0;
    for (std::size_t i = 0; i < text.size();) {
        // one segment: "/" and what follows up to the next
        if (size == room.size())
            return std::unexpected(errc::too_large);
        if (size == 0 || room[size - 1] != '/' || (i != 0 && text[i - 1] == '/')) // an empty segment stays
            room[size++] = '/';
        const std::size_t segment = size;
        for (++i; i < text.size() && text[i] != '/'; ++i) {
            char c = text[i];
            if (c == '%') {
                if (text.size() - i < 3)
                    return std::unexpected(errc::malformed);
                const int high = detail::hex_digit(text[i + 1]), low = detail::hex_digit(text[i + 2]);
                const int value = high < 0 || low < 0 ? 0 : high * 16 + low;
                if (value < 0x20 || value == 0x7f || value == '/')
                    return std::unexpected(errc::malformed);
                c = static_cast<char>(value);
                i += 2;
            }
            if (size == room.size())
                return std::unexpected(errc::too_large);
            room[size++] = c;
        }
        const std::string_view last{room.data() + segment, size - segment};
        if (last == ".") {
            size = segment;
        } else if (last == "..") {
            size = segment;
            if (!detail::drop_segment(room, size))
                return std::unexpected(errc::malformed);
        }
    }
    return std::string_view{room.data(), size};
}

/// Splits `text`, a request target of visible characters. `take_room(n)` gives a span of at least `n` characters
/// for a path that has to be rewritten, which few have; a smaller one is errc::too_large.
/// errc::malformed: not one of the forms that a server other than a proxy serves.
template <class TakeRoom>
constexpr result<request_target> parse_target(std::string_view text, TakeRoom take_room) noexcept {
    request_target t;
    if (text == "*") { // asterisk-form, for OPTIONS
        t.path = text;
        return t;
    }
    if (text.front() != '/') { // absolute-form: a server has to accept it (RFC 9112 section 3.2.2)
        const auto scheme = text.find("://");
        if (scheme == std::string_view::npos
            || !(equals_lower(text.substr(0, scheme), "http") || equals_lower(text.substr(0, scheme), "https")))
            return std::unexpected(errc::malformed);
        text.remove_prefix(scheme + 3);
        const auto authority = text.find_first_of("/?");
        if (authority == 0 || text.empty())
            return std::unexpected(errc::malformed);
        text.remove_prefix(authority == std::string_view::npos ? text.size() : authority);
    }
    const auto question = text.find('?');
    if (question != std::string_view::npos) {
        t.query = text.substr(question + 1);
        text = text.substr(0, question);
    }
    if (text.empty())
        text = "/";
    if (text.find('%') == std::string_view::npos && text.find("/.") == std::string_view::npos) {
        t.path = text;
        return t;
    }
    const auto path = normalise_path(text, take_room(text.size()));
    if (!path)
        return std::unexpected(path.error());
    t.path = *path;
    return t;
}

} // namespace mirage::http
