// SPDX-License-Identifier: MIT
#include "mirage/host/platform.hpp"

int mirage_application(mirage::host::platform& platform) noexcept;

int main(int count, char** words) {
    static mirage::host::platform platform; // outlives exit() from inside wait()
    if (!platform.arguments(std::span{words + 1, static_cast<std::size_t>(count > 0 ? count - 1 : 0)}))
        return 1;
    return mirage_application(platform);
}
