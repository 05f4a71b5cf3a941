// SPDX-License-Identifier: MIT
// expect: a network interface and a disk of the application have the same name
#include <mirage/mirage.hpp>
#include <mirage/os/entry.hpp>

template <mirage::netif Net, mirage::block Disk>
struct appliance {
    static constexpr std::string_view name = "appliance";
    explicit appliance(Net&, Disk&) noexcept {}
    mirage::task<int> run(mirage::os::context&) noexcept { co_return 0; }
};

MIRAGE_UNIKERNEL(appliance<mirage::platform::netif<"service">, mirage::platform::block<"service">>)
