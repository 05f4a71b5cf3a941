// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/syntax.hpp"
#include <algorithm>

namespace mirage::http {

/// Part of a representation, in octets.
struct octet_range {
    std::uint64_t first = 0, size = 0;
    friend constexpr bool operator==(const octet_range&, const octet_range&) noexcept = default;
};

/// What a Range field asks of a representation of known size (RFC 9110 section 14.1.2).
struct range_set {
    static constexpr std::size_t max = 4;
    enum class outcome : std::uint8_t {
        ignore,        ///< not ours to understand, or more than is good for us (section 14.2): send everything
        partial,       ///< `range[0, count)`, in the order asked for
        unsatisfiable, ///< 416
    };
    outcome kind = outcome::ignore;
    std::uint8_t count = 0;
    std::array<octet_range, max> range{};
};

/// Reads "bytes=0-99,200-,-50". Sets of more than range_set::max ranges, or of ranges that overlap, are ignored, as
/// section 14.2 and 17.15 advise against those who would have us send the same octets many times.
constexpr range_set parse_range(std::string_view text, std::uint64_t size) noexcept {
    range_set set;
    if (text.size() < 6 || !equals_lower(text.substr(0, 6), "bytes="))
        return set;
    bool good = true, any = false;
    for_each_element(text.substr(6), [&](std::string_view spec) {
        any = true;
        const auto dash = spec.find('-');
        if (dash == std::string_view::npos)
            return good = false;
        const auto from = spec.substr(0, dash), to = spec.substr(dash + 1);
        octet_range r;
        if (from.empty()) { // suffix-range
            const auto n = parse_decimal(to);
            if (!n)
                return good = false;
            r.size = std::min(*n, size);
            r.first = size - r.size;
        } else {
            const auto first = parse_decimal(from);
            const auto last = to.empty() ? std::optional{~std::uint64_t{0} >> 1} : parse_decimal(to);
            if (!first || !last || *last < *first)
                return good = false;
            r.first = *first;
            r.size = *first >= size ? 0 : std::min(*last, size - 1) - *first + 1;
        }
        if (r.size == 0)
            return true; // this one is unsatisfiable; another may not be
        for (std::size_t i = 0; i < set.count; ++i)
            if (r.first < set.range[i].first + set.range[i].size && set.range[i].first < r.first + r.size)
                good = false;
        if (set.count == range_set::max)
            good = false;
        else
            set.range[set.count++] = r;
        return good;
    });
    if (good && any)
        set.kind = set.count == 0 ? range_set::outcome::unsatisfiable : range_set::outcome::partial;
    return set;
}

} // namespace mirage::http
