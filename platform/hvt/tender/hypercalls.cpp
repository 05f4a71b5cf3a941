// SPDX-License-Identifier: MIT
#include "hypercalls.hpp"
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <unistd.h>

namespace mirage::tender {

namespace abi = hvt::abi;

namespace {

failure outside(const char* call) {
    return failure(std::string{call} + ": an address outside of the guest's memory");
}

/// Everything, or what failed. An output that nobody reads is not the guest's fault.
void write_all(int fd, std::span<const std::byte> text) noexcept {
    while (!text.empty()) {
        const auto n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno != EINTR)
            return;
        text = text.subspan(n < 0 ? 0 : static_cast<std::size_t>(n));
    }
}

} // namespace

template <class T>
T* hypercalls::argument(std::uint64_t address) const noexcept {
    const auto room = memory_.at(address, sizeof(T));
    // The guest's other thread is nobody: one processor, and it waits for us. Misaligned structures are legal.
    return reinterpret_cast<T*>(room.data());
}

std::uint64_t hypercalls::wait(std::uint64_t timeout) {
    if (ring_ == nullptr)
        return poller_.wait(timeout);
    std::uint64_t ready = ring_->serve_in_poll();
    if (ready == 0) {
        ready = poller_.wait(timeout);
        if (ready != 0)
            (void)ring_->serve_in_poll();
    }
    return ready;
}

abi::status hypercalls::transfer(const abi::block_transfer& t, bool write) {
    block_device& disk = *devices_[t.handle].block;
    if (t.offset >= disk.capacity || t.len > disk.capacity - t.offset)
        return abi::status::invalid;
    auto room = memory_.at(t.data, t.len);
    for (std::uint64_t done = 0; done < t.len;) {
        const auto at = static_cast<off_t>(t.offset + done);
        const auto part = room.subspan(done);
        const auto n = write ? ::pwrite(disk.file.get(), part.data(), part.size(), at)
                             : ::pread(disk.file.get(), part.data(), part.size(), at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return abi::status::unspecified; // the guest learns it, and goes on
        done += static_cast<std::uint64_t>(n);
    }
    return abi::status::ok;
}

outcome<> hypercalls::serve(std::uint16_t port, std::uint64_t address) {
    switch (port) {
    case PORT_WALLTIME: {
        auto* const call = argument<abi::walltime>(address);
        if (call == nullptr)
            return outside("WALLTIME");
        timespec now{};
        clock_gettime(CLOCK_REALTIME, &now);
        call->nsecs = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
        return {};
    }
    case PORT_PUTS: {
        const auto* const call = argument<abi::puts>(address);
        if (call == nullptr)
            return outside("PUTS");
        const auto text = memory_.at(call->data, call->len);
        if (text.empty() && call->len != 0)
            return outside("PUTS");
        write_all(STDOUT_FILENO, text);
        return {};
    }
    case PORT_POLL: {
        auto* const call = argument<abi::poll>(address);
        if (call == nullptr)
            return outside("POLL");
        call->ready_set = wait(call->timeout_nsecs);
        call->ret = std::popcount(call->ready_set);
        return {};
    }
    case PORT_BLOCK_WRITE:
    case PORT_BLOCK_READ: {
        auto* const call = argument<abi::block_transfer>(address);
        if (call == nullptr || (call->len != 0 && memory_.at(call->data, call->len).empty()))
            return outside(port == PORT_BLOCK_WRITE ? "BLOCK_WRITE" : "BLOCK_READ");
        const bool good = call->handle < devices_.size() && devices_[call->handle].block;
        call->ret = good ? transfer(*call, port == PORT_BLOCK_WRITE) : abi::status::invalid;
        return {};
    }
    case PORT_NET_WRITE:
    case PORT_NET_READ: {
        auto* const call = argument<abi::net_transfer>(address);
        if (call == nullptr)
            return outside(port == PORT_NET_WRITE ? "NET_WRITE" : "NET_READ");
        const auto room = memory_.at(call->data, call->len);
        if (room.empty() && call->len != 0)
            return outside(port == PORT_NET_WRITE ? "NET_WRITE" : "NET_READ");
        call->ret = abi::status::invalid;
        if (call->handle >= devices_.size() || !devices_[call->handle].net)
            return {};
        net_device& net = *devices_[call->handle].net;
        if (port == PORT_NET_WRITE) {
            net.write(room);
            call->ret = abi::status::ok;
        } else if (const auto n = net.read(room); n >= 0) {
            call->len = static_cast<std::uint64_t>(n);
            call->ret = abi::status::ok;
        } else {
            call->ret = abi::status::again;
        }
        return {};
    }
    case PORT_HALT: {
        const auto* const call = argument<abi::halt>(address);
        if (call == nullptr)
            return outside("HALT");
        halted_ = halted{call->exit_status, call->cookie};
        return {};
    }
    case PORT_RING_KICK: // only without KVM_IOEVENTFD does it come here, and then no ring was offered
    default: {
        char text[64];
        std::snprintf(text, sizeof text, "an OUT to port 0x%x, which is no hypercall", port);
        return failure(text);
    }
    }
}

} // namespace mirage::tender
