// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/ip_address.hpp"
#include "mirage/core/time.hpp"
#include "mirage/wire/dns/name.hpp"
#include "mirage/wire/dns/types.hpp"
#include <array>
#include <optional>
#include <span>

namespace mirage::net {

/// Whom to ask, and where to look for names that are not whole.
struct dns_servers {
    static constexpr std::size_t max_servers = 4, max_search = 4;

    std::array<ip_endpoint, max_servers> servers{}; ///< most preferred first; unspecified addresses are none
    std::array<wire::dns_name, max_search> search{};  ///< domains, in order; the root is none

    constexpr bool empty() const noexcept {
        return std::ranges::all_of(servers, [](const ip_endpoint& s) { return s.address.is_unspecified(); });
    }
    /// Adds a server at the usual port; false: there are max_servers already.
    constexpr bool add(const ip_address& server, std::uint16_t port = wire::dns_port) noexcept {
        for (ip_endpoint& s : servers)
            if (s.address.is_unspecified()) {
                s = {server, port};
                return true;
            }
        return false;
    }
    /// Adds a domain to look in; false: there are max_search already.
    constexpr bool add(const wire::dns_name& domain) noexcept {
        for (wire::dns_name& s : search)
            if (s.is_root()) {
                s = domain;
                return true;
            }
        return false;
    }
};

/// How a resolver asks.
struct dns_options {
    dns_servers from{};                          ///< none: those of the DHCP lease, see dns::use()
    std::size_t cache_entries = 32;              ///< of about 850 octets each
    duration timeout = std::chrono::seconds{2};  ///< per server in the first round; each round doubles it
    unsigned rounds = 3;                         ///< how often every server is asked
    bool mix_case = true;                        ///< see dns_name::mixed()
};

/// The names that a text may mean, in the order to try them. A text with a dot at its end is whole. One with a dot
/// within may be: it is tried as it is, and then in the domains of the search list; any other in the domains first.
class dns_candidates {
    wire::dns_name name_;
    std::span<const wire::dns_name> search_;
    std::size_t next_ = 0;
    bool as_is_due_, as_is_first_;

public:
    dns_candidates(std::string_view text, const wire::dns_name& name, std::span<const wire::dns_name> search) noexcept
        : name_{name}, search_{text.ends_with('.') ? std::span<const wire::dns_name>{} : search}, as_is_due_{true},
          as_is_first_{name.labels() > 1 || search_.empty()} {}

    /// The next name to try, or nothing.
    std::optional<wire::dns_name> next() noexcept {
        if (as_is_due_ && as_is_first_) {
            as_is_due_ = false;
            return name_;
        }
        while (next_ < search_.size()) {
            const wire::dns_name& domain = search_[next_++];
            if (domain.is_root())
                continue;
            if (const auto whole = name_.below(domain))
                return *whole;
        }
        if (!as_is_due_)
            return std::nullopt;
        as_is_due_ = false;
        return name_;
    }
};

} // namespace mirage::net
