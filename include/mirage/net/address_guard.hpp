// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/event.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/core/task.hpp"
#include "mirage/net/address_conflict.hpp"
#include "mirage/net/ipv4.hpp"
#include <utility>

namespace mirage::net {

/// A layer of a stack that sees to it that nobody else has the interface's address: joins the pure address_conflict to
/// ARP. RFC 5227
///
/// With it in the list, a net::dhcp probes for an address before it uses it, and declines one that somebody has; the
/// first address of the options is announced twice and defended for ever, but not probed for: an appliance that a
/// person gave an address to boots at once. Without it, an address is announced once and defended.
struct address_guard {
    template <class Stack>
    class state;
};

template <class Stack>
class address_guard::state {
    Stack& stack_;
    address_conflict machine_;
    event changed_;
    conflict_event happened_ = conflict_event::none;

    struct alarm_timer : timer {
        state& self;
        explicit alarm_timer(state& s) noexcept
            : timer{[](timer& t) noexcept { static_cast<alarm_timer&>(t).self.on_time(); }}, self{s} {}
    } alarm_{*this};

    void set_alarm() noexcept {
        if (machine_.next_deadline() == never)
            alarm_.disarm();
        else
            stack_.loop().arm(alarm_, machine_.next_deadline());
    }
    void on_time() noexcept {
        act(machine_.on_time(stack_.now(), stack_.random()));
        set_alarm();
    }
    void act(const conflict_step& step) noexcept {
        if (step.event != conflict_event::none) {
            happened_ = step.event;
            changed_.set();
        }
        if (step.send)
            stack_.ip().broadcast_arp(*step.send);
    }

public:
    state(Stack& owner, const auto& settings) noexcept
        : stack_{owner}, machine_{owner.device().mac()}, changed_{owner.loop()} {
        adopt(settings.network.ipv4.address);
    }
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    /// Begins to find out whether `address` is free, which takes up to 7 s: see news().
    void claim(ipv4_address address, defence policy) noexcept {
        happened_ = conflict_event::none;
        changed_.reset();
        machine_.claim(address, policy, stack_.now(), stack_.random());
        set_alarm();
    }
    /// The same, to be awaited: errc::in_use when somebody else has it.
    task<result<>> acquire(ipv4_address address, defence policy) noexcept {
        claim(address, policy);
        conflict_event came = conflict_event::none;
        while ((came = news()) == conflict_event::none)
            co_await changed_.wait();
        co_return came == conflict_event::claimed ? result<>{} : std::unexpected(errc::in_use);
    }
    /// The interface has this address from now on (ipv4::state::configure() says so): announces and defends one that
    /// was not claimed before.
    void adopt(ipv4_address address) noexcept {
        if (address.is_unspecified())
            machine_.stop();
        else if (!machine_.holds() || machine_.address() != address)
            machine_.use(address, defence::persist, stack_.now());
        set_alarm();
    }
    /// Every ARP packet that arrives.
    void receive(const wire::arp_view& packet) noexcept {
        act(machine_.receive(packet, stack_.now()));
        set_alarm();
    }

    /// Set when an address was claimed or lost.
    event& changed() noexcept { return changed_; }
    /// What has happened since this was last asked. After `lost` the address must not be used any more.
    conflict_event news() noexcept { return std::exchange(happened_, conflict_event::none); }
    /// Whether the address may be used.
    bool holds(ipv4_address address) const noexcept { return machine_.holds() && machine_.address() == address; }
};

} // namespace mirage::net
