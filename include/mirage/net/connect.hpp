// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ip_address.hpp"
#include "mirage/core/combinators.hpp"
#include "mirage/core/event.hpp"
#include "mirage/core/nursery.hpp"
#include <array>
#include <optional>
#include <span>
#include <string_view>

namespace mirage::net {

/// How long an attempt to connect is alone before the next one begins beside it. RFC 8305 section 5
inline constexpr duration connection_attempt_delay = std::chrono::milliseconds{250};

namespace detail {

/// Attempts to connect that run beside one another. The first that succeeds wins.
template <class Stack>
class connection_race {
    using opened = decltype(std::declval<Stack&>().tcp().connect({}).take());
    using stream_type = typename opened::value_type;

    Stack& stack_;
    event news_;
    std::optional<stream_type> winner_;
    errc failed_ = errc::not_found;
    nursery attempts_; // goes first

    task<> attempt(auto peer) noexcept {
        auto stream = co_await stack_.tcp().connect(peer);
        if (!stream)
            failed_ = stream.error();
        else if (!winner_)
            winner_.emplace(std::move(*stream));
        news_.set();
    }
    task<> wait() noexcept { co_await news_.wait(); }

public:
    explicit connection_race(Stack& stack) noexcept : stack_{stack}, news_{stack.loop()}, attempts_{stack.loop()} {}

    bool won() const noexcept { return winner_.has_value(); }

    /// Begins to connect to `peer`, and waits until there is a connection, every attempt has failed, or `delay` is over.
    task<> start(auto peer, duration delay) noexcept {
        if (!attempts_.spawn(attempt(peer))) {
            failed_ = errc::no_buffers;
            co_return;
        }
        const instant until = stack_.loop().now() + delay;
        while (!won() && !attempts_.empty() && stack_.loop().now() < until)
            (void)co_await with_timeout(stack_.loop(), wait(), until - stack_.loop().now());
    }
    /// Waits for the end of the race.
    task<> finish() noexcept {
        while (!won() && !attempts_.empty())
            co_await news_.wait();
    }
    opened take() noexcept {
        if (!winner_)
            return std::unexpected(failed_);
        return std::move(*winner_);
    }
};

} // namespace detail

/// Opens a TCP connection to the first of `peers` that answers. They are tried in order, the next one beside those
/// before it when none of them has answered after `delay`, at once when all of them have failed; the others are given
/// up. `peers` must live until the task ends. The error is that of the attempt that failed last; errc::not_found: there
/// are no peers. RFC 8305 section 5
template <class Stack, class Endpoint>
auto connect_to_any(Stack& stack, std::span<const Endpoint> peers, duration delay = connection_attempt_delay) noexcept
    -> decltype(stack.tcp().connect({})) {
    detail::connection_race<Stack> race{stack};
    for (const Endpoint& peer : peers) {
        co_await race.start(peer, delay);
        if (race.won())
            break;
    }
    co_await race.finish();
    co_return race.take();
}

/// How long the answer about IPv6 may be behind that about IPv4. RFC 8305 section 3
inline constexpr duration resolution_delay = std::chrono::milliseconds{50};

namespace detail {

/// Asks for the addresses of both families at the same time.
template <class Stack, class Resolver>
class name_race {
    using four = typename decltype(std::declval<Resolver&>().resolve({}).take())::value_type;
    using six = typename decltype(std::declval<Resolver&>().resolve_ipv6({}).take())::value_type;

    Stack& stack_;
    Resolver& resolver_;
    std::string_view name_;
    event news_;
    std::optional<result<four>> four_;
    std::optional<result<six>> six_;
    nursery questions_; // goes first

    task<> ask_four() noexcept {
        four_.emplace(co_await resolver_.resolve(name_));
        news_.set();
    }
    task<> ask_six() noexcept {
        six_.emplace(co_await resolver_.resolve_ipv6(name_));
        news_.set();
    }
    task<> wait() noexcept { co_await news_.wait(); }

public:
    name_race(Stack& stack, Resolver& resolver, std::string_view name) noexcept
        : stack_{stack}, resolver_{resolver}, name_{name}, news_{stack.loop()}, questions_{stack.loop()} {}

    /// Until both are known, or one is and the other lets it wait: IPv4 for the resolution delay, IPv6 until the next
    /// attempt would begin. errc{}: something is known. RFC 8305 section 3
    task<errc> run() noexcept {
        constexpr bool both = Stack::has_ipv4;
        if (!questions_.spawn(ask_six()) || (both && !questions_.spawn(ask_four())))
            co_return errc::no_buffers;
        for (instant until = never; !six_ || (both && !four_);) {
            const bool has_six = six_ && *six_, has_four = four_ && *four_;
            const instant now = stack_.loop().now();
            if (!has_six && !has_four) {
                co_await news_.wait();
                continue;
            }
            if (until == never)
                until = now + (has_six ? connection_attempt_delay : resolution_delay);
            if (now >= until)
                break;
            (void)co_await with_timeout(stack_.loop(), wait(), until - now);
        }
        if ((six_ && *six_) || (four_ && *four_))
            co_return errc{};
        co_return four_ ? four_->error() : six_->error();
    }

    /// IPv6 first, then in turns. RFC 8305 section 4
    std::size_t addresses(std::span<typename Stack::endpoint_type> to, std::uint16_t port) const noexcept {
        std::size_t count = 0;
        for (std::size_t i = 0; i < to.size(); ++i) {
            if (six_ && *six_ && i < (*six_)->ipv6().size() && count < to.size())
                to[count++] = ipv6_endpoint{(*six_)->ipv6()[i], port};
            if constexpr (Stack::has_ipv4)
                if (four_ && *four_ && i < (*four_)->ipv4().size() && count < to.size())
                    to[count++] = ipv4_endpoint{(*four_)->ipv4()[i], port};
        }
        return count;
    }
};

} // namespace detail

/// The same for the addresses of `name`, which `resolver`, a net::dns, finds out: of both families where the stack has
/// both. `name` must live until the task ends. Besides the errors of connecting, those of resolving. RFC 8305
template <class Stack, class Resolver>
auto connect(Stack& stack, Resolver& resolver, std::string_view name, std::uint16_t port) noexcept
    -> decltype(stack.tcp().connect({})) {
    std::array<typename Stack::endpoint_type, 8> peers;
    std::size_t count = 0;
    if constexpr (Stack::has_ipv6) {
        detail::name_race<Stack, Resolver> names{stack, resolver, name};
        if (const errc failed = co_await names.run(); failed != errc{})
            co_return std::unexpected(failed);
        count = names.addresses(peers, port);
    } else {
        const auto found = co_await resolver.resolve(name);
        if (!found)
            co_return std::unexpected(found.error());
        for (const ipv4_address a : found->ipv4())
            if (count < peers.size())
                peers[count++] = {a, port};
    }
    co_return co_await connect_to_any<Stack, typename Stack::endpoint_type>(stack, std::span{peers}.first(count));
}

} // namespace mirage::net
