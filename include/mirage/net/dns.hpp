// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/combinators.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/net/dhcp_names.hpp"
#include "mirage/net/dns/cache.hpp"
#include "mirage/net/dns/options.hpp"
#include "mirage/net/udp.hpp"
#include <array>
#include <optional>
#include <string_view>

namespace mirage::net {

/// What a resolver has seen since it was made.
struct dns_statistics {
    std::uint64_t lookups = 0, cache_hits = 0, merged = 0; ///< asked for; known; being asked for already
    std::uint64_t queries = 0, timeouts = 0, failures = 0; ///< sent; not answered; answered without use
    std::uint64_t strays = 0;                              ///< messages that answered nothing of ours: late, or forged
    std::uint64_t over_tcp = 0;

    static constexpr auto table() noexcept {
        using s = dns_statistics;
        return statistics_table{
            "dns_",
            statistic{&s::lookups, "lookups", "Names asked for."},
            statistic{&s::cache_hits, "cache_hits", "Names that were known."},
            statistic{&s::merged, "merged", "Names that were being asked for already."},
            statistic{&s::queries, "queries", "Queries sent."},
            statistic{&s::timeouts, "timeouts", "Queries without an answer."},
            statistic{&s::failures, "failures", "Queries with an answer of no use."},
            statistic{&s::strays, "strays", "Messages that answered nothing: late or forged."},
            statistic{&s::over_tcp, "over_tcp", "Queries repeated over TCP."}};
    }
};

/// The IPv6 addresses of a name, in the server's order.
class dns_ipv6_addresses {
    std::array<ipv6_address, 8> ipv6_{};
    std::size_t count_ = 0;

public:
    bool add(const ipv6_address& a) noexcept {
        if (count_ == ipv6_.size())
            return false;
        ipv6_[count_++] = a;
        return true;
    }
    std::span<const ipv6_address> ipv6() const noexcept { return std::span{ipv6_}.first(count_); }
    bool empty() const noexcept { return count_ == 0; }
};

/// The IPv4 addresses of a name, in the server's order.
class dns_addresses {
    std::array<ipv4_address, 8> ipv4_{};
    std::size_t count_ = 0;

public:
    bool add(ipv4_address a) noexcept {
        if (count_ == ipv4_.size())
            return false;
        ipv4_[count_++] = a;
        return true;
    }
    std::span<const ipv4_address> ipv4() const noexcept { return std::span{ipv4_}.first(count_); }
    bool empty() const noexcept { return count_ == 0; }
};

/// A stub resolver over the UDP of a stack, and its TCP for answers that are too long, if it has TCP. RFC 1034 section
/// 5.3.1, RFC 1123 section 6.1.3
///
/// What a forger who does not see the queries has to guess is a new port, a new ID and the case of the letters each
/// time (RFC 5452). Answers are kept for as long as they say. Lookups of the same name at the same time ask once.
/// Names below .local are asked for on the link (RFC 6762 section 5.1).
///
/// Must outlive the tasks that it gave; the stack must outlive it. What somebody waits for goes on when he no longer
/// does. Every function may fail with errc::not_found (no such name, or it has nothing of the kind), errc::timed_out,
/// errc::unreachable (no server is known or can be reached), errc::io (the servers say that they failed),
/// errc::too_large (the answer needs TCP), errc::no_buffers, errc::malformed (no name).
template <class Stack>
class dns {
    static constexpr std::size_t max_lookups = 8;                       // at once; more wait
    static constexpr std::uint16_t payload = 1232;                      // RFC 9715 section 3.2: is not fragmented
    static constexpr unsigned max_strays = 8;                           // then TCP is safer
    static constexpr duration tcp_timeout = std::chrono::seconds{10};
    static constexpr duration failure_lifetime = std::chrono::seconds{1}; // RFC 9520 section 3.2
    static constexpr ipv4_address mdns_group{224, 0, 0, 251};           // RFC 6762 section 3
    static constexpr unsigned mdns_rounds = 2;
    static constexpr duration mdns_timeout = std::chrono::seconds{1}; // doubled for each round: RFC 6762 section 5.2
    static constexpr bool has_tcp = requires(Stack& s) { s.tcp(); };

    using endpoint_type = typename Stack::endpoint_type;
    using socket_type = decltype(std::declval<Stack&>().udp().bind(0));
    using datagram_type = typename socket_type::datagram;

    /// Somebody who wants to know.
    struct waiter : resumption {
        dns_outcome outcome{.failed = errc::would_block};
    };

    /// A name that is being asked for.
    struct lookup {
        wire::dns_question question{};
        wire::dns_name current{}; ///< where the aliases have led
        unsigned aliases_left = 0;
        dns_reading reading{};
        intrusive_list<waiter> waiters{};
        bool busy = false;
    };

    Stack& stack_;
    dns_options options_;
    dns_cache cache_;
    buffer_pool messages_; ///< where answers by TCP are put together
    std::array<lookup, max_lookups> lookups_{};
    intrusive_list<operation> for_a_slot_;
    std::size_t preferred_ = 0; ///< the server that answered last
    dns_servers (*lease_)(const void*) noexcept = nullptr;
    const void* lease_of_ = nullptr;
    dns_statistics statistics_{};
    nursery tasks_;

public:
    explicit dns(Stack& stack, const dns_options& options = {}) noexcept
        : stack_{stack}, options_{options}, cache_{options.cache_entries}, messages_{has_tcp ? 2u : 0u, 8192},
          tasks_{stack.loop()} {}
    dns(const dns&) = delete;
    dns& operator=(const dns&) = delete;

    /// Asks the servers of the lease, and looks in its domains, as long as the options name no server. `client` is a
    /// net::dhcp, which must live longer. Its domains are known when it is a dhcp<Stack, dhcp_names>.
    template <class Dhcp>
    void use(const Dhcp& client) noexcept {
        lease_of_ = &client;
        lease_ = [](const void* from) noexcept { return servers_of(*static_cast<const Dhcp*>(from)); };
    }

    /// Whom it asks now.
    dns_servers servers() const noexcept {
        return options_.from.empty() && lease_ != nullptr ? lease_(lease_of_) : options_.from;
    }

    /// The same of the name servers that routers advertise, and of their domains where the stack lists
    /// net::router_names: `host` is that of a stack's IPv6 layer. RFC 8106
    template <class Host>
    void use_routers(const Host& host) noexcept {
        lease_of_ = &host;
        lease_ = [](const void* from) noexcept {
            dns_servers known;
            static_cast<const Host*>(from)->each_name_server([&](const ipv6_address& a) { (void)known.add(a); });
            static_cast<const Host*>(from)->each_search_domain([&](const wire::dns_name& n) { (void)known.add(n); });
            return known;
        };
    }

    /// The IPv4 addresses of `name`, which must live until the task ends, or `name` itself when it is an address.
    task<result<dns_addresses>> resolve(std::string_view name) noexcept {
        dns_addresses found;
        if (const auto literal = ipv4_address::parse(name)) {
            found.add(*literal);
            co_return found;
        }
        const auto records = co_await query<wire::dns_type::a>(name);
        if (!records)
            co_return std::unexpected(records.error());
        for (std::size_t i = 0; i < records->size(); ++i)
            found.add((*records)[i]);
        co_return found;
    }

    /// The IPv6 addresses of `name`, likewise.
    task<result<dns_ipv6_addresses>> resolve_ipv6(std::string_view name) noexcept {
        dns_ipv6_addresses found;
        if (const auto literal = ipv6_address::parse(name)) {
            found.add(*literal);
            co_return found;
        }
        const auto records = co_await query<wire::dns_type::aaaa>(name);
        if (!records)
            co_return std::unexpected(records.error());
        for (std::size_t i = 0; i < records->size(); ++i)
            if (const ipv6_address a = (*records)[i]; !a.is_mapped()) // RFC 4291 section 2.5.5.2: no wire has seen it
                found.add(a);
        co_return found;
    }

    /// The records of type T of `name`, which must live until the task ends; in the domains of the search list, too.
    template <wire::dns_type T>
    task<result<dns_records<T>>> query(std::string_view name) noexcept {
        const dns_outcome found = co_await search(name, T);
        if (found.failed != errc{})
            co_return std::unexpected(found.failed);
        co_return dns_records<T>{found.records};
    }

    /// The same for the name as it is.
    template <wire::dns_type T>
    task<result<dns_records<T>>> query(wire::dns_name name) noexcept {
        const dns_outcome found = co_await find({name, T});
        if (found.failed != errc{})
            co_return std::unexpected(found.failed);
        co_return dns_records<T>{found.records};
    }

    /// Forgets all it knows.
    void clear_cache() noexcept { cache_.clear(); }
    const dns_statistics& statistics() const noexcept { return statistics_; }

private:
    /// The first of the names that `text` may mean that has records of this type.
    task<dns_outcome> search(std::string_view text, wire::dns_type type) noexcept {
        const auto parsed = wire::dns_name::parse(text);
        if (!parsed)
            co_return dns_outcome{.failed = parsed.error()};
        const dns_servers known = servers();
        dns_candidates names{text, *parsed, known.search};
        while (const auto candidate = names.next()) {
            const dns_outcome found = co_await find({*candidate, type});
            if (found.failed != errc::not_found)
                co_return found;
        }
        co_return dns_outcome{.failed = errc::not_found};
    }

    task<dns_outcome> find(wire::dns_question question) noexcept {
        ++statistics_.lookups;
        waiter me;
        if (special(question, me.outcome))
            co_return me.outcome;
        for (;;) {
            if (const auto* const known = cache_.find(question.name, question.type, stack_.now())) {
                ++statistics_.cache_hits;
                co_return known->outcome;
            }
            me.outcome.failed = errc::would_block;
            co_await joining{*this, question, me};
            if (me.outcome.failed != errc::would_block) // else: there was no slot, and may be one now
                co_return me.outcome;
        }
    }

    struct joining {
        dns& self;
        const wire::dns_question& question;
        waiter& me;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> h) noexcept {
            me.set(h);
            self.join(question, me);
        }
        void await_resume() const noexcept {}
    };

    static constexpr bool ends_in(const wire::dns_name& name, std::string_view domain) noexcept {
        return name.is_within(*wire::dns_name::parse(domain));
    }

    /// Names that no server is to be asked for.
    static bool special(const wire::dns_question& q, dns_outcome& out) noexcept {
        if (ends_in(q.name, "localhost")) { // RFC 6761 section 6.3
            constexpr std::array loopback{std::byte{127}, std::byte{0}, std::byte{0}, std::byte{1}};
            const bool is_a = q.type == wire::dns_type::a;
            out.failed = is_a ? errc{} : errc::not_found;
            if (is_a)
                (void)out.records.add(q.type, {loopback, 0, loopback.size()});
            return true;
        }
        if (ends_in(q.name, "invalid") || ends_in(q.name, "onion")) { // RFC 6761 section 6.4, RFC 7686 section 2
            out.failed = errc::not_found;
            return true;
        }
        return false;
    }

    void join(const wire::dns_question& question, waiter& me) noexcept {
        lookup* slot = nullptr;
        for (lookup& l : lookups_) {
            if (l.busy && l.question == question) {
                ++statistics_.merged;
                l.waiters.push_back(me);
                return;
            }
            if (!l.busy)
                slot = &l;
        }
        if (slot == nullptr) {
            for_a_slot_.push_back(me);
            return;
        }
        slot->busy = true;
        slot->question = question;
        slot->waiters.push_back(me);
        if (!tasks_.spawn(run(*slot)))
            finish(*slot, {.failed = errc::no_buffers});
    }

    void finish(lookup& l, const dns_outcome& outcome) noexcept {
        l.busy = false;
        while (waiter* const w = l.waiters.pop_front()) {
            w->outcome = outcome;
            stack_.loop().post(*w);
        }
        while (operation* const next = for_a_slot_.pop_front()) // all: the first may have given up meanwhile
            stack_.loop().post(*next);
    }

    task<> run(lookup& l) noexcept {
        l.current = l.question.name;
        l.aliases_left = max_dns_aliases;
        const errc failed = co_await pursue(l);
        finish(l, {.failed = failed, .records = failed == errc{} ? l.reading.records : dns_record_set{}});
    }

    /// Follows the aliases to the answer, and keeps what was found. The answer is l.reading.records.
    task<errc> pursue(lookup& l) noexcept {
        const wire::dns_type type = l.question.type;
        const bool on_link = ends_in(l.question.name, "local"); // RFC 6762 section 3
        duration lifetime = std::chrono::seconds{dns_cache::longest};
        errc failed{};
        for (;;) {
            const auto* const known = l.current == l.question.name ? nullptr : cache_.find(l.current, type, stack_.now());
            if (known != nullptr) {
                lifetime = std::min<duration>(lifetime, known->expires - stack_.now());
                failed = known->outcome.failed;
                l.reading.records = known->outcome.records;
                break;
            }
            if (!on_link)
                failed = co_await ask_servers(l);
            else if constexpr (Stack::has_ipv4)
                failed = co_await ask_link(l);
            else
                failed = errc::not_found;
            if (failed != errc{} && failed != errc::not_found) {
                lifetime = failed == errc::timed_out || failed == errc::io ? failure_lifetime : duration{};
                break;
            }
            lifetime = std::min<duration>(lifetime, std::chrono::seconds{l.reading.lifetime});
            if (failed == errc{} && l.reading.verdict == dns_verdict::alias)
                continue;
            break;
        }
        if (failed == errc::not_found)
            lifetime = std::min<duration>(lifetime, std::chrono::seconds{dns_cache::longest_negative});
        // That there is no such name holds for all types, if it is the name itself: RFC 2308 section 5.
        const bool all = failed == errc::not_found && l.reading.verdict == dns_verdict::no_name
                         && l.current == l.question.name;
        cache_.keep(l.question.name, all ? wire::dns_type::any : type,
                    {.failed = failed, .records = failed == errc{} ? l.reading.records : dns_record_set{}}, lifetime,
                    stack_.now());
        co_return failed;
    }

    /// What the verdict of a server about a name means for who asked.
    static constexpr errc meaning(dns_verdict v) noexcept {
        return v == dns_verdict::no_data || v == dns_verdict::no_name ? errc::not_found : errc{};
    }

    /// A server, if there is one in this place and the stack has its family.
    static std::optional<endpoint_type> to_stack(const ip_endpoint& server) noexcept {
        if (server.address.is_unspecified())
            return std::nullopt;
        if constexpr (std::is_same_v<endpoint_type, ip_endpoint>) {
            return server;
        } else {
            if (server.address.is_ipv4() != std::is_same_v<endpoint_type, ipv4_endpoint>)
                return std::nullopt;
            if constexpr (std::is_same_v<endpoint_type, ipv4_endpoint>)
                return endpoint_type{server.address.v4(), server.port};
            else
                return endpoint_type{server.address.v6(), server.port};
        }
    }

    /// Asks one server after the other for l.current, round after round, until one has something to say about it.
    task<errc> ask_servers(lookup& l) noexcept {
        const dns_servers known = servers();
        errc failed = errc::unreachable;
        duration limit = options_.timeout;
        for (unsigned round = 0; round < options_.rounds; ++round, limit *= 2)
            for (std::size_t i = 0; i < known.servers.size(); ++i) {
                const std::size_t index = (preferred_ + i) % known.servers.size();
                const auto reached = to_stack(known.servers[index]);
                if (!reached)
                    continue;
                const endpoint_type server = *reached;
                errc problem = co_await ask(l, server, limit, payload);
                if (problem == errc{} && l.reading.verdict == dns_verdict::format_error)
                    problem = co_await ask(l, server, limit, 0); // RFC 6891 section 7
                if (problem == errc{} && is_final(l.reading.verdict)) {
                    preferred_ = index;
                    co_return meaning(l.reading.verdict);
                }
                ++(problem == errc::timed_out ? statistics_.timeouts : statistics_.failures);
                // Why the last one failed, but a server that says nothing is a better reason than none that is there.
                failed = problem == errc{} ? errc::io : problem;
            }
        co_return failed;
    }

    /// Asks `server` for l.current: by UDP, and by TCP if that is of no use. The answer is l.reading.
    task<errc> ask(lookup& l, endpoint_type server, duration limit, std::uint16_t edns) noexcept {
        const errc failed = co_await ask_udp(l, server, limit, edns);
        if (failed != errc{} || l.reading.verdict != dns_verdict::truncated)
            co_return failed;
        if constexpr (has_tcp) {
            ++statistics_.over_tcp;
            const auto done = co_await with_timeout(stack_.loop(), ask_tcp(l, server, edns), tcp_timeout);
            co_return done ? errc{} : done.error();
        } else {
            co_return errc::too_large;
        }
    }

    static task<result<datagram_type>> next(socket_type& socket) noexcept { co_return co_await socket.receive(); }

    /// Opens a port that nobody can foresee. RFC 5452 section 9.2, RFC 6056 section 3.2: of all that may be used.
    void open(std::optional<socket_type>& socket) noexcept {
        do {
            const auto port = static_cast<std::uint16_t>(1024 + random_integer<std::uint16_t>(stack_.random()) % 64512);
            if (port != wire::mdns_port) // RFC 6762 section 5.1: that would say that we do all of it
                socket.emplace(stack_.udp(), port, 8);
        } while (!socket || !socket->status());
    }

    wire::dns_query query_for(const lookup& l, std::uint16_t edns) noexcept {
        auto& random = stack_.random();
        const auto coin = [&] { return random_integer<std::uint8_t>(random); };
        ++statistics_.queries;
        return {.id = random_integer<std::uint16_t>(random),
                .question = {options_.mix_case ? l.current.mixed(coin) : l.current, l.question.type},
                .payload = edns};
    }

    static void read(lookup& l, const wire::dns_view& view) noexcept {
        wire::dns_name name = l.current;
        unsigned left = l.aliases_left;
        read_dns_answer(view, l.question.type, name, left, l.reading);
        if (is_final(l.reading.verdict)) { // else the next server is asked about the same name
            l.current = name;
            l.aliases_left = left;
        }
    }

    /// A verdict of `truncated` says to ask by TCP, whatever the reason.
    task<errc> ask_udp(lookup& l, endpoint_type server, duration limit, std::uint16_t edns) noexcept {
        std::optional<socket_type> socket;
        open(socket);
        socket->connect(server);
        const wire::dns_query query = query_for(l, edns);
        {
            std::array<std::byte, wire::dns_query::max_size> room;
            if (const auto sent = socket->send_to(server, octets{room}.first(query.emit(room)));
                !sent && sent.error() != errc::would_block) // a busy device is like a lost datagram
                co_return sent.error();
        }
        const instant deadline = stack_.now() + limit;
        for (unsigned strays = 0; strays < max_strays; ++strays) {
            if (stack_.now() >= deadline)
                co_return errc::timed_out;
            const auto heard = co_await with_timeout(stack_.loop(), next(*socket), deadline - stack_.now());
            if (!heard)
                co_return heard.error();
            const auto view = wire::dns_view::parse(heard->data.view());
            if (!view || !is_response_to(*view, query.id, query.question)) {
                ++statistics_.strays;
                continue;
            }
            // Somebody who writes the name as he likes: a forger, or a server that does not copy it.
            if (!view->question()->name.same_spelling(query.question.name))
                break;
            read(l, *view);
            co_return errc{};
        }
        l.reading.verdict = dns_verdict::truncated;
        co_return errc{};
    }

    /// RFC 7766 section 8: a length in front of each message.
    task<result<>> ask_tcp(lookup& l, endpoint_type server, std::uint16_t edns) noexcept
        requires has_tcp
    {
        const page room = messages_.take();
        if (!room)
            co_return std::unexpected(errc::no_buffers);
        auto stream = co_await stack_.tcp().connect(server);
        if (!stream)
            co_return std::unexpected(stream.error());
        const wire::dns_query query = query_for(l, edns);
        {
            const std::size_t length = query.emit(room.room().subspan(2));
            wire::store<std::uint16_t>(room.room().data(), static_cast<std::uint16_t>(length));
            for (octets left = room.room().first(2 + length); !left.empty();) {
                const auto sent = co_await stream->async_write_some(left);
                if (!sent)
                    co_return std::unexpected(sent.error());
                left = left.subspan(*sent);
            }
        }
        std::size_t have = 0, need = 2;
        while (have < need) {
            const auto got = co_await stream->async_read_some(room.room().subspan(have));
            if (!got)
                co_return std::unexpected(got.error());
            have += *got;
            if (have >= 2)
                need = 2u + wire::load<std::uint16_t>(room.room().data());
            if (need > room.room().size())
                co_return std::unexpected(errc::too_large);
        }
        const auto view = wire::dns_view::parse(room.room().subspan(2, need - 2));
        if (!view || !is_response_to(*view, query.id, query.question))
            co_return std::unexpected(errc::malformed);
        read(l, *view);
        if (l.reading.verdict == dns_verdict::truncated)
            l.reading.verdict = dns_verdict::failed;
        co_return result<>{};
    }

    /// Asks everybody on the link, once or twice: a one-shot query. Whoever has the name answers, nobody else does.
    /// RFC 6762 sections 5.1 and 6.7
    task<errc> ask_link(lookup& l) noexcept
        requires(Stack::has_ipv4)
    {
        std::optional<socket_type> socket;
        open(socket);
        const wire::dns_query query{.id = random_integer<std::uint16_t>(stack_.random()),
                                    .question = {l.current, l.question.type},
                                    .recursion = false};
        duration limit = mdns_timeout;
        for (unsigned round = 0; round < mdns_rounds; ++round, limit *= 2) {
            ++statistics_.queries;
            {
                std::array<std::byte, wire::dns_query::max_size> room;
                const octets text = octets{room}.first(query.emit(room));
                if (const auto sent = socket->send_to(ipv4_endpoint{mdns_group, wire::mdns_port}, text);
                    !sent && sent.error() != errc::would_block)
                    co_return sent.error();
            }
            const instant deadline = stack_.now() + limit;
            while (stack_.now() < deadline) {
                const auto heard = co_await with_timeout(stack_.loop(), next(*socket), deadline - stack_.now());
                if (!heard)
                    break;
                const auto view = wire::dns_view::parse(heard->data.view());
                // RFC 6762 section 11: only from this link
                if (!view || heard->from.port != wire::mdns_port || !is_ipv4(heard->from.address)
                    || !stack_.ip().routes().is_on_link(to_ipv4(heard->from.address))
                    || !is_response_to(*view, query.id, query.question)) {
                    ++statistics_.strays;
                    continue;
                }
                read(l, *view);
                if (is_final(l.reading.verdict))
                    co_return meaning(l.reading.verdict);
            }
        }
        l.reading.verdict = dns_verdict::no_name;
        l.reading.lifetime = 0;
        co_return errc::not_found;
    }
};

} // namespace mirage::net
