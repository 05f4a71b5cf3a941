// SPDX-License-Identifier: MIT
#pragma once
#include <concepts>
#include <cstddef>
#include <string_view>

namespace mirage::xen {

/// The name of a node: a whole path, or a folder and what is in it, `{backend, "state"}`. A path that does not begin
/// with '/' is below the domain's own folder. Borrows both texts, which live until the operation has ended.
struct store_path {
    std::string_view folder{};
    std::string_view name{}; ///< below the folder; empty: the folder itself is meant

    constexpr store_path() noexcept = default;
    template <class Text>
        requires std::convertible_to<const Text&, std::string_view>
    constexpr store_path(const Text& whole) noexcept : folder{whole} {} // NOLINT: a text is a path
    constexpr store_path(std::string_view f, std::string_view n) noexcept : folder{f}, name{n} {}

    /// What is between the two.
    constexpr std::string_view separator() const noexcept {
        return folder.empty() || name.empty() ? std::string_view{} : std::string_view{"/"};
    }
    /// A NUL would make two texts of one.
    constexpr bool valid() const noexcept {
        return folder.find('\0') == std::string_view::npos && name.find('\0') == std::string_view::npos;
    }
    constexpr std::size_t size() const noexcept { return folder.size() + separator().size() + name.size(); }
};

} // namespace mirage::xen
