// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/random.hpp"
#include "mirage/wire/ntp.hpp"
#include <algorithm>

namespace mirage::net {

/// What a reply is good for.
enum class sntp_verdict : std::uint8_t {
    good,
    stray,    ///< not an answer to what was asked: wait on
    unusable, ///< the server does not know the time, or says what cannot be
    slower,   ///< the server wants to be asked less often: RFC 5905 section 7.4, code RATE
    denied,   ///< the server is not to be asked again: RFC 5905 section 7.4, codes DENY and RSTR
};

/// What was measured. RFC 5905 section 8
struct sntp_sample {
    sntp_verdict verdict = sntp_verdict::stray;
    duration offset{}; ///< how much our wall clock is behind
    duration delay{};  ///< of the way to the server and back
};

/// One question for the time, and its answer: the client of RFC 5905 section 14. Pure: time and randomness come in.
///
/// The question tells nothing about us: its transmit timestamp is a random number, which the answer must bring back
/// (RFC 9109 section 1 and RFC 5905 section 8). When it left is remembered here.
class sntp_exchange {
    wire::ntp_time cookie_{};
    instant sent_at_{};
    bool open_ = false;

public:
    static constexpr duration most_distance = std::chrono::seconds{16}; ///< MAXDISP: RFC 5905 section 11.1
    static constexpr duration most_delay = std::chrono::seconds{5};
    /// How much longer than the whole a part of it may seem, to clocks that tick differently.
    static constexpr duration most_haste = std::chrono::milliseconds{1};

    template <random_source Random>
    wire::ntp_packet request(instant now, Random& random) noexcept {
        do
            cookie_.value = random_integer<std::uint64_t>(random);
        while (cookie_.value == 0);
        sent_at_ = now;
        open_ = true;
        return {.transmit = cookie_};
    }

    /// Judges a message from the server. `wall` is our wall clock at `now`. One answer is taken, and no more.
    constexpr sntp_sample reply(const wire::ntp_view& m, instant now, wall_time wall) noexcept {
        // RFC 5905 section 8, tests 1 and 2: neither a duplicate, nor somebody who has not seen the question
        if (!open_ || m.mode() != wire::ntp_mode::server || m.origin() != cookie_)
            return {};
        open_ = false;
        if (m.stratum() == 0)
            return {.verdict = kiss(m.reference_id())};
        const duration away = now - sent_at_, there = m.transmit().wall() - m.receive().wall();
        sntp_sample sample{.verdict = sntp_verdict::good, .delay = std::max(away - there, duration{})};
        // What the server sent half of the way ago is what our clock should show now.
        sample.offset = m.transmit().wall() + sample.delay / 2 - wall;
        const bool synchronised = m.leap() != 3 && m.stratum() < 16; // test 6
        const bool has_times = m.receive().value != 0 && m.transmit().value != 0; // test 3
        const bool in_order = there >= duration{} && there <= away + most_haste && away - there <= most_delay;
        const bool near = m.root_delay() / 2 + m.root_dispersion() < most_distance; // test 7
        const bool fresh = m.reference().value == 0 || m.reference().wall() <= m.transmit().wall();
        if (!synchronised || !has_times || !in_order || !near || !fresh)
            sample.verdict = sntp_verdict::unusable;
        return sample;
    }

private:
    static constexpr sntp_verdict kiss(std::uint32_t code) noexcept {
        return code == wire::ntp_kiss::rate                                               ? sntp_verdict::slower
               : code == wire::ntp_kiss::deny || code == wire::ntp_kiss::restricted ? sntp_verdict::denied
                                                                                    : sntp_verdict::unusable;
    }
};

/// How long to wait until the next question. RFC 5905 section 7.2 (MINPOLL and above), RFC 8633 section 3.1
class sntp_pace {
    duration interval_ = least;
    duration retry_ = first_retry;
    bool synchronised_ = false;

public:
    static constexpr duration least = std::chrono::seconds{64}, most = std::chrono::seconds{1024};
    static constexpr duration first_retry = std::chrono::seconds{4}; ///< doubled until it is like any other question

    /// The clock was set: ask less and less often.
    constexpr duration success() noexcept {
        const duration wait = interval_;
        interval_ = std::min(interval_ * 2, most);
        retry_ = first_retry;
        synchronised_ = true;
        return wait;
    }
    /// No use: soon again as long as there is no time at all, and with patience otherwise.
    constexpr duration failure() noexcept {
        const duration wait = synchronised_ ? std::max(retry_, least) : retry_;
        retry_ = std::min(retry_ * 2, most);
        return wait;
    }
    /// RFC 5905 section 7.4: the client must reduce its polling rate, and not come back to the old one.
    constexpr duration slower() noexcept {
        interval_ = std::min(interval_ * 2, 16 * most);
        retry_ = interval_;
        return interval_;
    }
};

} // namespace mirage::net
