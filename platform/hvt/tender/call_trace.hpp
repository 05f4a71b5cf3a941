// SPDX-License-Identifier: MIT
#pragma once
#include "memory.hpp"
#include "mirage/hosted/unique_fd.hpp"
#include <cstdint>
#include <string>

namespace mirage::tender {

/// One line for each call of a guest: seconds since the first, name, arguments, result, and how long it took. What goes
/// through the network ring is no call.
class call_trace {
    hosted::unique_fd file_; ///< none: standard error
    std::uint64_t begin_ = 0, entered_ = 0;
    std::string line_{};

public:
    /// Makes the file anew; no path is standard error.
    static outcome<call_trace> open(const std::string& path);

    void enter(const guest_memory& memory, std::uint16_t port, std::uint64_t address);
    void leave(const guest_memory& memory, std::uint16_t port, std::uint64_t address);
};

} // namespace mirage::tender
