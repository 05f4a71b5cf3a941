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

/// A call's argument where the guest has put it. It is copied, used, and copied back: while the vCPU is here,
/// the ring's thread may write to the guest's memory, the argument included, if the guest wants it so.
template <class T>
class argument {
    std::span<std::byte> at_;
    T value_{};

public:
    argument(const guest_memory& memory, std::uint64_t address) noexcept
        : at_{memory.writable(address, sizeof(T))} {
        if (!at_.empty())
            std::memcpy(&value_, at_.data(), sizeof value_);
    }
    explicit operator bool() const noexcept { return !at_.empty(); }
    T* operator->() noexcept { return &value_; }
    void give_back() const noexcept { std::memcpy(at_.data(), &value_, sizeof value_); }
};

/// Everything of what is in the host's memory of this file goes to the disk.
bool flush(int fd) noexcept {
    int r;
    do
        r = ::fdatasync(fd);
    while (r != 0 && errno == EINTR);
    return r == 0 || errno == EINVAL || errno == EROFS; // what cannot be flushed need not be
}

/// Moves all octets between `data` and the disk; `move` is pread or pwrite. False: the host's disk failed.
template <class Move, class Octets>
bool move_all(Move move, int fd, Octets data, std::uint64_t offset) noexcept {
    while (!data.empty()) {
        const auto n = move(fd, data.data(), data.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data = data.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return true;
}

/// A write of nothing means something here, and nothing under the stock tender: at the beginning it fails where the disk
/// may not be written, so that a guest can find out; anywhere else it makes durable what was written before.
bool write_disk(const block_device& disk, std::span<const std::byte> data, std::uint64_t offset) noexcept {
    if (disk.read_only)
        return false;
    if (data.empty())
        return offset == 0 || flush(disk.file.get());
    return move_all(::pwrite, disk.file.get(), data, offset);
}

} // namespace

outcome<> hypercalls::wall_time(std::uint64_t address) {
    argument<abi::walltime> call{memory_, address};
    if (!call)
        return outside("WALLTIME");
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    call->nsecs =
        static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
    call.give_back();
    return {};
}

outcome<> hypercalls::put_text(std::uint64_t address) {
    // Its argument has no result: a guest may keep it where it only reads.
    const auto at = memory_.readable(address, sizeof(abi::puts));
    abi::puts call;
    if (at.empty())
        return outside("PUTS");
    std::memcpy(&call, at.data(), sizeof call);
    const auto text = memory_.readable(call.data, call.len);
    if (text.empty() && call.len != 0)
        return outside("PUTS");
    write_all(STDOUT_FILENO, text);
    return {};
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

outcome<> hypercalls::poll(std::uint64_t address) {
    argument<abi::poll> call{memory_, address};
    if (!call)
        return outside("POLL");
    call->ready_set = wait(call->timeout_nsecs);
    call->ret = std::popcount(call->ready_set);
    call.give_back();
    return {};
}

outcome<> hypercalls::transfer_blocks(std::uint64_t address, bool write) {
    argument<abi::block_transfer> call{memory_, address};
    const bool inside =
        call
        && (call->len == 0
            || !(write ? memory_.readable(call->data, call->len) : memory_.writable(call->data, call->len))
                    .empty());
    if (!inside)
        return outside(write ? "BLOCK_WRITE" : "BLOCK_READ");
    call->ret = abi::status::invalid;
    if (call->handle < devices_.size() && devices_[call->handle].block) {
        const block_device& disk = *devices_[call->handle].block;
        if (call->offset < disk.capacity && call->len <= disk.capacity - call->offset) {
            const bool moved =
                write ? write_disk(disk, memory_.readable(call->data, call->len), call->offset)
                      : move_all(::pread, disk.file.get(), memory_.writable(call->data, call->len), call->offset);
            call->ret =
                moved ? abi::status::ok : abi::status::unspecified; // the guest learns it, and goes on
        }
    }
    call.give_back();
    return {};
}

outcome<> hypercalls::transfer_frame(std::uint64_t address, bool write) {
    argument<abi::net_transfer> call{memory_, address};
    const bool inside =
        call
        && (call->len == 0
            || !(write ? memory_.readable(call->data, call->len) : memory_.writable(call->data, call->len))
                    .empty());
    if (!inside)
        return outside(write ? "NET_WRITE" : "NET_READ");
    call->ret = abi::status::invalid;
    if (call->handle < devices_.size() && devices_[call->handle].net) {
        net_device& net = *devices_[call->handle].net;
        if (write) {
            net.write({memory_.readable(call->data, call->len)});
            call->ret = abi::status::ok;
        } else if (const auto frame = net.read(memory_.writable(call->data, call->len)); frame.length >= 0) {
            call->len = static_cast<std::uint64_t>(frame.length);
            call->ret = abi::status::ok;
        } else {
            call->ret = abi::status::again;
        }
    }
    call.give_back();
    return {};
}

outcome<> hypercalls::end_guest(std::uint64_t address) {
    const auto at = memory_.readable(address, sizeof(abi::halt));
    abi::halt call;
    if (at.empty())
        return outside("HALT");
    std::memcpy(&call, at.data(), sizeof call);
    halted_ = halted{call.exit_status, call.cookie};
    return {};
}

outcome<> hypercalls::serve(std::uint16_t port, std::uint64_t address) {
    if (trace_ == nullptr) [[likely]]
        return dispatch(port, address);
    trace_->enter(memory_, port, address);
    auto served = dispatch(port, address);
    trace_->leave(memory_, port, address);
    return served;
}

outcome<> hypercalls::dispatch(std::uint16_t port, std::uint64_t address) {
    switch (port) {
    case PORT_WALLTIME: return wall_time(address);
    case PORT_PUTS: return put_text(address);
    case PORT_POLL: return poll(address);
    case PORT_BLOCK_WRITE:
    case PORT_BLOCK_READ: return transfer_blocks(address, port == PORT_BLOCK_WRITE);
    case PORT_NET_WRITE:
    case PORT_NET_READ: return transfer_frame(address, port == PORT_NET_WRITE);
    case PORT_HALT: return end_guest(address);
    default: { // PORT_RING_KICK comes here when no ring was offered
        char text[64];
        std::snprintf(text, sizeof text, "an OUT to port 0x%x, which is no hypercall", port);
        return failure(text);
    }
    }
}

} // namespace mirage::tender
