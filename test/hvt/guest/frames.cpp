// SPDX-License-Identifier: MIT
//
// Sends every frame of the local experimental ethertype (IEEE 802 section 9.2.3, 88-b5) back to where it came from, the
// payload as a second fragment. A frame whose payload begins with "stop" ends the machine. With "--hold=N" the first N
// frames are kept for a while, unanswered, so that the pool runs dry; then they are let go, and it says so.
#include "mirage/platform.hpp"
#include <algorithm>
#include <array>
#include <cstring>

using namespace mirage;
using ethernet_link = platform::netif<"service">;

template <class...>
class frames {};

MIRAGE_PLATFORM_NOTES(frames<ethernet_link, platform::console>)

namespace {

constexpr std::size_t header_size = 14;

unsigned number_after(std::string_view line, std::string_view key) noexcept {
    const auto at = line.find(key);
    if (at == std::string_view::npos)
        return 0;
    unsigned n = 0;
    for (const char c : line.substr(at + key.size())) {
        if (c < '0' || c > '9')
            break;
        n = n * 10 + static_cast<unsigned>(c - '0');
    }
    return n;
}

/// Whether to go on.
bool answer(ethernet_link& device, slice frame) noexcept {
    const octets all = frame.view();
    if (all.size() < header_size || all[12] != std::byte{0x88} || all[13] != std::byte{0xb5})
        return true;
    if (as_text(all.subspan(header_size)).starts_with("stop"))
        return false;
    std::array<std::byte, header_size> header;
    std::copy_n(&all[6], 6, header.begin());
    std::ranges::copy(device.mac().octet, reinterpret_cast<std::uint8_t*>(&header[6]));
    std::copy_n(&all[12], 2, header.begin() + 12);
    frame.remove_prefix(header_size);
    while (!device.transmit({.headers = header, .payload = {&frame, 1}}))
        device.flush();
    return true;
}

} // namespace

int mirage_application(platform& here) noexcept {
    ethernet_link device{here};
    if (!device.open())
        return 1;
    std::array<slice, 1024> held;
    std::size_t kept = 0;
    const unsigned to_hold = std::min<unsigned>(number_after(here.command_line(), "--hold="), held.size());
    instant release_at = never;
    hvt::put("ready\n");
    std::array<received_frame, 16> burst;
    for (;;) {
        const std::size_t n = device.receive(burst);
        for (std::size_t i = 0; i < n; ++i) {
            if (kept < to_hold) {
                held[kept++] = std::move(burst[i].data);
                if (release_at == never)
                    release_at = platform::clock::now() + std::chrono::milliseconds{100};
            } else if (!answer(device, std::move(burst[i].data))) {
                return 0;
            }
        }
        device.flush();
        if (n == 0)
            (void)here.wait(release_at);
        if (release_at != never && platform::clock::now() >= release_at) {
            hvt::put(device.dropped() != 0 ? "released, some were dropped\n" : "released\n");
            for (slice& s : held)
                s.reset();
            kept = held.size();
            release_at = never;
        }
    }
}
