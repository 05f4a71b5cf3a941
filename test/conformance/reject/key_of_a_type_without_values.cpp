// SPDX-License-Identifier: MIT
// expect: key_value
#include "mirage/os/keys.hpp"

struct options {
    void* where = nullptr;
};

constexpr auto keys = mirage::os::keys(mirage::os::key<&options::where>{"where", "a pointer cannot be written"});
