// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/request.hpp"
#include "mirage/app/http/date.hpp"
#include "mirage/app/http/status.hpp"
#include "mirage/core/line.hpp"
#include "mirage/core/sink.hpp"

namespace mirage::http {

/// Writes one line per response in the Combined Log Format:
/// `10.0.0.1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 2326 "referer" "user agent"`.
/// Switched off, it costs the test of one pointer.
class access_log {
    octet_sink sink_;

    /// What a peer sent, so that it can neither end the line nor the quotes.
    static void quoted(line_builder& out, std::string_view text) noexcept {
        if (text.empty())
            text = "-";
        for (const char c : text) {
            const auto code = static_cast<unsigned char>(c);
            if (code < 0x20 || code >= 0x7f || c == '"' || c == '\\')
                out.put("\\x").digits(code, 16, 2);
            else
                out.put(c);
        }
    }

public:
    access_log() noexcept = default;
    explicit access_log(octet_sink sink) noexcept : sink_{sink} {}

    bool enabled() const noexcept { return static_cast<bool>(sink_); }

    /// `asked` is nullptr when there was no head that could be read.
    void write(const auto& peer, unix_seconds now, const request* asked, status s, std::uint64_t content) noexcept {
        line<1024> text;
        // "Sun, 06 Nov 1994 08:49:37 GMT" has everything, in another order
        const auto date = format_date(now);
        const auto part = [&date](std::size_t at, std::size_t size) { return std::string_view{date.data() + at, size}; };
        text << peer << " - - [" << part(5, 2) << '/' << part(8, 3) << '/' << part(12, 4) << ':' << part(17, 8)
             << " +0000] \"";
        quoted(text, asked != nullptr ? asked->line().substr(0, 400) : std::string_view{});
        text << "\" " << static_cast<unsigned>(s) << ' ';
        if (content == 0)
            text << '-';
        else
            text << content;
        text << " \"";
        quoted(text, asked != nullptr ? asked->field(field_name::referer).substr(0, 160) : std::string_view{});
        text << "\" \"";
        quoted(text, asked != nullptr ? asked->field(field_name::user_agent).substr(0, 160) : std::string_view{});
        text << "\"";
        sink_.write(as_octets(text.view()));
        sink_.write(as_octets("\n"));
    }
};

} // namespace mirage::http
