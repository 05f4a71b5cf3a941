// SPDX-License-Identifier: MIT
#pragma once

namespace mirage::host {

/// A descriptor that machine::wait() watches on behalf of a device.
class input_source {
    bool (*look_)(input_source&) noexcept;

public:
    int descriptor = -1;          ///< -1: nothing to watch now
    bool wants_input = true;      ///< false: there is no room for it now
    bool only_when_woken = false; ///< not worth a look before the descriptor says so
    bool wants_output = false;    ///< wake up too when the descriptor takes octets again

    /// `function` says whether the device has input now. It does not block, and may read ahead to find out.
    explicit constexpr input_source(bool (*function)(input_source&) noexcept) noexcept : look_{function} {}
    input_source(const input_source&) = delete;
    input_source& operator=(const input_source&) = delete;

    bool look() noexcept { return look_(*this); }
};

} // namespace mirage::host
