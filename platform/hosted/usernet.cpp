// SPDX-License-Identifier: MIT
// mirage-usernet CABLE REPORT NETWORK: the user network of a mirage-hvt, which starts it. The first two are descriptors.
#include "mirage/hosted/sandbox.hpp"
#include "mirage/hosted/user_network.hpp"
#include <charconv>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace {

using namespace mirage::hosted;

/// A descriptor that somebody has opened for us, or -1.
int descriptor(const char* text) {
    int fd = -1;
    const auto [end, error] = std::from_chars(text, text + std::strlen(text), fd);
    return error == std::errc{} && *end == 0 && fd > STDERR_FILENO ? fd : -1;
}

} // namespace

int main(int argc, char** argv) {
    const int cable = argc == 4 ? descriptor(argv[1]) : -1, report = argc == 4 ? descriptor(argv[2]) : -1;
    if (cable < 0 || report < 0) {
        std::fputs("mirage-usernet is the user network of mirage-hvt, which starts it (--net:NAME=user)\n", stderr);
        return 2;
    }
    const auto network = user_network::parse(argv[3]);
    if (!network) {
        std::fprintf(stderr, "mirage-usernet: %s\n", network.error().c_str());
        return 2;
    }
    const int kept[] = {cable, report};
    close_other_descriptors(kept);
    be_network(unique_fd{cable}, unique_fd{report}, *network);
}
