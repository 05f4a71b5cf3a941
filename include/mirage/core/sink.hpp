// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include <concepts>
#include <type_traits>

namespace mirage {

/// A reference to whatever takes octets: anything with `write(octets)`, a console for one, or a callable. Two
/// pointers, owns nothing; what it refers to must outlive it. Not on the packet path.
class octet_sink {
    void* object_ = nullptr;
    void (*write_)(void*, octets) noexcept = nullptr;

public:
    /// Takes nothing: what is written is gone.
    constexpr octet_sink() noexcept = default;

    template <class T>
        requires(!std::same_as<std::remove_cv_t<T>, octet_sink>)
    octet_sink(T& object) noexcept // NOLINT: a reference is meant to convert
        : object_{const_cast<std::remove_cv_t<T>*>(&object)}, write_{[](void* o, octets text) noexcept {
              if constexpr (requires(T& t) { t.write(text); })
                  static_cast<T*>(o)->write(text);
              else
                  (*static_cast<T*>(o))(text);
          }} {}

    explicit operator bool() const noexcept { return write_ != nullptr; }
    void write(octets text) const noexcept {
        if (write_ != nullptr)
            write_(object_, text);
    }
};

} // namespace mirage
