// SPDX-License-Identifier: MIT
#include "mirage/core/timer_wheel.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include <doctest/doctest.h>
#include <memory>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;

namespace {

constexpr duration tick{1 << 16};

struct model_timer : timer {
    std::vector<model_timer*>& fired;
    bool pending = false;
    explicit model_timer(std::vector<model_timer*>& f) noexcept
        : timer{[](timer& self) noexcept {
              auto& t = static_cast<model_timer&>(self);
              t.fired.push_back(&t);
          }},
          fired{f} {}
};

/// A wheel beside the plain truth: a list of timers that is searched from end to end.
class both {
    timer_wheel wheel_;
    std::vector<model_timer*> fired_;
    std::vector<std::unique_ptr<model_timer>> timers_;
    instant now_{}, last_{};
    memory::seeded_random random_;

public:
    both(std::uint64_t seed, std::size_t count, instant start) : now_{start}, last_{start}, random_{seed} {
        for (std::size_t i = 0; i < count; ++i)
            timers_.push_back(std::make_unique<model_timer>(fired_));
        wheel_.expire(now_);
    }

    /// Evenly over the magnitudes: nanoseconds to months.
    duration some_time() {
        const auto bits = 1 + random_.below(53);
        return duration{static_cast<std::int64_t>(random_.next() >> (64 - bits))};
    }

    void change() {
        model_timer& t = *timers_[random_.below(timers_.size())];
        switch (random_.below(5)) {
        case 0:
            t.disarm();
            t.pending = false;
            break;
        case 1:
            wheel_.arm(t, now_ - some_time());
            t.pending = true;
            break;
        default:
            wheel_.arm(t, now_ + some_time());
            t.pending = true;
        }
    }

    void expire(instant to) {
        now_ = std::max(now_, to);
        wheel_.expire(now_);
        for (const model_timer* const t : fired_) {
            REQUIRE(t->pending);            // once, and only when armed
            REQUIRE(t->deadline() <= now_); // never early
            REQUIRE_FALSE(t->armed());
            const_cast<model_timer*>(t)->pending = false;
        }
        for (std::size_t i = 1; i < fired_.size(); ++i)
            if (fired_[i]->deadline() > last_) // it was not overdue: then in the order of the ticks
                REQUIRE(fired_[i - 1]->deadline() < fired_[i]->deadline() + tick);
        last_ = now_;
        fired_.clear();
        for (const auto& t : timers_)
            if (t->pending) {
                REQUIRE(t->armed());
                REQUIRE(t->deadline() + tick > now_); // at most one tick late
            }
    }

    void check_next() {
        instant first = never;
        for (const auto& t : timers_)
            if (t->pending)
                first = std::min(first, t->deadline());
        const instant next = wheel_.next_deadline();
        if (first == never)
            REQUIRE(next == never);
        else if (first > now_)
            REQUIRE(next < first + tick);
        else
            REQUIRE(next < now_ + tick);
    }

    void jump() { expire(now_ + some_time()); }
    void follow() {
        const instant next = wheel_.next_deadline();
        if (next != never)
            expire(next);
    }

    /// Following next_deadline() alone, everything fires, in few wake-ups per timer.
    void finish() {
        std::size_t armed = 0;
        for (const auto& t : timers_)
            armed += t->pending;
        std::size_t turns = 0;
        while (wheel_.next_deadline() != never) {
            follow();
            REQUIRE(++turns <= armed * 12 + 12);
        }
        for (const auto& t : timers_)
            REQUIRE_FALSE(t->pending);
    }
};

struct chain : timer {
    timer_wheel& wheel;
    int left;
    instant at{};
    chain(timer_wheel& w, int n) noexcept
        : timer{[](timer& self) noexcept {
              auto& c = static_cast<chain&>(self);
              if (--c.left > 0)
                  c.wheel.arm(c, c.at);
          }},
          wheel{w}, left{n} {}
};

struct killer : timer {
    std::unique_ptr<killer> victim;
    int& deaths;
    explicit killer(int& d) noexcept
        : timer{[](timer& self) noexcept { static_cast<killer&>(self).victim.reset(); }}, deaths{d} {}
    ~killer() { ++deaths; }
};

} // namespace

TEST_CASE("the wheel agrees with a plain list over random arming, disarming and jumps") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        INFO("seed " << seed);
        // Some start at zero, some just before a level's turn, some anywhere.
        const instant start = seed % 3 == 0   ? instant{}
                              : seed % 3 == 1 ? instant{duration{(std::int64_t{1} << 52) - (1 << 18)}}
                                              : instant{duration{static_cast<std::int64_t>(seed) * 1234567891011}};
        both b{seed, 40, start};
        memory::seeded_random random{seed};
        for (int i = 0; i < 2000; ++i) {
            switch (random.below(6)) {
            case 0: b.jump(); break;
            case 1: b.follow(); break;
            default: b.change();
            }
            b.check_next();
        }
        b.finish();
    }
}

TEST_CASE("a timer for never keeps the wheel turning, at every position of the wheel") {
    for (const std::int64_t at : {std::int64_t{0}, std::int64_t{5} << 16, (std::int64_t{1} << 52) - 1, std::int64_t{3} << 50}) {
        timer_wheel wheel;
        wheel.expire(instant{duration{at}});
        std::vector<model_timer*> fired;
        model_timer t{fired};
        wheel.arm(t, never);
        for (int i = 1; i < 5; ++i)
            wheel.expire(instant{duration{at}} + i * 24h * 40);
        CHECK(t.armed());
        CHECK(fired.empty());
        CHECK(wheel.next_deadline() > instant{duration{at}} + 24h * 160);
    }
}

TEST_CASE("an empty wheel has no deadline, also after its last timer was disarmed or died") {
    timer_wheel wheel;
    std::vector<model_timer*> fired;
    CHECK(wheel.next_deadline() == never);
    model_timer t{fired};
    wheel.arm(t, instant{1h});
    {
        model_timer u{fired};
        wheel.arm(u, instant{1s});
        CHECK(wheel.next_deadline() <= instant{1s} + tick);
    }
    CHECK(wheel.next_deadline() > instant{1s} + tick);
    t.disarm();
    CHECK(wheel.next_deadline() == never);
    wheel.expire(instant{2h});
    CHECK(fired.empty());
}

TEST_CASE("a timer that arms itself for the past fires again in the same expire()") {
    timer_wheel wheel;
    chain c{wheel, 5};
    wheel.arm(c, instant{1ms});
    wheel.expire(instant{2ms});
    CHECK(c.left == 0);
    CHECK_FALSE(c.armed());
}

TEST_CASE("a timer may destroy another that is due at the same tick") {
    int deaths = 0;
    timer_wheel wheel;
    auto a = std::make_unique<killer>(deaths);
    a->victim = std::make_unique<killer>(deaths);
    wheel.arm(*a, instant{1ms});
    wheel.arm(*a->victim, instant{1ms});
    wheel.expire(instant{3ms});
    CHECK(deaths == 1);
    CHECK(wheel.next_deadline() == never);
}
