// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/console.hpp"
#include <doctest/doctest.h>
#include <string>

namespace mirage::contract {

/// What every console promises. A `Harness` is made anew for each part and has
///   device()  the console
///   text()    everything that has come out at the other end so far, as std::string
template <class Harness>
void console_contract() {
    Harness h;
    auto& device = h.device();
    static_assert(mirage::console<std::remove_reference_t<decltype(device)>>);

    SUBCASE("what is written comes out, in order") {
        device.write(as_octets("Hello, "));
        device.write(as_octets("world\n"));
        CHECK(h.text() == "Hello, world\n");
    }
    SUBCASE("nothing comes out as nothing") {
        device.write({});
        device.write(as_octets("x"));
        device.write(as_octets(""));
        CHECK(h.text() == "x");
    }
    SUBCASE("every octet passes unchanged") {
        std::string all;
        for (int i = 0; i < 256; ++i)
            all += static_cast<char>(i);
        device.write(as_octets(all));
        CHECK(h.text() == all);
    }
    SUBCASE("a long text is not cut, however it is divided") {
        std::string said;
        for (int i = 0; said.size() < 10'000; ++i) {
            const std::string part = std::to_string(i) + std::string(static_cast<std::size_t>(i) % 100, '.');
            device.write(as_octets(part));
            said += part;
        }
        CHECK(h.text() == said);
    }
}

} // namespace mirage::contract
