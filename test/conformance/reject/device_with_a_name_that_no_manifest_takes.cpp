// SPDX-License-Identifier: MIT
// expect: the name of a network interface or disk has to be 1 to 67 letters and digits
#include <mirage/mirage.hpp>
#include <mirage/os/entry.hpp>

template <mirage::netif Net>
struct appliance {
    static constexpr std::string_view name = "appliance";
    explicit appliance(Net&) noexcept {}
    mirage::task<int> run(mirage::os::context&) noexcept { co_return 0; }
};

MIRAGE_UNIKERNEL(appliance<mirage::platform::netif<"web service">>)
