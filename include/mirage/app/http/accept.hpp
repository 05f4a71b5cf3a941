// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/syntax.hpp"

namespace mirage::http {

/// What Accept-Encoding says about the codings that we have, in thousandths (RFC 9110 section 12.4.2, 12.5.3).
struct acceptable_codings {
    std::int16_t gzip = unsaid, brotli = unsaid, identity = unsaid, any = unsaid;
    static constexpr std::int16_t unsaid = -1;

    /// Adds one field line.
    constexpr void add(std::string_view list) noexcept {
        for_each_element(list, [this](std::string_view element) {
            const auto semicolon = element.find(';');
            const auto coding = trim(element.substr(0, semicolon));
            const auto weight = semicolon == std::string_view::npos ? std::int16_t{1000}
                                                                    : parse_weight(element.substr(semicolon + 1));
            if (equals_lower(coding, "gzip") || equals_lower(coding, "x-gzip"))
                gzip = weight;
            else if (equals_lower(coding, "br"))
                brotli = weight;
            else if (equals_lower(coding, "identity"))
                identity = weight;
            else if (coding == "*")
                any = weight;
            return true;
        });
    }

    constexpr int weight_of_gzip() const noexcept { return said(gzip, 0); }
    constexpr int weight_of_brotli() const noexcept { return said(brotli, 0); }
    /// Acceptable unless it is excluded, but less wanted than whatever is listed with a weight.
    constexpr int weight_of_identity() const noexcept { return identity >= 0 ? identity : any == 0 ? 0 : 1; }

private:
    constexpr int said(std::int16_t own, int otherwise) const noexcept {
        return own >= 0 ? own : any >= 0 ? any : otherwise;
    }

    /// "q=0.5"; whatever is not a weight counts as 0: better the plain form than a wrong one.
    static constexpr std::int16_t parse_weight(std::string_view text) noexcept {
        text = trim(text);
        if (text.size() < 3 || to_lower(text[0]) != 'q' || text[1] != '=' || (text[2] != '0' && text[2] != '1'))
            return 0;
        int value = (text[2] - '0') * 1000;
        if (text.size() > 3 && text[3] != '.')
            return 0;
        int unit = 100;
        for (const char c : text.substr(text.size() > 3 ? 4 : 3)) {
            if (c < '0' || c > '9' || unit == 0)
                return 0;
            value += (c - '0') * unit;
            unit /= 10;
        }
        return value > 1000 ? std::int16_t{0} : static_cast<std::int16_t>(value);
    }
};

} // namespace mirage::http
