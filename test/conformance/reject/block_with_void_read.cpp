// SPDX-License-Identifier: MIT
// expect: \bread\b
// expect: \bblock\b
#include "mirage/device/archetype.hpp"

struct void_operation {
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<>) noexcept;
    void await_resume() noexcept; // neither done nor why not
};

struct device : mirage::archetype::block {
    void_operation read(std::uint64_t, mirage::mutable_octets) noexcept;
};

template <mirage::block D>
class appliance;

using wrong = appliance<device>;
