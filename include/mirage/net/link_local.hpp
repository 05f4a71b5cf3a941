// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/event.hpp"
#include "mirage/core/siphash.hpp"
#include "mirage/core/task.hpp"
#include "mirage/net/address_guard.hpp"

namespace mirage::net {

/// Address number `attempt` that an interface tries: of 169.254.1.0 to 169.254.254.255, the same ones after every boot,
/// others for every interface. RFC 3927 section 2.1
inline ipv4_address link_local_candidate(mac_address own, std::uint32_t attempt) noexcept {
    const std::uint64_t number = siphash({0x3927, attempt}, std::as_bytes(std::span{own.octet}));
    return ipv4_address{0xa9fe0100u + static_cast<std::uint32_t>(number % 0xfe00)};
}

/// Gives a stack an address of the link, without any server: joins address_guard, which must be in the stack, to its
/// IPv4 layer. RFC 3927
///
/// Such an address is good on the link alone: there is no router (section 2.7). Not at the same time as a net::dhcp:
/// end the task of the one before the other begins (section 1.9).
template <class Stack>
class link_local {
    static_assert(Stack::template has<address_guard>, "link_local: the stack has no address_guard");

    Stack& stack_;
    event changed_;

public:
    explicit link_local(Stack& stack) noexcept : stack_{stack}, changed_{stack.loop()} {}

    /// Finds an address that nobody has, configures the interface, and takes another one when somebody else insists on
    /// it: for ever.
    task<> run() noexcept {
        auto& guard = stack_.template get<address_guard>();
        for (std::uint32_t attempt = 0;; ++attempt) {
            const ipv4_address candidate = link_local_candidate(stack_.device().mac(), attempt);
            if (!co_await guard.acquire(candidate, defence::yield))
                continue; // the guard takes its time after ten of them: RFC 3927 section 2.2.1
            stack_.ip().configure({candidate, 16}, {});
            changed_.set();
            while (guard.news() != conflict_event::lost)
                co_await guard.changed().wait();
            stack_.ip().configure({}, {}); // RFC 3927 section 2.5 (b)
            changed_.set();
        }
    }

    /// Set when an address was got or lost: stack.ip().address().
    event& changed() noexcept { return changed_; }
};

} // namespace mirage::net
