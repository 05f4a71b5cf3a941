// SPDX-License-Identifier: MIT
// expect: table\(\) needs exactly one row for each member
#include "mirage/app/metrics.hpp"

struct shop_statistics {
    std::uint64_t orders = 0, returns = 0;

    static constexpr auto table() noexcept {
        return mirage::statistics_table{"shop_", mirage::statistic{&shop_statistics::orders, "orders", "Orders."}};
    }
};

void publish(mirage::metrics<>& registry, const shop_statistics& s) { registry.add(s); }
