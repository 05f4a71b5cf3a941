// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/address.hpp"

namespace mirage::xen {

/// "00:16:3e:12:34:56", as the store has an interface's address. errc::malformed.
constexpr result<mac_address> parse_mac(std::string_view text) noexcept {
    const auto digit = [](char c) -> unsigned {
        if (c >= '0' && c <= '9')
            return static_cast<unsigned>(c - '0');
        const char lower = static_cast<char>(c | 0x20);
        return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
    };
    mac_address mac;
    if (text.size() != 17)
        return std::unexpected(errc::malformed);
    for (std::size_t i = 0; i < 6; ++i) {
        const unsigned high = digit(text[3 * i]), low = digit(text[3 * i + 1]);
        if (high > 15 || low > 15 || (i < 5 && text[3 * i + 2] != ':'))
            return std::unexpected(errc::malformed);
        mac.octet[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    if (mac.is_group())
        return std::unexpected(errc::malformed);
    return mac;
}

} // namespace mirage::xen
