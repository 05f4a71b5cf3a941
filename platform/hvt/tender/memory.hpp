// SPDX-License-Identifier: MIT
#pragma once
#include "message.hpp"
#include "mirage/hvt/abi.hpp"
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace mirage::tender {

/// The guest's RAM as this process sees it. The one place that turns a guest's number into a pointer.
class guest_memory {
    std::byte* base_ = nullptr;
    std::uint64_t size_ = 0; ///< what the guest may name
    std::uint64_t total_ = 0;
    struct range {
        std::uint64_t start, end;
    };
    std::vector<range> read_only_{}; ///< what protect() took the right to write to away from

public:
    /// Reserves `size` zeroed octets, and behind them room for the network ring when there is one.
    static outcome<guest_memory> reserve(std::uint64_t size, bool with_ring);

    std::byte* base() const noexcept { return base_; }
    std::uint64_t size() const noexcept { return size_; }
    std::uint64_t total() const noexcept { return total_; }

    /// `size` octets at `address` to read; empty data() when they are not all the guest's.
    std::span<const std::byte> readable(std::uint64_t address, std::uint64_t size) const noexcept {
        if (address >= size_ || size > size_ - address)
            return {};
        return {base_ + address, static_cast<std::size_t>(size)};
    }

    /// The same, to write on the guest's behalf: what the guest cannot write to, we do not write to for it.
    std::span<std::byte> writable(std::uint64_t address, std::uint64_t size) const noexcept {
        if (address < IMAGE_BASE || address >= size_ || size > size_ - address)
            return {};
        for (const range& r : read_only_)
            if (address < r.end && r.start < address + size)
                return {};
        return {base_ + address, static_cast<std::size_t>(size)};
    }

    /// Writes for a debugger, which may do what the guest cannot. False: not all of it is the guest's.
    bool poke(std::uint64_t address, std::span<const std::byte> octets) const noexcept;

    /// The ring, behind the guest's RAM.
    hvt::abi::net_ring& ring() const noexcept {
        return *reinterpret_cast<hvt::abi::net_ring*>(base_ + size_);
    }

    /// Takes the right to write away where the ABI says so. `writable` false: KVM follows, and the guest
    /// cannot.
    outcome<> protect(std::uint64_t start, std::uint64_t end, bool writable);
};

} // namespace mirage::tender
