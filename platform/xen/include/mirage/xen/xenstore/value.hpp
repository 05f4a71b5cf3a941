// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <utility>

namespace mirage::xen {

/// A decimal number, as the store's values have them; nothing before it, nothing behind it. errc::malformed: it is none,
/// or does not fit.
[[gnu::noinline]] constexpr result<std::uint64_t> store_number(std::string_view text) noexcept {
    std::uint64_t value = 0;
    if (text.empty())
        return std::unexpected(errc::malformed);
    for (const char c : text) {
        if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10u, &value)
            || __builtin_add_overflow(value, static_cast<unsigned>(c - '0'), &value))
            return std::unexpected(errc::malformed);
    }
    return value;
}

/// The value of a node: a few octets of somebody else's, mostly text, at most 4096. Owns its memory.
class store_value {
    char* text_ = nullptr;
    std::uint32_t size_ = 0;

public:
    constexpr store_value() noexcept = default;
    store_value(store_value&& other) noexcept
        : text_{std::exchange(other.text_, nullptr)}, size_{std::exchange(other.size_, 0)} {}
    store_value& operator=(store_value&& other) noexcept {
        std::swap(text_, other.text_);
        std::swap(size_, other.size_);
        return *this;
    }
    [[gnu::noinline]] ~store_value() { ::operator delete(text_); }

    /// Room for `size` octets, in place of what was there. False: memory is short.
    [[gnu::noinline]] bool make_room(std::uint32_t size) noexcept {
        ::operator delete(std::exchange(text_, nullptr));
        size_ = 0;
        if (size == 0)
            return true;
        text_ = static_cast<char*>(::operator new(size, std::nothrow));
        if (text_ == nullptr)
            return false;
        size_ = size;
        return true;
    }

    std::string_view view() const noexcept { return {text_, size_}; }
    char* data() noexcept { return text_; }
    std::uint32_t size() const noexcept { return size_; }

    /// See store_number.
    result<std::uint64_t> number() const noexcept { return store_number(view()); }
    /// Whether the node says "1"; how features are announced.
    bool yes() const noexcept { return view() == "1"; }
};

/// The names of what a folder holds, in no order. Not the folders' own paths.
class store_names {
    store_value all_; ///< each with a NUL behind it

public:
    store_names() noexcept = default;
    explicit store_names(store_value all) noexcept : all_{std::move(all)} {}

    class iterator {
        std::string_view rest_;

    public:
        explicit iterator(std::string_view rest) noexcept : rest_{rest} {}
        std::string_view operator*() const noexcept { return rest_.substr(0, rest_.find('\0')); }
        iterator& operator++() noexcept {
            rest_.remove_prefix(std::min(rest_.size(), (**this).size() + 1));
            return *this;
        }
        friend bool operator==(const iterator& a, const iterator& b) noexcept {
            return a.rest_.size() == b.rest_.size();
        }
    };
    iterator begin() const noexcept { return iterator{all_.view()}; }
    iterator end() const noexcept { return iterator{{}}; }
    bool empty() const noexcept { return all_.size() == 0; }
};

} // namespace mirage::xen
