// SPDX-License-Identifier: MIT
// expect: a name is of a-z, 0-9 and _, and does not say _total
#include "mirage/app/metrics.hpp"

void publish(mirage::metrics<>& registry, const mirage::counter& orders) { registry.add<"orders_total", "Orders.">(orders); }
