// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/address.hpp"
#include <algorithm>
#include <array>
#include <cstdint>

namespace mirage::xen {

/// The multicast addresses that a netfront is to hear, and which of them its backend has been told of.
class group_filter {
    struct entry {
        mac_address group{};
        std::uint16_t users = 0; ///< none, and not told: free
        bool told = false;
    };

    std::array<entry, 32> entries_{};
    bool overflowed_ = false;

    entry* find(mac_address group) noexcept {
        const auto at = std::ranges::find_if(
            entries_, [&](const entry& e) { return (e.users != 0 || e.told) && e.group == group; });
        return at == entries_.end() ? nullptr : &*at;
    }

public:
    /// One more user of `group`.
    void hear(mac_address group) noexcept {
        entry* e = find(group);
        if (e == nullptr)
            e = std::ranges::find_if(entries_, [](const entry& one) { return one.users == 0 && !one.told; });
        if (e == entries_.end()) {
            overflowed_ = true;
            return;
        }
        e->group = group;
        ++e->users;
    }

    /// One user less.
    void ignore(mac_address group) noexcept {
        if (entry* const e = find(group); e != nullptr && e->users != 0)
            --e->users;
    }

    /// Whether there were ever more than fit: what is not in the list would not be heard, so nothing may be filtered.
    bool overflowed() const noexcept { return overflowed_; }

    /// Another backend, which has been told of nothing.
    void forget() noexcept {
        for (entry& e : entries_)
            e.told = false;
    }

    /// Calls `f(group, add)` for each difference between what is wanted and what the backend knows, until that is false.
    /// Whether there is none left.
    template <class F>
    bool tell(F f) noexcept {
        return std::ranges::all_of(entries_, [&](entry& e) {
            const bool wanted = e.users != 0;
            if (wanted == e.told)
                return true;
            if (!f(e.group, wanted))
                return false;
            e.told = wanted;
            return true;
        });
    }
};

} // namespace mirage::xen
