// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/host/input_source.hpp"
#include "mirage/host/machine.hpp"

namespace mirage::host {

/// Hears from the kernel when a network interface is set up or down, without asking for it.
class link_watch : input_source {
    unsigned index_ = 0;
    void (*changed_)(void* who, bool up) noexcept;
    void* who_;

    bool read() noexcept;

public:
    /// `changed` is called with `who`, possibly twice with the same state.
    link_watch(void (*changed)(void* who, bool up) noexcept, void* who) noexcept
        : input_source{[](input_source& s) noexcept { return static_cast<link_watch&>(s).read(); }},
          changed_{changed}, who_{who} {
        only_when_woken = true;
    }
    ~link_watch();

    /// Watches the interface of this name; where the kernel does not let us, changed() is just never called.
    void open(machine& home, std::string_view device) noexcept;
};

} // namespace mirage::host
