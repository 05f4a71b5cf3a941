// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/syntax.hpp"

namespace mirage::http {

/// Whether the list of entity tags of an If-None-Match or If-Match field line names `tag`, a strong one with its
/// quotes, or is "*". `weak`: W/"x" matches "x" as well (RFC 9110 section 8.8.3.2, 13.1.1, 13.1.2).
constexpr bool lists_tag(std::string_view list, std::string_view tag, bool weak) noexcept {
    if (trim(list) == "*")
        return true;
    bool found = false;
    for_each_element(list, [&](std::string_view element) {
        if (weak && element.starts_with("W/"))
            element.remove_prefix(2);
        return !(found = element == tag);
    });
    return found;
}

} // namespace mirage::http
