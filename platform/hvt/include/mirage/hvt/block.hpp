// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/device/stepwise_operation.hpp"
#include "mirage/hvt/hypercall.hpp"
#include "mirage/hvt/machine.hpp"
#include <algorithm>

namespace mirage::hvt {

/// One block device of the tender, whatever its name. Up to 1 MiB moves in one exit; the guest stands still meanwhile, so
/// a longer transfer is several, between which others run.
class disk {
    friend stepwise_operation<disk>;
    static constexpr std::uint64_t most_octets = 1 << 20;

    scheduler& home_;
    std::uint64_t handle_ = 0, sectors_ = 0;
    std::uint32_t sector_size_ = 512;
    bool read_only_ = false;

    template <unsigned Port>
    abi::status exchange(std::uint64_t sector, const std::byte* data, std::uint64_t size) const noexcept {
        abi::block_transfer call{
            .handle = handle_, .offset = sector * sector_size_, .data = address_of(data), .len = size};
        hypercall<Port>(call);
        return call.ret;
    }

    /// The ABI has no flush, and does not say whether a disk may be written. Our tender does both when nothing is written:
    /// at the beginning of the disk that fails where the disk may not be written, and anywhere else it makes durable what
    /// was written before. Under the stock one it does nothing: what a write returned from is in the host's page cache, and
    /// as durable as that.
    bool write_nothing(std::uint64_t sector) const noexcept {
        return exchange<PORT_BLOCK_WRITE>(sector, nullptr, 0) == abi::status::ok;
    }

    result<std::uint64_t> step(const block_request& r, std::uint64_t most) const noexcept {
        if (r.action == block_action::flush)
            return read_only_ || write_nothing(sectors_ - 1) ? result<std::uint64_t>{0} : std::unexpected(errc::io);
        const std::uint64_t size = most * sector_size_;
        const auto status = r.action == block_action::read ? exchange<PORT_BLOCK_READ>(r.sector, r.data, size)
                                                           : exchange<PORT_BLOCK_WRITE>(r.sector, r.data, size);
        if (status != abi::status::ok)
            return std::unexpected(errc::io);
        return most;
    }

    auto operation(const std::expected<block_request, block_error>& request) noexcept {
        return stepwise_operation{*this, home_, request, most_octets / sector_size_};
    }

public:
    std::uint64_t sectors() const noexcept { return sectors_; }
    std::uint32_t sector_size() const noexcept { return sector_size_; }
    bool read_only() const noexcept { return read_only_; }
    static std::uint32_t queue_depth() noexcept { return 1; }

    auto read(std::uint64_t sector, mutable_octets to) noexcept {
        return operation(checked_read(*this, sector, to));
    }
    auto write(std::uint64_t sector, octets from) noexcept { return operation(checked_write(*this, sector, from)); }
    auto flush() noexcept { return operation(block_request{.action = block_action::flush}); }

protected:
    explicit disk(scheduler& home) noexcept : home_{home} {}

    /// Finds the device in the manifest. errc::not_found.
    result<> set_up(std::string_view name) noexcept {
        const auto manifest = this_machine.manifest();
        const auto found = std::ranges::find_if(manifest, [&](const abi::manifest_entry& e) {
            return e.type == abi::device_type::block && e.attached && name == e.name;
        });
        if (found == manifest.end() || found->block_size == 0)
            return std::unexpected(errc::not_found);
        handle_ = static_cast<std::uint64_t>(found - manifest.begin());
        sector_size_ = found->block_size;
        sectors_ = found->capacity / sector_size_;
        read_only_ = !write_nothing(0);
        return {};
    }
};

/// BLOCK: the disk that the tender attached under this name (`--block:NAME=PATH`).
template <fixed_string Name>
class block : public disk {
public:
    static constexpr std::string_view name = Name;

    template <class Platform>
    explicit block(Platform& home) noexcept : disk{home.loop()} {}

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
