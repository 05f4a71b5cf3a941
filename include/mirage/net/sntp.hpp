// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/combinators.hpp"
#include "mirage/core/event.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/core/task.hpp"
#include "mirage/net/routing.hpp"
#include "mirage/net/sntp_client.hpp"
#include "mirage/net/udp.hpp"
#include <array>
#include <span>
#include <string_view>

namespace mirage::net {

/// What an SNTP client has seen since it was made.
struct sntp_statistics {
    std::uint64_t asked = 0, good = 0, timeouts = 0, unusable = 0, strays = 0;
    std::uint64_t implausible = 0; ///< good by the rules, but would move a clock that was set before too far

    static constexpr auto table() noexcept {
        using s = sntp_statistics;
        return statistics_table{
            "sntp_",
            statistic{&s::asked, "asked", "Time servers asked."},
            statistic{&s::good, "good", "Answers that were used."},
            statistic{&s::timeouts, "timeouts", "Servers that did not answer."},
            statistic{&s::unusable, "unusable", "Answers that say not to use them."},
            statistic{&s::strays, "strays", "Messages that answered nothing: late or forged."},
            statistic{&s::implausible, "implausible", "Answers too far from the time here."}};
    }
};

/// Keeps the wall time of a clock right by asking time servers: joins the pure sntp_exchange to the UDP of a stack.
/// `Clock` is an adjusted_clock, or another one that has adjust(). RFC 5905 section 14, RFC 8633
///
/// The clock is set, not slewed. The first answer may move it by any amount, later ones by `panic` at most.
template <class Stack, class Clock>
class sntp {
    using socket_type = decltype(std::declval<Stack&>().udp().bind(0));
    using datagram_type = typename socket_type::datagram;
    static constexpr std::size_t max_servers = 8;

    Stack& stack_;
    Clock& clock_;
    event changed_;
    sntp_pace pace_{};
    duration last_offset_{};
    bool synchronised_ = false;
    sntp_statistics statistics_{};

    /// Those that are asked in turn.
    struct server_list {
        std::array<ipv4_address, max_servers> all{};
        std::size_t count = 0, next = 0;

        void add(ipv4_address a) noexcept {
            if (count < all.size() && is_host(a))
                all[count++] = a;
        }
        void remove(ipv4_address a) noexcept {
            const auto gone = std::ranges::remove(std::span{all}.first(count), a);
            count -= gone.size();
        }
    };

public:
    static constexpr duration timeout = std::chrono::seconds{3};    ///< of one question
    static constexpr duration panic = std::chrono::seconds{1000};   ///< PANICT: RFC 5905 section 11.2.1

    sntp(Stack& stack, Clock& clock) noexcept : stack_{stack}, clock_{clock}, changed_{stack.loop()} {}

    /// Asks `server` once and sets the clock. Gives by how much it was moved. errc::timed_out, errc::unreachable,
    /// errc::refused (nobody there), errc::closed (the server does not want to be asked, ever), errc::would_block (it does
    /// not want to be asked so often), errc::io (it does not know).
    task<result<duration>> ask(ipv4_endpoint server) noexcept {
        auto socket = stack_.udp().bind(0, 4); // a new port each time: RFC 9109 section 4
        socket.connect(server);
        sntp_exchange exchange;
        ++statistics_.asked;
        {
            std::array<std::byte, wire::ntp_packet::size> room;
            exchange.request(clock_.now(), stack_.random()).emit(room);
            if (const auto sent = socket.send_to(server, octets{room}); !sent)
                co_return std::unexpected(sent.error() == errc::would_block ? errc::timed_out : sent.error());
        }
        const instant deadline = stack_.now() + timeout;
        for (;;) {
            if (stack_.now() >= deadline) {
                ++statistics_.timeouts;
                co_return std::unexpected(errc::timed_out);
            }
            const auto heard = co_await with_timeout(stack_.loop(), next(socket), deadline - stack_.now());
            if (!heard && heard.error() != errc::timed_out)
                co_return std::unexpected(heard.error());
            const auto message = heard ? wire::ntp_view::parse(heard->data.view()) : std::unexpected(errc::timed_out);
            if (!message) {
                statistics_.strays += heard ? 1 : 0;
                continue;
            }
            const auto sample = exchange.reply(*message, clock_.now(), clock_.wall());
            switch (sample.verdict) {
            case sntp_verdict::stray: ++statistics_.strays; continue;
            case sntp_verdict::unusable: ++statistics_.unusable; co_return std::unexpected(errc::io);
            case sntp_verdict::slower: co_return std::unexpected(errc::would_block);
            case sntp_verdict::denied: co_return std::unexpected(errc::closed);
            case sntp_verdict::good: break;
            }
            if (synchronised_ && (sample.offset > panic || sample.offset < -panic)) {
                ++statistics_.implausible;
                co_return std::unexpected(errc::io);
            }
            ++statistics_.good;
            synchronised_ = true;
            last_offset_ = sample.offset;
            clock_.adjust(sample.offset);
            changed_.set();
            co_return sample.offset;
        }
    }

    /// Asks `server` again and again. Ends when it does not want to be asked.
    task<> run(ipv4_address server) noexcept {
        return keep([server](server_list& list) -> task<> {
            list.add(server);
            co_return;
        });
    }
    /// The same for the servers behind `name`, which `resolver`, a net::dns, is asked for whenever one fails (RFC 8633
    /// section 3.4: pools change). Both must live longer.
    template <class Resolver>
    task<> run(Resolver& resolver, std::string_view name) noexcept {
        return keep([&resolver, name](server_list& list) -> task<> {
            if (const auto found = co_await resolver.resolve(name))
                for (const ipv4_address a : found->ipv4())
                    list.add(a);
        });
    }
    /// The same for the servers that `client`, a dhcp<Stack, dhcp_names>, was told of.
    template <class Dhcp>
        requires requires(const Dhcp& d) { d.extras().time_servers(); }
    task<> run(const Dhcp& client) noexcept {
        return keep([&client](server_list& list) -> task<> {
            if (client.lease() != nullptr)
                for (const ipv4_address a : client.extras().time_servers())
                    list.add(a);
            co_return;
        });
    }

    /// Set whenever the clock was.
    event& changed() noexcept { return changed_; }
    /// Whether the clock was ever set.
    bool synchronised() const noexcept { return synchronised_; }
    /// By how much it was moved the last time.
    duration last_offset() const noexcept { return last_offset_; }
    const sntp_statistics& statistics() const noexcept { return statistics_; }

private:
    static task<result<datagram_type>> next(socket_type& socket) noexcept { co_return co_await socket.receive(); }

    /// Some of it earlier, so that not all ask at once: up to a sixteenth.
    duration some_earlier(duration d) noexcept {
        return d - d / 16 / 0x10000 * (random_integer<std::uint32_t>(stack_.random()) & 0xffff);
    }

    template <class Find>
    task<> keep(Find find) noexcept {
        server_list servers, denied;
        for (;;) {
            if (servers.next >= servers.count) {
                servers = {};
                co_await find(servers);
                const bool none_known = servers.count == 0;
                for (std::size_t i = 0; i < denied.count; ++i)
                    servers.remove(denied.all[i]);
                if (servers.count == 0 && !none_known)
                    co_return; // RFC 5905 section 7.4: all of them said never again
            }
            if (servers.count == 0) {
                co_await stack_.loop().sleep_for(some_earlier(pace_.failure()));
                continue;
            }
            const ipv4_address server = servers.all[servers.next];
            const auto moved = co_await ask({server, wire::ntp_port});
            duration wait{};
            if (moved) {
                wait = pace_.success();
            } else if (moved.error() == errc::would_block) {
                wait = pace_.slower();
            } else {
                ++servers.next;
                wait = pace_.failure();
                if (moved.error() == errc::closed)
                    denied.add(server);
            }
            co_await stack_.loop().sleep_for(some_earlier(wait));
        }
    }
};

} // namespace mirage::net
