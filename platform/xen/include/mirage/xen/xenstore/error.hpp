// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/core/text_table.hpp"
#include <array>
#include <string_view>

namespace mirage::xen {

namespace detail {
// xen/io/xs_wire.h, xsd_errors: errors are sent by name.
inline constexpr auto store_error_names = std::to_array<std::string_view>({
    "EAGAIN", "ENOENT", "EACCES", "EPERM", "EEXIST", "EBUSY", "EINVAL", "EISDIR", "ENOTEMPTY", "ENOMEM", "ENOSPC",
    "EQUOTA", "EDQUOT", "E2BIG", "EROFS", "ENOSYS",
});
inline constexpr auto store_error_codes = std::to_array<errc>({
    errc::would_block, errc::not_found, errc::refused, errc::refused, errc::in_use, errc::in_use,
    errc::invalid_argument, errc::invalid_argument, errc::invalid_argument, errc::no_buffers, errc::no_buffers,
    errc::no_buffers, errc::no_buffers, errc::too_large, errc::read_only, errc::unsupported,
});
static_assert(store_error_names.size() == store_error_codes.size());
} // namespace detail

/// What the store means by the name of an error; errc::io when it is none that we know.
inline errc store_error(std::string_view name) noexcept {
    using table = text_table<detail::store_error_names>;
    for (std::size_t i = 0; i < table::size; ++i)
        if (table::at(i) == name)
            return detail::store_error_codes[i];
    return errc::io;
}

} // namespace mirage::xen
