// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace mirage {

/// The texts of `Texts`, an array of string views, behind one another, with two octets for each instead of a pointer
/// and a length, or the code of a switch. `Texts` itself is not in the image.
template <const auto& Texts>
class text_table {
    static constexpr std::size_t total = [] {
        std::size_t n = 0;
        for (const std::string_view t : Texts)
            n += t.size();
        return n;
    }();
    static_assert(total <= std::numeric_limits<std::uint16_t>::max(), "text_table: too much text");

    static constexpr auto text = [] {
        std::array<char, total> all{};
        std::size_t at = 0;
        for (const std::string_view t : Texts)
            for (const char c : t)
                all[at++] = c;
        return all;
    }();
    static constexpr auto begin = [] {
        std::array<std::uint16_t, Texts.size() + 1> offsets{};
        for (std::size_t i = 0; i < Texts.size(); ++i)
            offsets[i + 1] = static_cast<std::uint16_t>(offsets[i] + Texts[i].size());
        return offsets;
    }();

public:
    static constexpr std::size_t size = Texts.size();

    /// Text number `i`, below `size`. Static storage; no zero octet at its end.
    static constexpr std::string_view at(std::size_t i) noexcept {
        return {text.data() + begin[i], static_cast<std::size_t>(begin[i + 1] - begin[i])};
    }
};

} // namespace mirage
