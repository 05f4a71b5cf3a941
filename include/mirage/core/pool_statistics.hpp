// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include "mirage/core/statistics.hpp"

namespace mirage {

/// The names of what a pool of buffers has, beginning with `Prefix`:
/// `registry.template add_as<pool_statistics<"http_pages_">>(pages.counts())`.
template <fixed_string Prefix>
struct pool_statistics : pool_counts {
    static constexpr auto table() noexcept {
        using s = pool_counts;
        return statistics_table{Prefix.view(), statistic{&s::free, "free", "Buffers that are free."},
                                statistic{&s::size, "size", "Buffers in all."},
                                statistic{&s::exhausted, "exhausted", "Times there was no buffer."}};
    }
};

} // namespace mirage
