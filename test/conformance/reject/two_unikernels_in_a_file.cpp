// SPDX-License-Identifier: MIT
// expect: redefinition of '(struct )?an_image_has_one_MIRAGE_UNIKERNEL'
#include <mirage/mirage.hpp>
#include <mirage/os/entry.hpp>

template <mirage::console>
struct hello {
    static constexpr std::string_view name = "hello";
    explicit hello(mirage::platform::console&) noexcept {}
    mirage::task<int> run(mirage::os::context&) noexcept { co_return 0; }
};

MIRAGE_UNIKERNEL(hello<mirage::platform::console>)
MIRAGE_UNIKERNEL(hello<mirage::platform::console>)
