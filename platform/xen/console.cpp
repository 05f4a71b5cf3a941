// SPDX-License-Identifier: MIT
#include "mirage/xen/console_ring.hpp"
#include "mirage/xen/machine.hpp"
#include <algorithm>
#include <atomic>
#include <cstring>

namespace mirage::xen {
namespace {

xencons_interface& ring() noexcept { return *reinterpret_cast<xencons_interface*>(CONSOLE_RING_ADDRESS); }
constexpr std::uint32_t size = sizeof ring().out;

} // namespace

/// Octets that fit now. A consumer that claims to have taken what was never there counts as one that took nothing.
std::uint32_t console_ring::room() const noexcept {
    const std::uint32_t taken = std::atomic_ref{ring().out_cons}.load(std::memory_order_acquire);
    const std::uint32_t waiting = ring().out_prod - taken;
    return waiting > size ? 0 : size - waiting;
}

/// Sleeps until `wanted` octets fit, or the other end has been silent for too long.
bool console_ring::wait_for_room(std::uint32_t wanted) noexcept {
    if (room() >= wanted)
        return given_up_ = false, true;
    if (given_up_ || port_ == 0)
        return false;
    evtchn_send notice{.port = port_};
    (void)event_channel_op(EVTCHNOP_send, &notice);
    const std::uint64_t deadline = machine::system_now() + static_cast<std::uint64_t>(patience.count());
    for (;;) {
        auto& pending = machine::shared().evtchn_pending[port_ / 64 % 64];
        std::atomic_ref{pending}.fetch_and(~(xen_ulong_t{1} << port_ % 64), std::memory_order_seq_cst);
        if (room() >= wanted)
            return true;
        if (machine::system_now() >= deadline)
            return given_up_ = true, false;
        sched_poll sleep{};
        sleep.ports.p = &port_;
        sleep.nr_ports = 1;
        sleep.timeout = deadline;
        sched_op(SCHEDOP_poll, &sleep);
    }
}

/// Copies as much as fits at a time.
void console_ring::put(octets text) noexcept {
    while (!text.empty() && wait_for_room(1)) {
        xencons_interface& r = ring();
        const std::uint32_t at = r.out_prod % size;
        const auto piece = std::min<std::size_t>({text.size(), room(), size - at});
        std::memcpy(r.out + at, text.data(), piece);
        std::atomic_ref{r.out_prod}.store(r.out_prod + static_cast<std::uint32_t>(piece), std::memory_order_release);
        text = text.subspan(piece);
    }
}

void console_ring::write(octets text) noexcept {
    if (port_ == 0)
        return;
    while (!text.empty()) {
        const auto feed = std::ranges::find(text, std::byte{'\n'});
        const auto length = static_cast<std::size_t>(feed - text.begin());
        put(text.first(length));
        if (feed == text.end())
            break;
        put(as_octets("\r\n"));
        text = text.subspan(length + 1);
    }
    evtchn_send notice{.port = port_};
    (void)event_channel_op(EVTCHNOP_send, &notice);
}

bool console_ring::drain() noexcept { return wait_for_room(size); }

void emergency_write(std::string_view text) noexcept {
    if (hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, text.size(), text.data()) == 0)
        return;
    // Xen's debug port: refused as seldom as guest output is logged at all.
    for (const char c : text)
        asm volatile("outb %0, $0xe9" ::"a"(c));
}

} // namespace mirage::xen
