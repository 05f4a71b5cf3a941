// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include "mirage/device/console.hpp"
#include <array>
#include <span>
#include <string_view>

namespace mirage::memory {

/// CONSOLE that keeps what it is told, and follows a script: texts that must appear in this order, other text
/// between them or not. Octets beyond `Capacity` are counted in lost().
template <std::size_t Capacity = 16384>
class scripted_console {
    std::array<char, Capacity> text_{};
    std::size_t size_ = 0, lost_ = 0, spoken_ = 0, searched_ = 0;
    std::span<const std::string_view> script_{};

    void follow() noexcept {
        while (spoken_ < script_.size()) {
            const auto at = text().find(script_[spoken_], searched_);
            if (at == std::string_view::npos)
                return;
            searched_ = at + script_[spoken_].size();
            ++spoken_;
        }
    }

public:
    scripted_console() noexcept = default;
    /// Borrows `script`.
    explicit scripted_console(std::span<const std::string_view> script) noexcept : script_{script} {}

    void write(octets o) noexcept {
        for (const char c : as_text(o))
            if (size_ < Capacity)
                text_[size_++] = c;
            else
                ++lost_;
        follow();
    }

    std::string_view text() const noexcept { return {text_.data(), size_}; }
    bool contains(std::string_view part) const noexcept { return text().find(part) != std::string_view::npos; }
    std::size_t lost() const noexcept { return lost_; }

    /// The script is finished.
    bool satisfied() const noexcept { return spoken_ == script_.size(); }
    /// The text of the script that is waited for; empty when it is finished.
    std::string_view expected() const noexcept {
        return satisfied() ? std::string_view{} : script_[spoken_];
    }

    /// Forgets what was written. The script goes on where it is.
    void clear() noexcept { size_ = lost_ = searched_ = 0; }
};

static_assert(console<scripted_console<>>);

} // namespace mirage::memory
