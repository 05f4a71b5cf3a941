// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/routing.hpp"
#include "mirage/wire/arp.hpp"
#include <algorithm>
#include <array>
#include <span>

namespace mirage::net {

/// The addresses of an interface beside its first, each with its subnet. RFC 1122 section 3.3.4.1
template <std::size_t Addresses = 8>
class address_list {
    std::array<ipv4_prefix, Addresses> all_{};
    std::size_t count_ = 0;

    constexpr std::span<const ipv4_prefix> all() const noexcept { return std::span{all_}.first(count_); }

public:
    constexpr bool holds(ipv4_address a) const noexcept {
        return std::ranges::any_of(all(), [a](const ipv4_prefix& p) { return p.address == a; });
    }
    constexpr bool is_broadcast(ipv4_address a) const noexcept {
        return std::ranges::any_of(all(), [a](const ipv4_prefix& p) { return p.is_broadcast(a); });
    }
    /// The address whose subnet `a` is in, that with the longest prefix first; nullptr: none.
    constexpr const ipv4_prefix* on_link(ipv4_address a) const noexcept {
        const ipv4_prefix* best = nullptr;
        for (const ipv4_prefix& p : all())
            if (p.contains(a) && (best == nullptr || p.length > best->length))
                best = &p;
        return best;
    }
    /// errc::invalid_argument: not an address that a host can have in that subnet; errc::in_use: it is here;
    /// errc::no_buffers: too many.
    constexpr result<> add(const ipv4_prefix& own) noexcept {
        if (own.address.is_unspecified() || own.length > 32 || !problem(ipv4_options{.ipv4 = own}).empty())
            return std::unexpected(errc::invalid_argument);
        if (holds(own.address))
            return std::unexpected(errc::in_use);
        if (count_ == Addresses)
            return std::unexpected(errc::no_buffers);
        all_[count_++] = own;
        return {};
    }
    /// False: it was not here.
    constexpr bool remove(ipv4_address a) noexcept {
        const auto at = std::ranges::find(std::span{all_}.first(count_), a, &ipv4_prefix::address);
        if (at == std::span{all_}.first(count_).end())
            return false;
        *at = all_[--count_];
        return true;
    }
    template <std::invocable<ipv4_address> Visit>
    constexpr void each(Visit visit) const noexcept {
        for (const ipv4_prefix& p : all())
            visit(p.address);
    }
};

/// A layer of a stack: more addresses for the interface of net::ipv4, on the same link. Each is answered for by ARP,
/// announced and defended (RFC 5227 sections 2.3 and 2.4 (b)); a connection keeps the address it was opened to, an ICMP
/// answer comes from the address that was asked, and what begins here comes from the address in the subnet of the next
/// hop, or else from the first. They are silent while the interface has no first address.
struct further_addresses {
    template <class Stack>
    class state;
};

template <class Stack>
class further_addresses::state : public address_list<> {
    Stack& stack_;

public:
    state(Stack& owner, const auto&) noexcept : stack_{owner} {}
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    /// As address_list::add(), and tells the neighbours. errc::in_use also for the first address.
    result<> add(const ipv4_prefix& own) noexcept {
        if (stack_.ip().address() == own.address)
            return std::unexpected(errc::in_use);
        const auto added = address_list<>::add(own);
        if (added)
            announce(own.address);
        return added;
    }
    /// Tells the neighbours who has this address. RFC 5227 section 2.3
    void announce(ipv4_address own) noexcept {
        stack_.ip().broadcast_arp(wire::arp_packet::announcement(stack_.device().mac(), own));
    }
    void reattached() noexcept {
        this->each([this](ipv4_address own) { announce(own); });
    }
};

} // namespace mirage::net
