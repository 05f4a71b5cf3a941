// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/date.hpp"
#include "mirage/core/time.hpp"

namespace mirage::http {

/// What every response says after its status line, kept for a second: "\r\nServer: ...\r\nDate: ...\r\n". The wall
/// clock, which may cost a hypercall, is read once a second at most.
class date_cache {
    static constexpr std::string_view head{"\r\nServer: mirage\r\nDate: "}, tail{"\r\n"};
    std::array<char, head.size() + date_size + tail.size()> text_{};
    unix_seconds wall_ = 0;
    instant good_until_ = instant::min();

    void renew(instant now, wall_time wall) noexcept {
        const auto since_epoch = wall.time_since_epoch();
        const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
        wall_ = seconds.count();
        good_until_ = now + (std::chrono::seconds{1} - (since_epoch - seconds));
        const auto date = format_date(wall_);
        char* const at = text_.data();
        std::copy(head.begin(), head.end(), at);
        std::copy(date.begin(), date.end(), at + head.size());
        std::copy(tail.begin(), tail.end(), at + head.size() + date.size());
    }

public:
    /// `now` and `clock` tell the time. Valid until the next call.
    template <class Clock>
    std::string_view fields(instant now, const Clock& clock) noexcept {
        if (now >= good_until_) [[unlikely]]
            renew(now, clock.wall());
        return {text_.data(), text_.size()};
    }
    /// As of the last fields().
    unix_seconds wall() const noexcept { return wall_; }
};

} // namespace mirage::http
