// SPDX-License-Identifier: MIT
#pragma once
#include <mirage/mirage.hpp>

/// The smallest appliance: says hello and ends.
template <mirage::console Console>
class hello {
    Console& console_;

public:
    static constexpr std::string_view name = "hello";
    static constexpr std::string_view summary = "says hello and ends";

    explicit hello(Console& console) noexcept : console_{console} {}

    int run() noexcept {
        console_.write(mirage::as_octets("Hello, world!\n"));
        return 0;
    }
};
