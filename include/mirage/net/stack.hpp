// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/pool_statistics.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/core/task.hpp"
#include "mirage/device/clock.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/device/random.hpp"
#include "mirage/net/icmp.hpp"
#include "mirage/net/ipv4.hpp"
#include "mirage/net/ipv6.hpp"
#include "mirage/net/packet.hpp"
#include "mirage/net/tcp.hpp"
#include "mirage/net/udp.hpp"
#include "mirage/wire/ethernet.hpp"
#include <array>
#include <boost/hana/all_of.hpp>
#include <boost/hana/any_of.hpp>
#include <boost/hana/equal.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/set.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>
#include <type_traits>
#include <variant>

namespace mirage::net {

namespace hana = boost::hana;

/// What a stack is told when it is made. Members for layers that are not listed have no effect and no cost.
struct config {
    ipv4_options network{};
    ipv6_options ipv6{};
    tcp_options tcp{};
};

/// What the stack has seen of frames since boot.
struct stack_statistics {
    std::uint64_t frames_received = 0;
    std::uint64_t malformed = 0;    ///< not an Ethernet II frame
    std::uint64_t not_for_us = 0;   ///< another station's unicast address
    std::uint64_t unknown_type = 0; ///< an ethertype of no listed layer

    static constexpr auto table() noexcept {
        using s = stack_statistics;
        return statistics_table{
            "net_",
            statistic{&s::frames_received, "frames_received", "Ethernet frames received."},
            statistic{&s::malformed, "frames_malformed", "Frames that are not Ethernet II."},
            statistic{&s::not_for_us, "frames_not_for_us", "Frames for another station."},
            statistic{&s::unknown_type, "frames_unknown_type", "Frames of an ethertype of no layer."}};
    }
};

namespace detail {

template <class L>
concept network_layer = requires { L::ethertype; };
template <class L>
concept transport_layer = requires { L::protocol; };

template <class L>
inline constexpr bool marks_congestion = false;
template <class L>
    requires requires { L::marks_congestion; }
inline constexpr bool marks_congestion<L> = L::marks_congestion;

inline constexpr auto is_network = [](auto l) {
    return hana::bool_c<network_layer<typename decltype(l)::type>>;
};
inline constexpr auto is_satisfied = [](auto l) { return hana::bool_c<!transport_layer<typename decltype(l)::type>>; };

/// The types of a stack that follow from which families it has.
template <bool V4, bool V6>
struct family {
    using address = ip_address;
    using endpoint = ip_endpoint;
    static constexpr std::size_t header = 40;
};
template <>
struct family<true, false> {
    using address = ipv4_address;
    using endpoint = ipv4_endpoint;
    static constexpr std::size_t header = 20;
};
template <>
struct family<false, true> {
    using address = ipv6_address;
    using endpoint = ipv6_endpoint;
    static constexpr std::size_t header = 40;
};

/// The layer of a pack that has this protocol number; void when there is none.
template <std::uint8_t Protocol, class... Layers>
struct find_transport {
    using type = void;
};
template <std::uint8_t Protocol, class First, class... Rest>
struct find_transport<Protocol, First, Rest...> {
    static constexpr bool here = [] {
        if constexpr (transport_layer<First>)
            return First::protocol == Protocol;
        else
            return false;
    }();
    using type = std::conditional_t<here, First, typename find_transport<Protocol, Rest...>::type>;
};

} // namespace detail

/// A TCP/IP stack over one interface, made of exactly the layers that are listed: ipv4, icmp, ipv6, udp, tcp<...>.
///
/// What is not listed has no state, no code and no branch. The stack refers to its devices and must not outlive
/// them; streams, listeners and sockets must not outlive the stack. Neither copied nor moved.
template <netif Device, clock Clock, random_source Random, class... Layers>
class stack {
    static constexpr auto layers = hana::tuple_t<Layers...>;
    static_assert(decltype(hana::length(hana::to_set(layers)) == hana::length(layers))::value,
                  "stack: a layer is listed twice");
    static_assert(decltype(hana::any_of(layers, detail::is_network) || hana::all_of(layers, detail::is_satisfied))::value,
                  "stack: a transport layer (tcp, udp, icmp) needs an IP layer, add mirage::net::ipv4 or "
                  "mirage::net::ipv6 to the list");

    template <std::uint8_t Protocol>
    using transport = typename detail::find_transport<Protocol, Layers...>::type;

public:
    using device_type = Device;

    /// Whether a layer is part of this stack.
    template <class L>
    static constexpr bool has = (std::is_same_v<L, Layers> || ...);
    static constexpr bool has_icmp = !std::is_void_v<transport<1>>;
    /// Whether what is sent may say that routers may mark it: outgoing_packet::ecn.
    static constexpr bool marks_congestion = (detail::marks_congestion<Layers> || ...);
    static constexpr bool has_ipv4 = has<ipv4>, has_ipv6 = has<ipv6>;

    /// What a host is called by, and a port of it: ipv4_address, ipv6_address, or ip_address when there are both.
    using address_type = typename detail::family<has_ipv4, has_ipv6>::address;
    using endpoint_type = typename detail::family<has_ipv4, has_ipv6>::endpoint;
    using received_packet = net::received_packet<address_type>;
    using header_room = net::header_room<detail::family<has_ipv4, has_ipv6>::header>;

    stack(scheduler& loop, Device& device, Clock& clock, Random& random, const config& settings) noexcept
        : loop_{loop}, device_{device}, clock_{clock}, random_{random}, now_{clock.now()},
          states_{*this, settings} {}
    stack(const stack&) = delete;
    stack& operator=(const stack&) = delete;

    /// Receives for ever: spawn it once. Takes frames in bursts, lets everybody who was woken run, and only then
    /// looks for more, so that one acknowledgement and one answer serve a whole burst.
    task<> run() noexcept {
        for (;;) {
            if constexpr (reattachable<Device>) {
                if (const unsigned n = device_.attachments(); n != attachments_) {
                    attachments_ = n;
                    (reattach<Layers>(), ...);
                }
            }
            const std::size_t count = device_.receive(burst_);
            now_ = clock_.now();
            if (count == 0) {
                co_await device_.readable().wait();
                continue;
            }
            for (received_frame& frame : std::span{burst_}.first(count)) {
                input(frame);
                frame.data.reset();
            }
            co_await loop_.yield();
        }
    }

    /// Takes one frame. For tests and for those who drive the stack themselves.
    void input(received_frame& frame) noexcept {
        ++statistics_.frames_received;
        const auto ethernet = wire::ethernet_view::parse(frame.data.view());
        if (!ethernet) {
            ++statistics_.malformed;
            return;
        }
        const mac_address destination = ethernet->destination();
        if (destination != device_.mac() && !destination.is_group()) {
            ++statistics_.not_for_us;
            return;
        }
        if (!(offer<Layers>(frame, *ethernet) || ...))
            ++statistics_.unknown_type;
    }

    /// The layer L of this stack.
    template <class L>
        requires has<L>
    auto& get() noexcept {
        return static_cast<holder<L>&>(states_).value;
    }

    auto& ip() noexcept
        requires has_ipv4
    {
        return get<ipv4>();
    }
    auto& ip6() noexcept
        requires has_ipv6
    {
        return get<ipv6>();
    }
    auto& tcp() noexcept
        requires(!std::is_void_v<transport<6>>)
    {
        return get<transport<6>>();
    }
    auto& udp() noexcept
        requires(!std::is_void_v<transport<17>>)
    {
        return get<transport<17>>();
    }
    auto& icmp() noexcept
        requires(!std::is_void_v<transport<1>>)
    {
        return get<transport<1>>();
    }

    scheduler& loop() noexcept { return loop_; }
    Device& device() noexcept { return device_; }
    const Device& device() const noexcept { return device_; }
    Random& random() noexcept { return random_; }
    /// The time as of the last burst or turn of the loop, whichever is later.
    instant now() const noexcept { return std::max(now_, loop_.now()); }
    const stack_statistics& statistics() const noexcept { return statistics_; }

    /// Puts all that the stack, its device and each of its layers count into `registry`, a mirage::metrics, which the stack
    /// must outlive. With two stacks in one registry, `labels` tells them apart: `interface="service"`. Static text.
    void publish(auto& registry, const char* labels = "") noexcept {
        registry.add(statistics_, labels);
        registry.template add_as<pool_statistics<"net_receive_pool_">>(device_.receive_pool().counts(), labels);
        if constexpr (requires { device_.publish(registry, labels); })
            device_.publish(registry, labels);
        else if constexpr (requires { device_.statistics(); })
            registry.add(device_, labels);
        (publish_layer<Layers>(registry, labels), ...);
    }

    /// Something was handed to the device outside of TCP: let it go when everything that is ready now has run.
    void device_touched() noexcept { loop_.post(flush_); }

    // What transports ask of the IP layers, whichever there are.

    /// The address that packets to `destination` come from; unspecified when there is no way to it.
    address_type source_for(const address_type& destination) noexcept {
        if constexpr (!has_ipv6)
            return get<ipv4>().source_for(destination);
        else if constexpr (!has_ipv4)
            return get<ipv6>().source_for(destination);
        else if (destination.is_ipv4())
            return get<ipv4>().source_for(destination.v4());
        else
            return get<ipv6>().source_for(destination.v6());
    }

    /// Sends one packet whose transport header is in `room`. `source` is what source_for() has said, now or when a
    /// connection began. errc::would_block when the device has no room, errc::unreachable, errc::too_large.
    result<> transmit(header_room& room, [[maybe_unused]] const address_type& source, const address_type& destination,
                      const outgoing_packet& packet) noexcept {
        if constexpr (!has_ipv6)
            return get<ipv4>().transmit(room, source, destination, packet);
        else if constexpr (!has_ipv4)
            return get<ipv6>().transmit(room, source, destination, packet);
        else if (destination.is_ipv4())
            return get<ipv4>().transmit(room, source.v4(), destination.v4(), packet);
        else
            return get<ipv6>().transmit(room, source.v6(), destination.v6(), packet);
    }

    /// From now on `told` hears of lost packets of `protocol`.
    void report_losses(wire::ip_protocol protocol, loss_handler<stack> told) noexcept {
        if constexpr (has_ipv4)
            get<ipv4>().report_losses(protocol, told);
        if constexpr (has_ipv6)
            get<ipv6>().report_losses(protocol, told);
    }

    /// Tells the sender of `packet` that nobody listens at its port, when there is a layer that can.
    void port_unreachable([[maybe_unused]] const received_packet& packet) noexcept {
        if constexpr (has_ipv6)
            if (!is_ipv4(packet.source))
                return get<ipv6>().port_unreachable(packet);
        if constexpr (has_icmp)
            icmp().unreachable(packet, wire::unreachable_code::port);
    }

    /// Hands a packet to the transport that it names. False: none of the listed layers takes it.
    bool deliver(received_packet& packet) noexcept { return (offer_transport<Layers>(packet) || ...); }

private:
    template <class L>
    struct holder {
        typename L::template state<stack> value;
        holder(stack& self, const config& settings) noexcept : value(self, settings) {}
    };
    struct all_states : holder<Layers>... {
        all_states(stack& self, const config& settings) noexcept : holder<Layers>(self, settings)... {}
    };

    template <class L>
    bool offer(received_frame& frame, const wire::ethernet_view& ethernet) noexcept {
        if constexpr (detail::network_layer<L>)
            return get<L>().input(frame, ethernet);
        else
            return false;
    }
    /// Another switch, perhaps another host: the layers tell the neighbours where we are now.
    template <class L>
    void reattach() noexcept {
        if constexpr (requires(typename L::template state<stack>& s) { s.reattached(); })
            get<L>().reattached();
    }
    template <class L>
    void publish_layer(auto& registry, const char* labels) noexcept {
        using state = typename L::template state<stack>;
        if constexpr (requires(const state& s) { s.publish(registry, labels); })
            get<L>().publish(registry, labels);
        else if constexpr (requires(const state& s) { s.statistics(); })
            registry.add(get<L>(), labels);
    }
    template <class L>
    bool offer_transport(received_packet& packet) noexcept {
        if constexpr (detail::transport_layer<L>) {
            if (packet.protocol != L::protocol)
                return false;
            if constexpr (has_ipv6 && requires { L::ipv4_only; })
                if (!is_ipv4(packet.source))
                    return false;
            get<L>().input(packet);
            return true;
        } else {
            return false;
        }
    }

    struct flush_operation : operation {
        Device& device;
        explicit flush_operation(Device& d) noexcept
            : operation{[](operation& me) noexcept { static_cast<flush_operation&>(me).device.flush(); }}, device{d} {}
    };

    scheduler& loop_;
    Device& device_;
    Clock& clock_;
    Random& random_;
    instant now_;
    [[no_unique_address]] std::conditional_t<reattachable<Device>, unsigned, std::monostate> attachments_{};
    stack_statistics statistics_{};
    flush_operation flush_{device_};
    std::array<received_frame, 64> burst_{};
    all_states states_;
};

} // namespace mirage::net
