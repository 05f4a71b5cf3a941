// SPDX-License-Identifier: MIT
// expect: every member has to be a counter, a std::uint64_t or a gauge
#include "mirage/app/metrics.hpp"

struct shop_statistics {
    std::int64_t debts = 0;

    static constexpr auto table() noexcept {
        return mirage::statistics_table{"shop_", mirage::statistic{&shop_statistics::debts, "debts", "Debts."}};
    }
};

void publish(mirage::metrics<>& registry, const shop_statistics& s) { registry.add(s); }
