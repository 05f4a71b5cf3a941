// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/device/random.hpp"
#include "mirage/net/packet.hpp"
#include "mirage/wire/checksum.hpp"
#include "mirage/wire/icmpv4.hpp"
#include "mirage/wire/ipv4.hpp"
#include "mirage/wire/udp.hpp"
#include <algorithm>
#include <array>
#include <concepts>
#include <memory>
#include <type_traits>

namespace mirage::net {

/// One datagram that came.
template <class Endpoint>
struct basic_datagram {
    slice data{};                          ///< the text, in the device's memory
    Endpoint from{};
    decltype(Endpoint::address) to{};      ///< our address, or the group or broadcast address it was sent to
};
using datagram = basic_datagram<ipv4_endpoint>; ///< of a stack with IPv4 alone

/// What the UDP layer has seen since boot.
struct udp_statistics {
    std::uint64_t received = 0, sent = 0, malformed = 0, bad_checksum = 0, no_port = 0;
    std::uint64_t dropped = 0; ///< the socket's queue was full, or memory was short

    static constexpr auto table() noexcept {
        using s = udp_statistics;
        return statistics_table{
            "udp_",
            statistic{&s::received, "received", "Datagrams received."},
            statistic{&s::sent, "sent", "Datagrams sent."},
            statistic{&s::malformed, "malformed", "Datagrams dropped as wrong."},
            statistic{&s::bad_checksum, "bad_checksum", "Datagrams dropped for their checksum."},
            statistic{&s::no_port, "no_port", "Datagrams to a port without a socket."},
            statistic{&s::dropped, "dropped", "Datagrams for which a queue or memory had no room."}};
    }
};

struct igmp;
struct mld;

/// The UDP layer of a stack. RFC 768, RFC 1122 section 4.1
struct udp {
    static constexpr std::uint8_t protocol = 17;

    template <class Stack>
    class state;
};

template <class Stack>
class udp::state {
public:
    using address_type = typename Stack::address_type;
    using endpoint_type = typename Stack::endpoint_type;
    using datagram = basic_datagram<endpoint_type>;

private:
    using header_room = typename Stack::header_room;
    using received_packet = typename Stack::received_packet;

    struct queued : list_hook {
        datagram content{};
    };

public:
    class socket;

private:
    static constexpr offload capabilities = Stack::device_type::capabilities;
    static constexpr bool ipv4_groups = Stack::template has<igmp>, ipv6_groups = Stack::template has<mld>;
    static constexpr bool multicasts = ipv4_groups || ipv6_groups;

public:
    /// What a group that a socket can join is called: an address of the families whose groups the stack lists.
    using group_type = std::conditional_t<ipv4_groups && ipv6_groups, ip_address,
                                          std::conditional_t<ipv6_groups, ipv6_address, ipv4_address>>;

private:

    /// What a socket hears of groups, in stacks that have groups.
    struct some_groups {
        std::array<group_type, 4> joined{}; // unspecified: free
        std::uint8_t ttl = 1;
    };
    struct no_groups {};
    using group_list = std::conditional_t<multicasts, some_groups, no_groups>;
    static constexpr std::uint8_t hops(const address_type&) noexcept { return outgoing_packet{}.ttl; }
    static constexpr std::uint8_t hops(const address_type& to, std::uint8_t multicast) noexcept {
        return to.is_multicast() ? multicast : hops(to);
    }

    Stack& stack_;
    intrusive_list<socket> sockets_;
    intrusive_list<queued> free_;
    queued* nodes_ = nullptr;
    std::size_t node_count_ = 0;
    buffer_pool copies_;
    udp_statistics statistics_{};

    static constexpr group_type as_group(const address_type& a) noexcept {
        if constexpr (std::is_same_v<group_type, ipv4_address>)
            return to_ipv4(a);
        else if constexpr (std::is_same_v<group_type, ipv6_address>)
            return to_ipv6(a);
        else
            return a;
    }
    result<> join(const group_type& group) noexcept {
        if constexpr (ipv4_groups)
            if (!ipv6_groups || is_ipv4(group))
                return stack_.template get<igmp>().join(to_ipv4(group));
        if constexpr (ipv6_groups)
            return stack_.template get<mld>().join(to_ipv6(group));
    }
    void leave(const group_type& group) noexcept {
        if constexpr (ipv4_groups)
            if (!ipv6_groups || is_ipv4(group))
                return stack_.template get<igmp>().leave(to_ipv4(group));
        if constexpr (ipv6_groups)
            stack_.template get<mld>().leave(to_ipv6(group));
    }

    /// Whether the interface has this address.
    bool is_own(const address_type& a) noexcept {
        if constexpr (Stack::has_ipv4)
            if (is_ipv4(a))
                return stack_.ip().is_own(to_ipv4(a));
        if constexpr (Stack::has_ipv6)
            return stack_.ip6().addresses().is_valid(to_ipv6(a));
        else
            return false;
    }

    socket* find(std::uint16_t port) noexcept {
        for (socket& s : sockets_)
            if (s.port_ == port)
                return &s;
        return nullptr;
    }

public:
    /// Reserves its pools from the heap.
    state(Stack& owner, const auto&) noexcept
        : stack_{owner}, node_count_{std::max<std::size_t>(owner.device().receive_pool().size() / 2, 8)},
          copies_{16, 2048} {
        nodes_ = static_cast<queued*>(::operator new(node_count_ * sizeof(queued), std::nothrow));
        node_count_ = nodes_ == nullptr ? 0 : node_count_;
        for (std::size_t i = 0; i < node_count_; ++i)
            free_.push_back(*std::construct_at(nodes_ + i));
    }
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    ~state() {
        std::destroy_n(nodes_, node_count_);
        ::operator delete(nodes_);
    }

    const udp_statistics& statistics() const noexcept { return statistics_; }

    /// Opens `port`; 0 chooses an unused ephemeral one. See socket::status().
    socket bind(std::uint16_t port, std::size_t backlog = 64) noexcept { return socket{*this, port, backlog}; }

    void input(received_packet& packet) noexcept {
        ++statistics_.received;
        const auto view = wire::udp_view::parse(packet.data.view(), packet.pseudo_header(),
                                                packet.checksum_verified ? wire::verify::no : wire::verify::yes);
        if (!view) {
            ++(view.error() == errc::bad_checksum ? statistics_.bad_checksum : statistics_.malformed);
            return;
        }
        if (!is_ipv4(packet.source) && !view->has_checksum()) { // RFC 8200 section 8.1
            ++statistics_.bad_checksum;
            return;
        }
        socket* const s = find(view->destination_port());
        if (s == nullptr || !s->speaks_with({packet.source, view->source_port()})) {
            ++statistics_.no_port;
            stack_.port_unreachable(packet); // RFC 1122 section 4.1.3.1
            return;
        }
        if constexpr (multicasts)
            if (packet.destination.is_multicast() && (is_ipv4(packet.destination) ? ipv4_groups : ipv6_groups)
                && !s->hears(as_group(packet.destination))) { // somebody else has joined it
                ++statistics_.no_port;
                return;
            }
        const buffer_pool& pool = stack_.device().receive_pool();
        queued* const node = s->length_ < s->backlog_ && pool.available() >= pool.size() / 8 ? free_.pop_front()
                                                                                            : nullptr;
        if (node == nullptr) {
            ++statistics_.dropped;
            return;
        }
        const std::size_t length = view->payload().size();
        node->content.from = {packet.source, view->source_port()};
        node->content.to = packet.destination;
        packet.data.remove_prefix(8);
        packet.data.remove_suffix(packet.data.size() - length);
        node->content.data = std::move(packet.data);
        s->queue_.push_back(*node);
        ++s->length_;
        if (operation* const op = s->readers_.pop_front())
            stack_.loop().post(*op);
    }

    /// A datagram of ours did not arrive. RFC 1122 section 4.1.3.3
    void undelivered(const lost_packet<address_type>& lost, errc why) noexcept {
        const std::byte* const header = lost.transport.data();
        socket* const s = find(wire::udp_at::source_port::load(header));
        const endpoint_type to{lost.destination, wire::udp_at::destination_port::load(header)};
        if (s == nullptr || !s->hears_of_losses_ || !s->speaks_with(to))
            return;
        s->lost_ = why;
        s->lost_to_ = to;
        if (operation* const op = s->readers_.pop_front())
            stack_.loop().post(*op);
    }

    /// A port in the user's hands. Neither copied nor moved; destroying it closes the port.
    class socket : public list_hook {
    public:
        using datagram = typename state::datagram;

    private:
        state& layer_;
        std::uint16_t port_;
        std::size_t backlog_, length_ = 0;
        intrusive_list<queued> queue_;
        intrusive_list<operation> readers_;
        errc failed_{}, lost_{};
        bool hears_of_losses_ = false;
        [[no_unique_address]] group_list groups_{};
        endpoint_type peer_{}, lost_to_{};

        friend state;

        bool hears(const group_type& group) const noexcept
            requires multicasts
        {
            return std::ranges::find(groups_.joined, group) != groups_.joined.end();
        }
        result<> send_from(const address_type& source, const endpoint_type& to, std::span<const slice> data) noexcept {
            if constexpr (multicasts)
                return layer_.send(source, port_, to, data, groups_.ttl);
            else
                return layer_.send(source, port_, to, data);
        }
        bool speaks_with(const endpoint_type& other) const noexcept { return peer_.port == 0 || peer_ == other; }

        struct receive_awaiter : resumption {
            socket& from;
            explicit receive_awaiter(socket& s) noexcept : from{s} {}
            bool await_ready() const noexcept {
                return !from.queue_.empty() || from.failed_ != errc{} || from.lost_ != errc{};
            }
            void await_suspend(std::coroutine_handle<> h) noexcept {
                this->set(h);
                from.readers_.push_back(*this);
            }
            result<datagram> await_resume() noexcept {
                if (from.queue_.empty()) {
                    const errc lost = std::exchange(from.lost_, errc{});
                    return std::unexpected(from.failed_ != errc{} ? from.failed_
                                           : lost != errc{}       ? lost
                                                                  : errc::would_block);
                }
                queued& node = *from.queue_.pop_front();
                --from.length_;
                datagram d = std::move(node.content);
                from.layer_.free_.push_front(node);
                return d;
            }
        };

    public:
        socket(state& layer, std::uint16_t port, std::size_t backlog) noexcept
            : layer_{layer}, port_{port}, backlog_{backlog} {
            if (port_ == 0) { // RFC 6056: an unpredictable port
                do
                    port_ = static_cast<std::uint16_t>(49152
                                                       + random_integer<std::uint16_t>(layer.stack_.random()) % 16384);
                while (layer.find(port_) != nullptr);
            } else if (layer.find(port_) != nullptr) {
                failed_ = errc::in_use;
                return;
            }
            layer.sockets_.push_back(*this);
        }
        ~socket() {
            if constexpr (multicasts)
                for (const group_type& group : groups_.joined)
                    if (!group.is_unspecified())
                        layer_.leave(group);
            while (queued* const node = queue_.pop_front()) {
                node->content.data.reset();
                layer_.free_.push_front(*node);
            }
        }

        std::uint16_t port() const noexcept { return port_; }
        result<> status() const noexcept { return failed_ == errc{} ? result<>{} : std::unexpected(failed_); }

        /// Hears `peer` alone from now on, and of losses.
        void connect(const endpoint_type& peer) noexcept {
            peer_ = peer;
            hear_of_losses();
        }
        /// From now on receive() says, once, errc::refused when an ICMP error tells that nobody takes what we sent to
        /// lost_to(), errc::unreachable when there is no way to it. Such errors are easily forged: a hint, not a
        /// proof. Off at first, for a server must not end because of one client. RFC 1122 section 4.1.3.3
        void hear_of_losses() noexcept {
            hears_of_losses_ = true;
            layer_.stack_.report_losses(
                wire::ip_protocol::udp, [](Stack& stack, const lost_packet<address_type>& lost, errc why) noexcept {
                    stack.udp().undelivered(lost, why);
                });
        }
        /// Whom the datagram was sent to that receive() failed for.
        endpoint_type lost_to() const noexcept { return lost_to_; }

        /// Hears what is sent to `group` at this port, until leave() or the end of the socket. For stacks with a
        /// net::igmp (IPv4) or net::mld (IPv6). errc::in_use: has joined it already; errc::invalid_argument: not a multicast group;
        /// errc::no_buffers: in too many groups. RFC 1112 section 7.1
        result<> join(const group_type& group) noexcept
            requires multicasts
        {
            if (std::ranges::find(groups_.joined, group) != groups_.joined.end())
                return std::unexpected(group.is_unspecified() ? errc::invalid_argument : errc::in_use);
            const auto place = std::ranges::find(groups_.joined, group_type{});
            if (place == groups_.joined.end())
                return std::unexpected(errc::no_buffers);
            const auto joined = layer_.join(group);
            if (joined)
                *place = group;
            return joined;
        }
        void leave(const group_type& group) noexcept
            requires multicasts
        {
            const auto place = std::ranges::find(groups_.joined, group);
            if (group.is_unspecified() || place == groups_.joined.end())
                return;
            layer_.leave(group_type{group}); // `group` may be the place itself
            *place = {};
        }
        /// How many routers what is sent to a group may pass: none at first (RFC 1112 section 6.1, RFC 3493 section
        /// 5.2). 0-255
        void multicast_hops(std::uint8_t hops) noexcept
            requires multicasts
        {
            groups_.ttl = hops;
        }

        /// Awaitable: the next datagram, as result<datagram>. errc::in_use when the port was taken.
        auto receive() noexcept { return receive_awaiter{*this}; }

        /// Sends one datagram of these slices, which stay the caller's. errc::too_large over the MTU,
        /// errc::unreachable, errc::would_block when the device is busy (the datagram is lost, as on any link).
        result<> send_to(const endpoint_type& to, std::span<const slice> data) noexcept {
            return send_from(layer_.stack_.source_for(to.address), to, data);
        }
        result<> send_to(const endpoint_type& to, const slice& data) noexcept { return send_to(to, std::span{&data, 1}); }
        /// Answers `request`: the same, from the address that it was sent to when that is one of ours, as a client expects
        /// of a host that has several. RFC 1122 section 4.1.3.5
        result<> answer(const datagram& request, const slice& data) noexcept {
            const address_type source =
                layer_.is_own(request.to) ? request.to : layer_.stack_.source_for(request.from.address);
            return send_from(source, request.from, std::span{&data, 1});
        }
        /// The same, copying `data`, at most 2048 octets, to a page of the stack's. errc::no_buffers.
        result<> send_to(const endpoint_type& to, octets data) noexcept {
            page copy = layer_.copies_.take();
            if (!copy)
                return std::unexpected(errc::no_buffers);
            if (data.size() > copy.room().size())
                return std::unexpected(errc::too_large);
            std::copy(data.begin(), data.end(), copy.room().begin());
            return send_to(to, std::move(copy).freeze(0, data.size()));
        }
    };

private:
    /// `ttl`: that of multicast datagrams, in stacks that have groups.
    result<> send(const address_type& source, std::uint16_t port, const endpoint_type& to, std::span<const slice> data,
                  std::same_as<std::uint8_t> auto... ttl) noexcept {
        header_room room;
        std::size_t length = 8;
        for (const slice& s : data)
            length += s.size();
        if (length + (is_ipv4(to.address) ? 20 : 40) > stack_.device().mtu() || data.size() > transmit_frame::max_fragments)
            return std::unexpected(errc::too_large);
        const wire::udp_header header{port, to.port, static_cast<std::uint16_t>(length)};
        const auto pseudo = wire::pseudo_header_sum(source, to.address, protocol, header.length);
        bool offloaded = false;
        if constexpr (capabilities.tx_checksum)
            offloaded = is_ipv4(to.address) && stack_.device().offloads().tx_checksum;
        if (offloaded) {
            header.emit_for_offload(room.transport(8), pseudo);
        } else {
            wire::running_sum sum{pseudo};
            for (const slice& s : data)
                sum.add(s.view());
            header.emit(room.transport(8), sum.partial());
        }
        const auto sent = stack_.transmit(room, source, to.address, {.protocol = protocol,
                                                                     .transport_length = 8,
                                                                     .payload = data,
                                                                     .checksum_offset = wire::udp_at::checksum::offset,
                                                                     .checksum_offload = offloaded,
                                                                     .ttl = hops(to.address, ttl...)});
        if (sent)
            ++statistics_.sent;
        stack_.device_touched();
        return sent;
    }
};

} // namespace mirage::net
