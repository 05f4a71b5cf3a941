// SPDX-License-Identifier: MIT
#include "mirage/hosted/user_network.hpp"
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace mirage::hosted {

namespace {

/// The folder of this program, with a slash behind it; empty when it cannot be known.
std::string own_folder() {
    std::array<char, PATH_MAX> path;
    const auto length = ::readlink("/proc/self/exe", path.data(), path.size());
    const std::string_view whole{path.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
    return std::string{whole.substr(0, whole.rfind('/') + 1)};
}

} // namespace

void run_network_program(unique_fd cable, unique_fd report, const user_network& network) {
    const std::string program = own_folder() + "mirage-usernet";
    for (const int fd : {cable.get(), report.get()})
        (void)::fcntl(fd, F_SETFD, 0);
    ::execl(program.c_str(), "mirage-usernet", std::to_string(cable.get()).c_str(),
            std::to_string(report.get()).c_str(), network.text.c_str(), nullptr);
    const std::string problem =
        "user networking needs the program " + program + ": " + std::strerror(errno) + "; install it beside mirage-hvt";
    (void)!::write(report.get(), problem.data(), problem.size());
    ::_exit(1);
}

} // namespace mirage::hosted
