// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/block.hpp"

namespace mirage {

/// What a block operation does.
enum class block_action : std::uint8_t { read, write, flush, discard };

/// What a block operation has still to do. For the making of devices.
struct block_request {
    block_action action{};
    std::uint64_t sector = 0; ///< the next one
    std::uint64_t count = 0;  ///< sectors from there on
    std::byte* data = nullptr; ///< of the next sector; only read in a write

    constexpr bool transfers() const noexcept { return action == block_action::read || action == block_action::write; }

    /// Has this many sectors behind it.
    constexpr void advance(std::uint64_t sectors, std::uint32_t sector_size) noexcept {
        sector += sectors;
        count -= sectors;
        if (transfers())
            data += sectors * sector_size;
    }
};

/// A request to read or write `size` octets at `data`, or why a disk of this geometry does not take it.
template <class Disk>
constexpr std::expected<block_request, block_error> checked_transfer(const Disk& on, block_action action,
                                                                     std::uint64_t sector, std::byte* data,
                                                                     std::size_t size) noexcept {
    const std::uint32_t unit = on.sector_size();
    const std::uint64_t capacity = on.sectors();
    const bool writes = action == block_action::write;
    if (writes && on.read_only())
        return std::unexpected(block_error{errc::read_only, sector});
    if (size % unit != 0)
        return std::unexpected(block_error{errc::invalid_argument, sector});
    const std::uint64_t count = size / unit;
    if (sector > capacity || count > capacity - sector)
        return std::unexpected(block_error{errc::too_large, sector});
    return block_request{action, sector, count, data};
}

template <class Disk>
constexpr auto checked_read(const Disk& on, std::uint64_t sector, mutable_octets to) noexcept {
    return checked_transfer(on, block_action::read, sector, to.data(), to.size());
}

template <class Disk>
constexpr auto checked_write(const Disk& on, std::uint64_t sector, octets from) noexcept {
    return checked_transfer(on, block_action::write, sector, const_cast<std::byte*>(from.data()), from.size());
}

template <class Disk>
constexpr std::expected<block_request, block_error> checked_discard(const Disk& on, std::uint64_t sector,
                                                                    std::uint64_t count) noexcept {
    if (on.read_only())
        return std::unexpected(block_error{errc::read_only, sector});
    if (sector > on.sectors() || count > on.sectors() - sector)
        return std::unexpected(block_error{errc::too_large, sector});
    return block_request{block_action::discard, sector, count, nullptr};
}

} // namespace mirage
