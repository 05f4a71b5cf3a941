// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/device/console.hpp"
#include "mirage/hvt/hypercall.hpp"
#include <algorithm>
#include <array>
#include <cstddef>

namespace mirage::hvt {

class platform;

/// What was written and the tender has not been given yet. Each time is an exit, so lines go together: when the guest
/// waits or ends, when a fault or panic is reported, and when there is no room for more.
class console_buffer {
    std::array<std::byte, 1024> text_{};
    std::size_t used_ = 0;

public:
    [[gnu::noinline]] void write(octets text) noexcept {
        if (text.size() > text_.size() - used_)
            flush();
        if (text.size() > text_.size())
            return put(text);
        std::ranges::copy(text, text_.begin() + static_cast<std::ptrdiff_t>(used_));
        used_ += text.size();
    }
    /// Callable from a fault report: what is here may have been overwritten.
    [[gnu::noinline]] void flush() noexcept {
        if (used_ != 0)
            put(octets{text_}.first(std::min(used_, text_.size())));
        used_ = 0;
    }
};

inline constinit console_buffer this_console;

/// The tender's standard output.
class console {
public:
    explicit console(platform&) noexcept {}
    static result<> open() noexcept { return {}; }
    static void write(octets text) noexcept { this_console.write(text); }
};

static_assert(mirage::console<console>);

} // namespace mirage::hvt
