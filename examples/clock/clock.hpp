// SPDX-License-Identifier: MIT
#pragma once
#include <chrono>
#include <mirage/core/utc.hpp>
#include <mirage/mirage.hpp>
#include <mirage/os/log_key.hpp>

/// Says what time it is, again and again, and how late it was each time.
template <mirage::clock Clk>
class wall_clock {
    Clk& clock_;

public:
    static constexpr std::string_view name = "clock";
    static constexpr std::string_view summary = "says what time it is, at regular intervals";

    struct options {
        std::uint32_t ticks = 5;
        mirage::duration interval = std::chrono::seconds{1};
    };
    static constexpr auto keys = mirage::os::keys(
        mirage::os::log_key,
        mirage::os::key<&options::ticks>{"ticks", "how often; 0 is for ever"},
        mirage::os::key<&options::interval>{"interval", "time from one tick to the next"}.range(
            std::chrono::milliseconds{1}, std::chrono::hours{24}));

    explicit wall_clock(Clk& clock) noexcept : clock_{clock} {}

    mirage::task<int> run(mirage::os::context& ctx, const options& chosen) {
        const mirage::instant begin = clock_.now();
        mirage::duration latest{};
        for (std::uint32_t tick = 0; chosen.ticks == 0 || tick < chosen.ticks; ++tick) {
            // Counted from the beginning: what is late once does not make everything after it late.
            const mirage::instant due = begin + chosen.interval * (std::int64_t{tick} + 1);
            co_await ctx.loop.sleep_until(due);
            const mirage::duration late = clock_.now() - due;
            if (late < mirage::duration::zero()) {
                ctx.log.error() << "woken up before it was time";
                co_return 1;
            }
            latest = late > latest ? late : latest;
            ctx.log.info() << mirage::utc{clock_.wall()} << ", " << clock_.now() << " s since boot, " << late << " late";
        }
        ctx.log.info() << chosen.ticks << " ticks, the latest by " << latest;
        co_return 0;
    }
};
