// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/console.hpp"
#include "mirage/host/machine.hpp"
#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace mirage::host {

/// CONSOLE over standard output, unbuffered. What a reader that went away does not take is dropped.
class console {
public:
    explicit console(machine&) noexcept {}

    void write(octets text) noexcept {
        while (!text.empty()) {
            const ssize_t n = ::write(STDOUT_FILENO, text.data(), text.size());
            if (n > 0) {
                text = text.subspan(static_cast<std::size_t>(n));
            } else if (n < 0 && errno == EAGAIN) {
                pollfd full{STDOUT_FILENO, POLLOUT, 0};
                if (::poll(&full, 1, 1000) == 0)
                    return; // a reader that stands still for a second does not stop the appliance
            } else if (n == 0 || errno != EINTR) {
                return;
            }
        }
    }
};

static_assert(mirage::console<console>);

} // namespace mirage::host
