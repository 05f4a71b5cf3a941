// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/device/block.hpp"
#include "mirage/hvt/hypercall.hpp"
#include "mirage/hvt/machine.hpp"
#include <algorithm>
#include <coroutine>

namespace mirage::hvt {

/// What a block operation returns: done before anybody awaits it, because the hypercall is synchronous.
struct [[nodiscard]] finished_transfer {
    block_result outcome;
    static constexpr bool await_ready() noexcept { return true; }
    static void await_suspend(std::coroutine_handle<>) noexcept {}
    block_result await_resume() const noexcept { return outcome; }
};

/// One block device of the tender, whatever its name. A transfer of many sectors is one exit.
class disk {
    std::uint64_t handle_ = 0, capacity_ = 0;
    std::uint32_t sector_size_ = 512;

    template <unsigned Port>
    finished_transfer transfer(std::uint64_t sector, const std::byte* data, std::size_t size) const noexcept {
        const auto fail = [&](errc code) { return finished_transfer{std::unexpected(block_error{code, sector})}; };
        if (size % sector_size_ != 0)
            return fail(errc::invalid_argument);
        if (sector > sectors() || size / sector_size_ > sectors() - sector)
            return fail(errc::too_large);
        if (size == 0)
            return {};
        abi::block_transfer call{
            .handle = handle_, .offset = sector * sector_size_, .data = address_of(data), .len = size};
        hypercall<Port>(call);
        return call.ret == abi::status::ok ? finished_transfer{} : fail(errc::io);
    }

public:
    std::uint64_t sectors() const noexcept { return capacity_ / sector_size_; }
    std::uint32_t sector_size() const noexcept { return sector_size_; }
    static bool read_only() noexcept { return false; }
    /// The device's bit in what platform::wait() returns: never set, nothing here waits.
    unsigned ready_bit() const noexcept { return static_cast<unsigned>(handle_); }

    finished_transfer read(std::uint64_t sector, mutable_octets to) const noexcept {
        return transfer<PORT_BLOCK_READ>(sector, to.data(), to.size());
    }
    finished_transfer write(std::uint64_t sector, octets from) const noexcept {
        return transfer<PORT_BLOCK_WRITE>(sector, from.data(), from.size());
    }
    /// The ABI has no flush: what a write returned from is in the host's page cache, and as durable as that.
    static finished_transfer flush() noexcept { return {}; }

protected:
    /// Finds the device in the manifest. errc::not_found.
    result<> set_up(std::string_view name) noexcept {
        const auto manifest = this_machine.manifest();
        const auto found = std::ranges::find_if(manifest, [&](const abi::manifest_entry& e) {
            return e.type == abi::device_type::block && e.attached && name == e.name;
        });
        if (found == manifest.end() || found->block_size == 0)
            return std::unexpected(errc::not_found);
        handle_ = static_cast<std::uint64_t>(found - manifest.begin());
        capacity_ = found->capacity;
        sector_size_ = found->block_size;
        return {};
    }
};

/// BLOCK: the disk that the tender attached under this name (`--block:NAME=PATH`).
template <fixed_string Name>
class block : public disk {
public:
    static constexpr std::string_view name = Name;

    template <class Platform>
    explicit block(Platform&) noexcept {}

    result<> open() noexcept {
        const auto done = set_up(name);
        if (!done) {
            put("hvt: the tender has not attached the block device ");
            put(name);
            put("\n");
        }
        return done;
    }
};

static_assert(mirage::block<block<"disk">>);

} // namespace mirage::hvt
