// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include "mirage/core/siphash.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/device/random.hpp"
#include "mirage/net/ipv6_addresses.hpp"
#include "mirage/net/ipv6_options.hpp"
#include "mirage/net/ipv6_routes.hpp"
#include "mirage/net/ndp_cache.hpp"
#include "mirage/wire/ethernet.hpp"
#include "mirage/wire/mld.hpp"
#include <array>
#include <optional>

namespace mirage::net {

struct router_names;
struct mld;
struct dhcpv6;
struct temporary_addresses;

/// What a message of Neighbour Discovery or Multicast Listener Discovery came in.
struct ndp_context {
    ipv6_address source{}, destination{};
    std::uint8_t hop_limit = 0;
    bool router_alert = false;
};

/// What has been seen of Neighbour Discovery since boot.
struct ndp_statistics {
    std::uint64_t malformed = 0;  ///< messages that RFC 4861 says to discard
    std::uint64_t duplicates = 0; ///< tentative addresses that somebody else had
    std::uint64_t conflicts = 0;  ///< advertisements of others for a valid address of ours
    std::uint64_t router_advertisements = 0, redirects = 0, listener_queries = 0;

    static constexpr auto table() noexcept {
        using s = ndp_statistics;
        return statistics_table{
            "ndp_",
            statistic{&s::malformed, "malformed", "Messages discarded as wrong."},
            statistic{&s::duplicates, "duplicates", "Tentative addresses that somebody else had."},
            statistic{&s::conflicts, "conflicts", "Advertisements of others for an address of ours."},
            statistic{&s::router_advertisements, "router_advertisements", "Router advertisements taken."},
            statistic{&s::redirects, "redirects", "Redirects followed."},
            statistic{&s::listener_queries, "listener_queries", "Multicast listener queries."}};
    }
};

/// The host's side of Neighbour Discovery (RFC 4861), address autoconfiguration (RFC 4862, RFC 7217, RFC 7527) and the
/// reports of the groups that these need (RFC 3810), on one interface. `Ip`, the layer, owns it and sends for it.
template <class Ip>
class ndp_host {
    static constexpr duration probe_wait = std::chrono::seconds{1}; // RetransTimer
    static constexpr unsigned probes = 1, max_collisions = 3;       // DupAddrDetectTransmits; IDGEN_RETRIES of RFC 7217
    static constexpr std::size_t max_servers = 3;                   // RFC 8106 section 5.3.1
    static constexpr duration older_querier = std::chrono::seconds{260}; // RFC 3810 section 9.12

    struct output {
        ndp_host& self;
        void solicit(const ipv6_address& address, mac_address to) noexcept { self.solicit(address, to); }
        void resolved(slice&& packet, mac_address to) noexcept { self.ip_.send_waiting(std::move(packet), to); }
        void failed(slice&& packet, const ipv6_address& address) noexcept {
            self.routes_.forget_via(address); // RFC 4861 section 7.3.3: whoever was redirected to it is not any more
            self.ip_.drop_waiting(std::move(packet));
        }
    };
    struct name_server {
        ipv6_address address{};
        instant until{};
    };

    Ip& ip_;
    bool fixed_, routed_;
    siphash_key secret_;
    ipv6_addresses addresses_{};
    ipv6_routes routes_{};
    ndp_cache<slice> cache_{};
    output out_{*this};
    std::array<name_server, max_servers> servers_{};
    std::uint8_t hop_limit_ = 64;
    std::uint16_t link_mtu_;
    instant solicit_routers_at_ = never, report_at_ = never;
    duration solicit_interval_{};
    unsigned reports_left_ = 0;
    instant first_version_until_{};               ///< routers know MLD version 1 alone: RFC 3810 section 8.2.1
    std::array<ipv6_address, 4> left_groups_{};   ///< still to be told; more at a time are forgotten
    ndp_statistics statistics_{};

    /// Whether the stack has a layer.
    template <class Layer>
    static constexpr bool lists() noexcept {
        return std::remove_cvref_t<decltype(std::declval<Ip&>().stack_)>::template has<Layer>;
    }
    auto& random() noexcept { return ip_.stack_.random(); }
    mac_address mac() const noexcept { return ip_.stack_.device().mac(); }
    instant now() const noexcept { return ip_.stack_.now(); }
    /// Somewhere in [0, limit].
    duration some_of(duration limit) noexcept {
        return duration{static_cast<duration::rep>(random_integer<std::uint64_t>(random())
                                                   % (static_cast<std::uint64_t>(limit.count()) + 1))};
    }

    /// RFC 7217 section 5: the interface identifier of an address of this prefix. RFC 5453: none that is reserved.
    std::uint64_t identifier(std::uint64_t prefix, std::uint8_t& counter) const noexcept {
        std::uint64_t hardware = 0;
        for (const std::uint8_t o : mac().octet)
            hardware = hardware << 8 | o;
        for (;; ++counter) {
            const std::uint64_t id = siphash(secret_, prefix, hardware, std::uint64_t{counter});
            if (id != 0 && id >> 7 != 0xfdff'ffff'ffff'ff80u >> 7 && id >> 24 != 0x0200'5eff'feu)
                return id;
        }
    }

    /// Begins to find out whether somebody else has the address. RFC 4862 section 5.4.2: after a random delay.
    void begin(const own_address& a, duration delay) noexcept {
        if (own_address* const place = addresses_.add(a)) {
            place->next_probe = now() + delay;
            join(delay);
        }
    }
    void begin_automatic(const ipv6_address& prefix, instant preferred, instant valid, std::uint8_t collisions,
                         duration delay) noexcept {
        const std::uint64_t id = identifier(prefix.high(), collisions);
        begin({.address = {prefix.high(), id}, .automatic = true, .collisions = collisions, .preferred_until = preferred,
               .valid_until = valid},
              delay);
    }

    /// Our groups have changed: reported as often as RFC 3810 section 6.1 says, Robustness Variable times.
    void join(duration delay) noexcept {
        report_at_ = std::min(report_at_, now() + delay);
        reports_left_ = 2;
    }
    /// The address is not ours any more, nor is its group, unless another address has the same.
    void leave(const ipv6_address& address) noexcept {
        const ipv6_address group = ipv6_address::solicited_node(address);
        if (addresses_.hears(group))
            return;
        if (const auto place = std::ranges::find(left_groups_, ipv6_address{}); place != left_groups_.end())
            *place = group;
        join({});
    }

public:
    ndp_host(Ip& ip, const ipv6_options& options) noexcept
        : ip_{ip}, fixed_{!options.ipv6.address.is_unspecified()}, routed_{!options.gateway.is_unspecified()},
          link_mtu_{static_cast<std::uint16_t>(std::min<std::size_t>(ip.stack_.device().mtu(), 65535))} {
        if (options.secret.empty()) {
            secret_ = {random_integer<std::uint64_t>(random()), random_integer<std::uint64_t>(random())};
        } else {
            const octets text = std::as_bytes(std::span{options.secret});
            secret_ = {siphash({0, 0}, text), siphash({0, 1}, text)};
        }
        const duration delay = some_of(std::chrono::seconds{1});
        begin_automatic(ipv6_address::link_local(0), never, never, 0, delay);
        if (fixed_) {
            begin({.address = options.ipv6.address, .length = options.ipv6.length}, delay);
            routes_.add_prefix(options.ipv6, never, now());
        }
        if (routed_)
            routes_.add_router(options.gateway, never, now());
    }
    ndp_host(const ndp_host&) = delete;
    ndp_host& operator=(const ndp_host&) = delete;

    const ipv6_addresses& addresses() const noexcept { return addresses_; }
    ipv6_routes& routes() noexcept { return routes_; }
    const ndp_cache<slice>& neighbours() const noexcept { return cache_; }
    const ndp_statistics& statistics() const noexcept { return statistics_; }
    std::uint8_t hop_limit() const noexcept { return hop_limit_; }
    std::size_t link_mtu() const noexcept { return link_mtu_; }

    /// Calls `visit(address)` for every recursive name server that routers have named, and DHCPv6 in stacks that list it.
    /// RFC 8106 sections 5.1 and 5.3.1: routers' last
    void each_name_server(auto&& visit) const noexcept {
        if constexpr (lists<dhcpv6>())
            for (const ipv6_address& a : ip_.stack_.template get<dhcpv6>().names().servers())
                visit(a);
        for (const name_server& s : servers_)
            if (s.until > now())
                visit(s.address);
    }

    /// Calls `visit(name)` for every search domain that routers have named, in stacks that list net::router_names, and
    /// DHCPv6 in those that list it. RFC 8106 section 5.2
    void each_search_domain([[maybe_unused]] auto&& visit) const noexcept {
        if constexpr (lists<dhcpv6>())
            for (const auto& name : ip_.stack_.template get<dhcpv6>().names().domains())
                visit(name);
        if constexpr (lists<router_names>())
            ip_.stack_.template get<router_names>().each(now(), visit);
    }

    /// An address of `length` bits of prefix that a layer has got or made, or for longer: checked for duplicates before it is used (RFC 4862 section 5.4).
    /// False: there is no room for it.
    bool assign(const ipv6_address& address, instant preferred, instant valid, std::uint8_t length) noexcept {
        if (addresses_.find(address) == nullptr)
            begin({.address = address, .length = length}, {});
        own_address* const o = addresses_.find(address);
        if (o == nullptr)
            return false;
        o->preferred_until = preferred;
        o->valid_until = valid;
        return true;
    }
    /// It is not ours any more.
    void withdraw(const ipv6_address& address) noexcept {
        if (own_address* const o = addresses_.find(address))
            leave(std::exchange(*o, {}).address);
    }

    std::optional<ipv6_address> next_hop(const ipv6_address& to, instant at) noexcept {
        return routes_.next_hop(to, at, [&](const ipv6_address& router) { return cache_.is_usable(router, at); });
    }
    const mac_address* find(const ipv6_address& neighbour) noexcept { return cache_.find(neighbour, now(), out_); }
    void resolve(const ipv6_address& neighbour, slice&& packet) noexcept {
        cache_.resolve(neighbour, std::move(packet), now(), out_);
    }
    void solicit_for(const ipv6_address& neighbour) noexcept { cache_.solicit(neighbour, now(), out_); }

    /// RFC 2464 section 7
    static constexpr mac_address group_mac(const ipv6_address& group) noexcept {
        return {{0x33, 0x33, group.octet(12), group.octet(13), group.octet(14), group.octet(15)}};
    }

    /// Tells the link that we are here, and asks who else is.
    void reattached() noexcept {
        for (const own_address& o : addresses_)
            if (o.valid())
                advertise(o.address, ipv6_address::all_nodes(), group_mac(ipv6_address::all_nodes()), false);
        join({});
        if (!addresses_.link_local().is_unspecified()) // else: when it is known to be ours
            find_routers();
    }

    /// A message that is neither echo nor error.
    void input(const ndp_context& from, const wire::icmpv6_view& message) noexcept {
        using type = wire::icmpv6_type;
        if (message.type() == type::listener_query)
            return queried(from, message);
        // RFC 4861 sections 6.1, 7.1 and 8.1: nothing that a router has forwarded
        bool good = from.hop_limit == 255;
        switch (message.type()) {
        case type::neighbour_solicitation: good = good && solicited(from, message); break;
        case type::neighbour_advertisement: good = good && advertised(from, message); break;
        case type::router_advertisement: good = good && router_advertised(from, message); break;
        case type::redirect: good = good && redirected(from, message); break;
        default: return; // RFC 4443 section 2.4 (b): unknown informational messages are discarded silently
        }
        statistics_.malformed += good ? 0 : 1;
    }

    instant next_deadline() const noexcept {
        instant due = std::min({solicit_routers_at_, report_at_, cache_.next_deadline()});
        for (const own_address& o : addresses_)
            if (o.used())
                due = std::min({due, o.next_probe, o.valid_until});
        if constexpr (lists<temporary_addresses>())
            due = std::min(due, ip_.stack_.template get<temporary_addresses>().next_deadline());
        return due;
    }

    void on_time() noexcept {
        const instant t = now();
        for (own_address& o : addresses_) {
            if (o.used() && o.valid_until <= t) // RFC 4862 section 5.5.4
                leave(std::exchange(o, {}).address);
            if (o.used() && o.next_probe <= t)
                probe(o);
        }
        if constexpr (lists<temporary_addresses>())
            ip_.stack_.template get<temporary_addresses>().on_time(*this);
        if (report_at_ <= t) {
            report();
            reports_left_ -= reports_left_ > 0 ? 1 : 0;
            if (reports_left_ == 0)
                left_groups_ = {};
            report_at_ = reports_left_ > 0 ? t + some_of(std::chrono::seconds{1}) : never;
        }
        if (solicit_routers_at_ <= t) { // RFC 4861 section 6.3.7, and on, ever less often: RFC 7559 section 2
            solicit_routers_at_ = t + solicit_interval_;
            solicit_interval_ = std::min<duration>(2 * solicit_interval_, std::chrono::hours{1});
            std::array<std::byte, wire::ndp_writer::max_size> room;
            send(addresses_.link_local(), ipv6_address::all_routers(), group_mac(ipv6_address::all_routers()),
                 wire::ndp_writer{room}.word(0x85000000u).word(0).link(wire::ndp_option::source_link, mac()));
        }
        cache_.on_time(t, out_);
    }

private:
    void find_routers() noexcept {
        if (routed_ && fixed_)
            return; // all is said
        solicit_interval_ = std::chrono::seconds{4};
        solicit_routers_at_ = now();
    }

    /// The next step of Duplicate Address Detection. RFC 4862 section 5.4, RFC 7527 section 4.1
    void probe(own_address& o) noexcept {
        if (o.probes >= probes) {
            o.tentative = false;
            o.next_probe = never;
            if (o.address.is_link_local()) {
                find_routers();
                if constexpr (lists<mld>()) // RFC 3590 section 4: what was said from :: may have been passed over
                    ip_.stack_.template get<mld>().reattached();
            }
            return;
        }
        ++o.probes;
        o.next_probe = now() + probe_wait;
        o.nonce = random_integer<std::uint64_t>(random()) >> 16;
        const ipv6_address group = ipv6_address::solicited_node(o.address);
        std::array<std::byte, wire::ndp_writer::max_size> room;
        send({}, group, group_mac(group),
             wire::ndp_writer{room}.word(0x87000000u).word(0).address(o.address).nonce(o.nonce));
    }

    /// Somebody else has it. RFC 4862 section 5.4.5; RFC 7217 section 6: another one is tried, unless it was given.
    void duplicate(own_address& o) noexcept {
        ++statistics_.duplicates;
        const own_address was = std::exchange(o, {});
        leave(was.address);
        if constexpr (lists<dhcpv6>())
            ip_.stack_.template get<dhcpv6>().duplicate(was.address);
        if constexpr (lists<temporary_addresses>())
            ip_.stack_.template get<temporary_addresses>().duplicate(*this, was.address);
        if (was.automatic && was.collisions + 1u < max_collisions)
            begin_automatic({was.address.high(), 0}, was.preferred_until, was.valid_until,
                            static_cast<std::uint8_t>(was.collisions + 1), some_of(std::chrono::seconds{1}));
    }

    /// What an option says, when it is an address that a host can have.
    std::optional<mac_address> host_mac(const wire::ndp_options& options, wire::ndp_option which) const noexcept {
        const auto said = options.link(which);
        return said && !said->is_group() && *said != mac_address{} && *said != mac() ? said : std::nullopt;
    }

    /// RFC 4861 sections 7.1.1, 7.2.3, 7.2.4. False: the message is to be discarded.
    bool solicited(const ndp_context& from, const wire::icmpv6_view& message) noexcept {
        const auto n = wire::ndp_neighbour::parse(message);
        if (!n)
            return false;
        const auto link = host_mac(n->options, wire::ndp_option::source_link);
        const bool probing = from.source.is_unspecified();
        if (probing && (!from.destination.is_solicited_node() || n->options.link(wire::ndp_option::source_link)))
            return false;
        own_address* const o = addresses_.find(n->target);
        if (o == nullptr)
            return true;
        if (o->tentative) { // RFC 4862 section 5.4.3; RFC 7527 section 4.2: not when it is our own that came back
            if (probing && !(o->probes > 0 && n->options.nonce() == o->nonce))
                duplicate(*o);
            return true;
        }
        if (probing) {
            advertise(n->target, ipv6_address::all_nodes(), group_mac(ipv6_address::all_nodes()), false);
            return true;
        }
        if (link)
            cache_.heard_of(from.source, *link, true, now(), out_);
        if (const mac_address* const to = find(from.source))
            advertise(n->target, from.source, mac_address{*to}, true);
        else // it asks again; until then we may know whom to answer
            solicit_for(from.source);
        return true;
    }

    /// RFC 4861 sections 7.1.2 and 7.2.5
    bool advertised(const ndp_context& from, const wire::icmpv6_view& message) noexcept {
        const auto n = wire::ndp_neighbour::parse(message);
        if (!n || (n->solicited && from.destination.is_multicast()))
            return false;
        if (own_address* const o = addresses_.find(n->target)) {
            if (o->tentative) // RFC 4862 section 5.4.4
                duplicate(*o);
            else
                ++statistics_.conflicts;
            return true;
        }
        cache_.advertised(*n, host_mac(n->options, wire::ndp_option::target_link), now(), out_);
        if (!n->router && !routed_ && routes_.is_router(n->target, now()))
            routes_.add_router(n->target, now(), now());
        return true;
    }

    /// RFC 4861 sections 6.1.2 and 6.3.4
    bool router_advertised(const ndp_context& from, const wire::icmpv6_view& message) noexcept {
        const auto r = wire::ndp_router::parse(message);
        if (!r || !from.source.is_link_local())
            return false;
        ++statistics_.router_advertisements;
        const instant t = now();
        if (!routed_)
            routes_.add_router(from.source, t + std::chrono::seconds{r->lifetime}, t);
        if (r->lifetime != 0)
            solicit_routers_at_ = never;
        if (r->hop_limit != 0)
            hop_limit_ = r->hop_limit;
        if (r->reachable != 0 && r->reachable <= 3'600'000) // section 6.3.2: between half and one and a half of it
            cache_.reachable_for(std::chrono::milliseconds{r->reachable} / 2
                                 + some_of(std::chrono::milliseconds{r->reachable}));
        if (const auto mtu = r->options.mtu();
            mtu && *mtu >= wire::ipv6_view::min_mtu && *mtu <= ip_.stack_.device().mtu())
            link_mtu_ = static_cast<std::uint16_t>(*mtu);
        if (const auto link = host_mac(r->options, wire::ndp_option::source_link))
            cache_.heard_of(from.source, *link, true, t, out_);
        if constexpr (lists<dhcpv6>()) // M and O: section 4.2
            ip_.stack_.template get<dhcpv6>().advertised(r->managed, r->other);
        r->options.each([&](wire::ndp_option type, octets option) {
            if (const auto prefix = wire::ndp_options::prefix(type, option))
                prefix_advertised(*prefix);
            else if (const auto servers = wire::ndp_options::servers(type, option))
                servers_advertised(*servers);
            else if constexpr (lists<router_names>())
                if (type == wire::ndp_option::search_list)
                    ip_.stack_.template get<router_names>().read(option, now());
        });
        return true;
    }

    /// RFC 4861 section 6.3.4, RFC 4862 section 5.5.3
    void prefix_advertised(const wire::ndp_prefix& p) noexcept {
        const instant t = now(), valid = end_of_lifetime(t, p.valid), preferred = end_of_lifetime(t, p.preferred);
        if (p.prefix.address.is_link_local() || p.prefix.address.is_multicast() || p.preferred > p.valid)
            return;
        if (p.on_link)
            routes_.add_prefix(p.prefix, valid, t);
        if (!p.autonomous || p.prefix.length != 64 || fixed_)
            return;
        if constexpr (lists<temporary_addresses>())
            ip_.stack_.template get<temporary_addresses>().advertised(*this, p.prefix.address.high(), preferred, valid);
        for (own_address& o : addresses_)
            if (o.used() && o.automatic && o.address.high() == p.prefix.address.high()) {
                o.preferred_until = preferred;
                // (e): nobody unknown ends an address in less than two hours
                const instant least = t + std::chrono::hours{2};
                if (valid > least || valid > o.valid_until)
                    o.valid_until = valid;
                else if (o.valid_until > least)
                    o.valid_until = least;
                return;
            }
        if (p.valid != 0)
            begin_automatic({p.prefix.address.high(), 0}, preferred, valid, 0, {});
    }

    /// RFC 8106 section 5.1; bounded as section 5.3.1 says.
    void servers_advertised(const wire::ndp_servers& said) noexcept {
        const instant t = now();
        for (octets rest = said.addresses; rest.size() >= 16; rest = rest.subspan(16)) {
            const auto address = wire::field<ipv6_address, 0>::load(rest.data());
            const auto place = std::ranges::find_if(servers_, [&](const name_server& s) { return s.address == address; });
            const auto at = place != servers_.end() ? place : std::ranges::min_element(servers_, {}, &name_server::until);
            if (place != servers_.end() || said.lifetime != 0)
                *at = {address, end_of_lifetime(t, said.lifetime)};
        }
    }

    /// RFC 4861 sections 8.1 and 8.3
    bool redirected(const ndp_context& from, const wire::icmpv6_view& message) noexcept {
        const auto r = wire::ndp_redirect::parse(message);
        // Only the router that we would have used may send us elsewhere.
        if (!r || !from.source.is_link_local() || next_hop(r->destination, now()) != from.source
            || addresses_.is_valid(r->target))
            return false;
        ++statistics_.redirects;
        routes_.redirect(r->destination, r->target, now());
        if (const auto link = host_mac(r->options, wire::ndp_option::target_link))
            cache_.heard_of(r->target, *link, true, now(), out_);
        return true;
    }

    /// RFC 3810 sections 5.1 and 6.2: an answer is for all groups, after a random time.
    void queried(const ndp_context& from, const wire::icmpv6_view& message) noexcept {
        const auto q = wire::mld_query::parse(message);
        if (!q || !from.source.is_link_local() || from.hop_limit != 1 || !from.router_alert) {
            ++statistics_.malformed;
            return;
        }
        ++statistics_.listener_queries;
        if (q->first_version)
            first_version_until_ = now() + older_querier;
        if constexpr (lists<mld>())
            ip_.stack_.template get<mld>().queried(*q, message);
        if (!q->group.is_unspecified() && !addresses_.hears(q->group))
            return;
        report_at_ = std::min(report_at_, now() + some_of(std::chrono::milliseconds{q->max_response}));
        reports_left_ = std::max(reports_left_, 1u);
    }

    /// All our groups, to all that route multicast. RFC 3810 section 5.2; RFC 3590 section 4: from :: while there is no
    /// valid link-local address.
    void report() noexcept {
        wire::mld_report out;
        for (const own_address& o : addresses_)
            if (o.used())
                out.add(ipv6_address::solicited_node(o.address));
        for (const ipv6_address& group : left_groups_)
            if (!group.is_unspecified())
                out.add(group, true);
        if (out.empty())
            return;
        std::array<std::byte, wire::ethernet_header::size + wire::mld_report::max_size> frame;
        const auto body = mutable_octets{frame}.subspan(wire::ethernet_header::size);
        const auto finish = [&](const ipv6_address& destination, std::size_t size) {
            wire::ethernet_header{group_mac(destination), mac(), wire::ethertype::ipv6}.emit(frame);
            (void)ip_.count(
                ip_.stack_.device().transmit({.headers = octets{frame}.first(wire::ethernet_header::size + size)}));
            ip_.stack_.device_touched();
        };
        if (now() >= first_version_until_)
            return finish(out.destination, out.emit(body, addresses_.link_local()));
        // RFC 3810 section 8.2.1, RFC 2710 section 4: one message for each. What other hosts report holds none of ours
        // back: switches that snoop do not show it to us anyway.
        out.each([&](const ipv6_address& group, bool left) {
            using type = wire::icmpv6_type;
            const wire::mld_v1_message one{left ? type::listener_done : type::listener_report_v1, group};
            one.emit(body, addresses_.link_local());
            finish(one.destination(), wire::mld_v1_message::size);
        });
    }

    /// RFC 4861 section 7.2.2
    void solicit(const ipv6_address& target, mac_address to) noexcept {
        const bool everybody = to.is_broadcast();
        const ipv6_address destination = everybody ? ipv6_address::solicited_node(target) : target;
        const ipv6_address source = addresses_.source_for(target, now());
        if (source.is_unspecified())
            return;
        std::array<std::byte, wire::ndp_writer::max_size> room;
        send(source, destination, everybody ? group_mac(destination) : to,
             wire::ndp_writer{room}.word(0x87000000u).word(0).address(target).link(wire::ndp_option::source_link, mac()));
    }

    /// RFC 4861 sections 7.2.4 and 7.2.6: we are no router.
    void advertise(const ipv6_address& target, const ipv6_address& destination, mac_address to, bool answer) noexcept {
        std::array<std::byte, wire::ndp_writer::max_size> room;
        send(target, destination, to,
             wire::ndp_writer{room}
                 .word(0x88000000u)
                 .word(answer ? 0x60000000u : 0x20000000u)
                 .address(target)
                 .link(wire::ndp_option::target_link, mac()));
    }

    /// One frame. The message's checksum is still zero.
    void send(const ipv6_address& source, const ipv6_address& destination, mac_address to,
              const wire::ndp_writer& message) noexcept {
        constexpr std::size_t at = wire::ethernet_header::size + wire::ipv6_header::size;
        const octets text = message.view();
        std::array<std::byte, at + wire::ndp_writer::max_size> frame;
        wire::ethernet_header{to, mac(), wire::ethertype::ipv6}.emit(frame);
        wire::ipv6_header{.source = source, .destination = destination, .next = wire::next_header::icmpv6,
                          .hop_limit = 255, .payload_length = static_cast<std::uint16_t>(text.size())}
            .emit(mutable_octets{frame}.subspan(wire::ethernet_header::size));
        auto* const body = std::ranges::copy(text, frame.begin() + at).out - text.size();
        const auto pseudo = wire::pseudo_header_sum(source, destination, 58, static_cast<std::uint32_t>(text.size()));
        wire::icmpv6_at::checksum::store(&*body, wire::sum(text, pseudo).finish());
        (void)ip_.count(ip_.stack_.device().transmit({.headers = octets{frame}.first(at + text.size())}));
        ip_.stack_.device_touched();
    }
};

} // namespace mirage::net
