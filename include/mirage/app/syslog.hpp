// SPDX-License-Identifier: MIT
#pragma once
// What an appliance logs, to a syslog server: RFC 5424 messages in UDP datagrams (RFC 5426).
#include "mirage/app/http/date.hpp"
#include "mirage/core/line.hpp"
#include "mirage/core/log.hpp"
#include "mirage/core/sink.hpp"
#include "mirage/device/clock.hpp"
#include <array>

namespace mirage {

/// RFC 5424 section 6.2.1, table 1: those that an appliance is likely to be.
enum class syslog_facility : std::uint8_t { user = 1, daemon = 3, local0 = 16, local1, local2, local3, local4, local5, local6, local7 };

/// RFC 5424 section 6.2.1, table 2.
constexpr unsigned syslog_severity(log_level l) noexcept {
    switch (l) {
    case log_level::error: return 3;
    case log_level::warn: return 4;
    case log_level::info: return 6;
    case log_level::debug: break;
    }
    return 7;
}

/// What stands in a line of the log, as log_line writes it: "[    1.000000] error: source: text", without a level where it is info.
struct parsed_log_line {
    log_level level = log_level::info;
    std::string_view source{}, text{};

    static constexpr parsed_log_line of(std::string_view line) noexcept {
        parsed_log_line parsed;
        if (line.ends_with('\n'))
            line.remove_suffix(1);
        if (const auto at = line.find("] "); line.starts_with('[') && at != line.npos)
            line.remove_prefix(at + 2);
        for (const log_level l : {log_level::error, log_level::warn, log_level::debug})
            if (const auto word = message(l); line.starts_with(word) && line.substr(word.size()).starts_with(": ")) {
                parsed.level = l;
                line.remove_prefix(word.size() + 2);
            }
        const auto colon = line.find(": ");
        if (colon != line.npos) {
            parsed.source = line.substr(0, colon);
            line.remove_prefix(colon + 2);
        }
        parsed.text = line;
        return parsed;
    }
};

/// A place for log lines that sends each to a syslog server, and hands it on to another place, a console for one:
///
///     syslog<decltype(socket), ipv4_endpoint, Clk> remote{socket, clock, {.server = {address, 514}, .host = "web1"}, console};
///     log_output output{ctx.loop, remote};
///     log_source log{output, name};
///
/// `Socket` is a UDP socket of the stack. Nobody hears of a datagram that is lost (RFC 5426 section 4.1 has no acknowledgement); what
/// could not even be sent is counted. Lines that the network logs while it sends one are handed on, and not sent.
template <class Socket, class Endpoint, clock Clock>
class syslog {
public:
    struct options {
        Endpoint server{};                    ///< RFC 5426 section 3.3: port 514
        std::string_view host = "-";          ///< HOSTNAME: a name or an address. Static text
        syslog_facility facility = syslog_facility::local0;
    };
    /// Octets of a message: more would be fragmented, or not taken (RFC 5426 section 3.2).
    static constexpr std::size_t largest = 1180;

private:
    Socket& socket_;
    Clock& clock_;
    options options_;
    octet_sink also_;
    std::uint64_t sent_ = 0, lost_ = 0;
    bool busy_ = false;

    /// RFC 5424 section 6.2.3: microseconds are as fine as it goes. A clock that was never set has nothing to say.
    static void put_time(line_builder& line, wall_time now) noexcept {
        const auto us = now.time_since_epoch().count() / 1000;
        const auto seconds = us / 1'000'000;
        if (seconds < 946'684'800) { // before the year 2000
            line.put('-');
            return;
        }
        const auto c = http::detail::calendar(seconds);
        line.digits(c.year, 10, 4).put('-').digits(c.month, 10, 2).put('-').digits(c.day, 10, 2).put('T');
        line.digits(c.hour, 10, 2).put(':').digits(c.minute, 10, 2).put(':').digits(c.second, 10, 2).put('.');
        line.digits(static_cast<std::uint64_t>(us % 1'000'000), 10, 6).put('Z');
    }
    /// A field of the header: printable, without spaces, of bounded length; "-" when empty (RFC 5424 section 6).
    static void put_field(line_builder& line, std::string_view text, std::size_t most) noexcept {
        if (text.empty())
            line.put('-');
        for (const char c : text.substr(0, most))
            line.put(c > ' ' && c < '\x7f' ? c : '_');
    }

public:
    syslog(Socket& socket, Clock& clock, const options& o, octet_sink also = {}) noexcept
        : socket_{socket}, clock_{clock}, options_{o}, also_{also} {}

    /// A line of the log.
    void write(octets line) noexcept {
        also_.write(line);
        if (busy_)
            return;
        busy_ = true;
        const auto parsed = parsed_log_line::of(as_text(line));
        std::array<char, largest> room;
        line_builder out{std::span<char>{room}};
        const unsigned priority = static_cast<unsigned>(options_.facility) * 8 + syslog_severity(parsed.level);
        out.put('<').digits(priority).put(">1 ");
        put_time(out, clock_.wall());
        out.put(' ');
        put_field(out, options_.host, 255);
        out.put(' ');
        put_field(out, parsed.source, 48);
        out.put(" - - - ").put(parsed.text); // no PROCID, MSGID and structured data
        ++(socket_.send_to(options_.server, as_octets(out.view())) ? sent_ : lost_);
        busy_ = false;
    }

    std::uint64_t sent() const noexcept { return sent_; }
    std::uint64_t lost() const noexcept { return lost_; } ///< no route, no page, or no room in the device
};

} // namespace mirage
