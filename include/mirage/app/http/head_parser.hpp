// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/accept.hpp"
#include "mirage/app/http/method.hpp"
#include "mirage/app/http/status.hpp"
#include "mirage/app/http/syntax.hpp"
#include "mirage/core/octets.hpp"
#include "mirage/core/text_table.hpp"
#include <array>
#include <cstdint>
#include <memory>

namespace mirage::http {

/// How long the parts of a head may be, in octets.
struct head_limits {
    std::uint16_t request_line = 8000; ///< RFC 9112 section 3 recommends at least 8000; beyond it 414
    std::uint16_t head = 12288;        ///< all of it; beyond it 431
    std::uint16_t fields = 100;        ///< field lines; beyond it 431
};

/// Field names that the server itself understands.
enum class field_name : std::uint8_t {
    host,
    expect,
    if_match,
    if_none_match,
    if_modified_since,
    if_unmodified_since,
    if_range,
    range,
    user_agent,
    referer,
    count, ///< not a name
};

/// A piece of a head: by offset, because heads move between buffers while they grow.
struct extent {
    std::uint16_t at = 0, size = 0;
    constexpr std::string_view of(std::string_view head) const noexcept { return {head.data() + at, size}; }
};

/// What a request head says, after RFC 9112 section 2 to 6 and 9.
struct request_head {
    http::method method = http::method::unknown;
    bool http_1_0 = false;
    bool keep_alive = true;     ///< RFC 9112 section 9.3
    bool chunked = false;       ///< RFC 9112 section 6.1
    bool has_length = false;    ///< Content-Length was there
    bool expects_continue = false;
    bool has_accept_encoding = false;
    std::uint16_t fields_at = 0; ///< where the field section begins
    std::uint16_t size = 0;      ///< octets, the final empty line included
    extent request_line, target;
    std::uint64_t content_length = 0;
    acceptable_codings codings;
    std::uint16_t seen = 0, repeated = 0; ///< one bit per field_name
    std::array<extent, static_cast<std::size_t>(field_name::count)> fields{};

    constexpr bool has(field_name f) const noexcept { return (seen >> static_cast<unsigned>(f) & 1) != 0; }
    constexpr bool is_repeated(field_name f) const noexcept {
        return (repeated >> static_cast<unsigned>(f) & 1) != 0;
    }
};

namespace detail {
/// The names that mean something to head_parser, in the order of their lengths.
inline constexpr auto known_names = std::to_array<std::string_view>({
    "host", "range", "expect", "referer", "if-match", "if-range", "connection", "user-agent",
    "if-none-match", "content-length", "accept-encoding", "transfer-encoding", "if-modified-since",
    "if-unmodified-since",
});
} // namespace detail

/// Reads a request head where it lies. Incremental: each parse() is given everything from the head's first octet
/// on, goes on where the last one stopped, and never looks twice at a line that was complete. Allocates nothing;
/// the octets may lie elsewhere each time.
class head_parser {
public:
    enum class outcome : std::uint8_t { incomplete, complete, failed };

    explicit constexpr head_parser(const head_limits& limits) noexcept : limits_{&limits} {}

    /// `complete`: head() is valid. `failed`: error() says how to answer, and the connection cannot go on, for
    /// nobody knows where the next request begins.
    outcome parse(octets from_start) noexcept {
        const auto* const begin = reinterpret_cast<const char*>(from_start.data());
        const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(from_start.size(), max_size));
        // A line that was incomplete is looked at again only once its end is there: linear work for any split.
        if (scanned_ != 0) {
            if (scanned_ >= size || std::memchr(begin + scanned_, '\n', size - scanned_) == nullptr)
                return wait(size);
        }
        const char* const end = begin + size;
        for (;;) {
            const std::uint32_t before = line_;
            const outcome o = phase_ == phase::fields ? field_line(begin, end) : request_line(begin, end);
            if (o != outcome::incomplete)
                return o;
            if (line_ == before)
                return wait(size);
        }
    }

    constexpr const request_head& head() const noexcept { return head_; }
    constexpr status error() const noexcept { return error_; }
    /// Whether a part of a request was seen; an empty line before it is not (RFC 9112 section 2.2).
    constexpr bool begun() const noexcept { return phase_ == phase::fields || scanned_ > line_; }

    constexpr void reset() noexcept { std::construct_at(this, *limits_); }

private:
    enum class phase : std::uint8_t { start, fields };
    static constexpr std::uint32_t max_size = 65000;

    const head_limits* limits_;
    std::uint32_t line_ = 0;    ///< where the first line that is not parsed begins
    std::uint32_t scanned_ = 0; ///< up to here there is no end of that line
    std::uint16_t count_ = 0;   ///< field lines
    phase phase_ = phase::start;
    bool has_transfer_encoding_ = false, other_coding_ = false, connection_close_ = false,
         connection_keep_alive_ = false;
    status error_ = status::bad_request;
    request_head head_;

    outcome fail(status s) noexcept {
        error_ = s;
        return outcome::failed;
    }

    outcome wait(std::uint32_t size) noexcept {
        scanned_ = size;
        if (phase_ == phase::start && size - line_ > limits_->request_line + 1u) // its CR may be there
            return fail(status::uri_too_long);
        if (size >= limits_->head)
            return fail(phase_ == phase::start ? status::uri_too_long : status::fields_too_large);
        return outcome::incomplete;
    }

    static constexpr extent piece(const char* begin, const char* from, const char* to) noexcept {
        return {static_cast<std::uint16_t>(from - begin), static_cast<std::uint16_t>(to - from)};
    }

    outcome next_line(const char* begin, const char* at) noexcept {
        line_ = static_cast<std::uint32_t>(at - begin);
        scanned_ = 0;
        return line_ > limits_->head ? fail(status::fields_too_large) : outcome::incomplete;
    }

    /// request-line = method SP request-target SP HTTP-version (RFC 9112 section 3). Single spaces, nothing else.
    outcome request_line(const char* begin, const char* end) noexcept {
        const char* const line = begin + line_;
        const char* at = line;
        if (at == end)
            return outcome::incomplete;
        if (*at == '\r') { // empty lines before a request: RFC 9112 section 2.2
            if (at + 1 == end)
                return outcome::incomplete;
            if (at[1] != '\n' || line_ >= 16)
                return fail(status::bad_request);
            return next_line(begin, at + 2);
        }
        while (at != end && detail::is(*at, detail::token_octet))
            ++at;
        if (at == end)
            return outcome::incomplete;
        if (*at != ' ' || at == line)
            return fail(status::bad_request);
        const std::string_view method_text{line, static_cast<std::size_t>(at - line)};
        const char* const target = ++at;
        while (at != end && detail::is(*at, detail::target_octet))
            ++at;
        if (at == end)
            return outcome::incomplete;
        if (*at != ' ' || at == target)
            return fail(status::bad_request);
        const char* const target_end = at++;
        // HTTP-version = "HTTP/" DIGIT "." DIGIT, then CRLF
        constexpr std::string_view shape{"HTTP/0.0\r\n"}, usual{"HTTP/1.1\r\n"};
        const bool is_usual = end - at >= 10 && std::memcmp(at, usual.data(), 10) == 0;
        for (std::size_t i = is_usual ? shape.size() : 0; i < shape.size(); ++i) {
            if (at + i == end)
                return outcome::incomplete;
            if (shape[i] == '0' ? !detail::is(at[i], detail::digit_octet) : at[i] != shape[i])
                return fail(status::bad_request);
        }
        if (at + 8 - line > limits_->request_line)
            return fail(status::uri_too_long);
        if (at[5] != '1')
            return fail(status::version_not_supported);
        head_.http_1_0 = at[7] == '0';
        head_.method = parse_method(method_text);
        head_.target = piece(begin, target, target_end);
        head_.request_line = piece(begin, line, at + 8);
        at += shape.size();
        head_.fields_at = static_cast<std::uint16_t>(at - begin);
        phase_ = phase::fields;
        return next_line(begin, at);
    }

    /// field-line = field-name ":" OWS field-value OWS (RFC 9112 section 5), or the empty line that ends the head.
    outcome field_line(const char* begin, const char* end) noexcept {
        const char* const line = begin + line_;
        const char* at = line;
        while (at != end && detail::is(*at, detail::token_octet))
            ++at;
        if (at == end)
            return outcome::incomplete;
        if (at == line) {
            if (*at == '\r') {
                if (at + 1 == end)
                    return outcome::incomplete;
                return at[1] == '\n' ? finish(begin, at + 2) : fail(status::bad_request);
            }
            return fail(status::bad_request); // obs-fold (RFC 9112 section 5.2), a bare LF, an empty name
        }
        if (*at != ':') // also the space before a colon: RFC 9112 section 5.1
            return fail(status::bad_request);
        const std::string_view name{line, static_cast<std::size_t>(at - line)};
        const char* value = at + 1;
        while (value != end && (*value == ' ' || *value == '\t'))
            ++value;
        const char* const stop = detail::find_control(value, end);
        if (stop == end || stop + 1 == end)
            return stop != end && *stop != '\r' ? fail(status::bad_request) : outcome::incomplete;
        if (stop[0] != '\r' || stop[1] != '\n') // NUL, bare CR or LF: RFC 9110 section 5.5, RFC 9112 section 2.2
            return fail(status::bad_request);
        const char* value_end = stop;
        while (value_end != value && (value_end[-1] == ' ' || value_end[-1] == '\t'))
            --value_end;
        if (++count_ > limits_->fields)
            return fail(status::fields_too_large);
        if (!field(begin, name, {value, static_cast<std::size_t>(value_end - value)}))
            return outcome::failed;
        return next_line(begin, stop + 2);
    }

    bool remember(const char* begin, field_name f, std::string_view value) noexcept {
        const auto bit = static_cast<std::uint16_t>(1u << static_cast<unsigned>(f));
        if ((head_.seen & bit) != 0)
            head_.repeated |= bit;
        else
            head_.fields[static_cast<std::size_t>(f)] = piece(begin, value.data(), value.data() + value.size());
        head_.seen |= bit;
        return true;
    }

    /// What they are: those of field_name under its numbers.
    enum known : std::uint8_t { connection_name = static_cast<std::uint8_t>(field_name::count), length_name,
                                encoding_name, accept_name };
    using known_names = text_table<detail::known_names>;
    static constexpr std::size_t known_count = known_names::size;
    static constexpr auto known_ids = [] {
        using enum field_name;
        constexpr auto id = [](field_name f) { return static_cast<std::uint8_t>(f); };
        return std::array<std::uint8_t, known_count>{
            id(host), id(range), id(expect), id(referer), id(if_match), id(if_range), connection_name,
            id(user_agent), id(if_none_match), length_name, accept_name, encoding_name,
            id(if_modified_since), id(if_unmodified_since)};
    }();
    static constexpr std::size_t longest_name = 19;
    /// first_of_length[n] to first_of_length[n + 1]: the names of n characters.
    static constexpr auto first_of_length = [] {
        std::array<std::uint8_t, longest_name + 2> first{};
        for (std::size_t n = 0; n < first.size(); ++n)
            while (first[n] < known_count && detail::known_names[first[n]].size() < n)
                ++first[n];
        return first;
    }();

    /// Whether the field is acceptable.
    bool field(const char* begin, std::string_view name, std::string_view value) noexcept {
        if (name.size() > longest_name)
            return true;
        std::size_t i = first_of_length[name.size()];
        const std::size_t end = first_of_length[name.size() + 1];
        while (i < end && !equals_lower(name, known_names::at(i)))
            ++i;
        if (i == end)
            return true;
        switch (known_ids[i]) {
        case connection_name: return connection(value);
        case length_name: return content_length(value);
        case encoding_name: return transfer_encoding(value);
        case accept_name:
            head_.has_accept_encoding = true;
            head_.codings.add(value);
            return true;
        case static_cast<std::uint8_t>(field_name::host): return host(begin, value);
        case static_cast<std::uint8_t>(field_name::expect):
            head_.expects_continue |= equals_lower(value, "100-continue");
            break;
        default: break;
        }
        return remember(begin, static_cast<field_name>(known_ids[i]), value);
    }

    /// RFC 9112 section 3.2: more than one, or a value that is no uri-host [":" port], is 400.
    bool host(const char* begin, std::string_view value) noexcept {
        if (head_.has(field_name::host))
            return false;
        for (const char c : value)
            if (!detail::is(c, detail::host_octet))
                return false;
        return remember(begin, field_name::host, value);
    }

    bool connection(std::string_view value) noexcept {
        for_each_element(value, [this](std::string_view option) {
            if (equals_lower(option, "close"))
                connection_close_ = true;
            else if (equals_lower(option, "keep-alive"))
                connection_keep_alive_ = true;
            return true;
        });
        return true;
    }

    /// RFC 9112 section 6.3 rule 5: several values are one when they are all valid and the same.
    bool content_length(std::string_view value) noexcept {
        bool good = true, any = false;
        // not for_each_element: here an empty element is an error
        for (;;) {
            const auto comma = value.find(',');
            const auto n = parse_decimal(trim(value.substr(0, comma)));
            if (!n || (head_.has_length && *n != head_.content_length))
                good = false;
            else
                head_.content_length = *n;
            head_.has_length = any = true;
            if (!good || comma == std::string_view::npos)
                break;
            value.remove_prefix(comma + 1);
        }
        return good && any;
    }

    /// RFC 9112 section 6.1 and 7: we know chunked, and it comes last, once.
    bool transfer_encoding(std::string_view value) noexcept {
        has_transfer_encoding_ = true;
        bool good = true;
        for_each_element(value, [&](std::string_view coding) {
            if (head_.chunked)
                return good = false; // something behind chunked
            if (equals_lower(coding, "chunked"))
                head_.chunked = true;
            else
                other_coding_ = true;
            return true;
        });
        return good;
    }

    /// What can only be said once every field is known.
    outcome finish(const char* begin, const char* at) noexcept {
        head_.size = static_cast<std::uint16_t>(at - begin);
        if (head_.size > limits_->head)
            return fail(status::fields_too_large);
        if (!head_.http_1_0 && !head_.has(field_name::host))
            return fail(status::bad_request); // RFC 9112 section 3.2
        if (has_transfer_encoding_) {
            // RFC 9112 section 6.1: both lengths, or an HTTP/1.0 message with a transfer coding: faulty framing.
            // Section 6.3 rule 4: a last coding other than chunked leaves the length unknown.
            if (head_.has_length || head_.http_1_0 || !head_.chunked)
                return fail(status::bad_request);
            if (other_coding_)
                return fail(status::not_implemented);
        }
        if (head_.method == http::method::unknown)
            return fail(status::not_implemented); // RFC 9110 section 9.1
        head_.keep_alive = !connection_close_ && (!head_.http_1_0 || connection_keep_alive_);
        if (head_.http_1_0)
            head_.expects_continue = false; // RFC 9110 section 10.1.1
        return outcome::complete;
    }
};

} // namespace mirage::http
