// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/runtime/heap.hpp"
#include "mirage/xen/blkfront.hpp"
#include "mirage/xen/connect.hpp"

namespace mirage::xen {

/// BLOCK: the domain's disk (`disk = [...]`) that stands where this device stands among the application's, by virtual
/// device: xvda before xvdb.
template <fixed_string Name>
class block : public blkfront<platform> {
    static constexpr auto text = Name;

    platform& home_;
    std::size_t order_;

public:
    static constexpr std::string_view name = text.view();

    explicit block(platform& home) noexcept
        : blkfront<platform>{home, blkfront_sizes::within(runtime::memory.capacity() - runtime::memory.used())},
          home_{home}, order_{home.next_vbd()} {}

    /// Connects; says on the console why it cannot.
    result<> open() noexcept {
        static constexpr device_words words{
            "block device", name, "disk",
            "the domain has no such disk; add one to its configuration: "
            "disk = [ 'format=raw, vdev=xvda, access=rw, target=/path/to/disk.img' ]",
            "its backend says a size of the disk, or of its sectors, that cannot be", "block-list"};
        auto connecting = this->connect(order_);
        return connect_device(home_, connecting, bus(), order_, words);
    }
};

static_assert(mirage::discarding_block<block<"any">>);

} // namespace mirage::xen
