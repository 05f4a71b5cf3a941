// SPDX-License-Identifier: MIT
#include "mirage/core/pool_statistics.hpp"
#include "mirage/app/metrics.hpp"
#include "support.hpp"

using namespace test;

namespace {

/// What a shop counts.
struct shop_statistics {
    std::array<counter, 2> orders{};
    std::uint64_t octets = 0;
    gauge queued{};

    static constexpr auto table() noexcept {
        using s = shop_statistics;
        return statistics_table{"shop_", statistic{&s::octets, "octets", "Octets sold."},
                                statistic{&s::orders, 0, "orders", "Orders.", "paid=\"yes\""},
                                statistic{&s::orders, 1, "orders", "", "paid=\"no\""},
                                statistic{&s::queued, "queued", "Orders that wait."}};
    }
};

/// A device whose counters lie about in it.
struct scale {
    struct made {
        std::uint64_t weighed = 0;
        static constexpr auto table() noexcept {
            return statistics_table{"scale_", statistic{&made::weighed, "weighed", "Things weighed."}};
        }
    };
    std::uint64_t weighed = 0;
    made statistics() const noexcept { return {weighed}; }
};

std::string text_of(const auto& registry) {
    std::string text;
    registry.write([&](std::string_view t) { text += t; });
    return text;
}

} // namespace

TEST_CASE("a struct of statistics, in the Prometheus text format, version 0.0.4") {
    shop_statistics shop;
    metrics<> m;
    m.add(shop);
    shop.orders[0].add(3);
    shop.orders[1].add();
    shop.octets = 5'000'000'000;
    shop.queued.set(-2);
    // The struct's order; each name once with HELP and TYPE; counters end in _total.
    CHECK(text_of(m) == "# HELP shop_orders_total Orders.\n# TYPE shop_orders_total counter\n"
                        "shop_orders_total{paid=\"yes\"} 3\nshop_orders_total{paid=\"no\"} 1\n"
                        "# HELP shop_octets_total Octets sold.\n# TYPE shop_octets_total counter\n"
                        "shop_octets_total 5000000000\n"
                        "# HELP shop_queued Orders that wait.\n# TYPE shop_queued gauge\nshop_queued -2\n");
}

TEST_CASE("series of a name stand together, whatever was added in between") {
    shop_statistics north, south;
    counter good, bad;
    good.add(2);
    south.octets = 7;
    metrics<8> m;
    m.add<"requests", "Requests.">(good, "code=\"2xx\"");
    m.add(north, "city=\"north\"");
    m.add<"requests", "Requests.">(bad, "code=\"5xx\"");
    m.add(south, "city=\"south\"");
    const std::string text = text_of(m);
    CHECK(text.starts_with("# HELP requests_total Requests.\n# TYPE requests_total counter\n"
                           "requests_total{code=\"2xx\"} 2\nrequests_total{code=\"5xx\"} 0\n"
                           "# HELP shop_orders_total Orders.\n# TYPE shop_orders_total counter\n"
                           "shop_orders_total{city=\"north\",paid=\"yes\"} 0\nshop_orders_total{city=\"south\",paid=\"yes\"} 0\n"
                           "shop_orders_total{city=\"north\",paid=\"no\"} 0\n"));
    CHECK(text.find("shop_octets_total{city=\"north\"} 0\nshop_octets_total{city=\"south\"} 7\n") != text.npos);
}

TEST_CASE("statistics that are made when they are asked for, and those of pools") {
    scale s;
    buffer_pool pool{2, 64};
    metrics<2> m;
    m.add(s);
    m.add_as<pool_statistics<"pages_">>(pool.counts());
    s.weighed = 4;
    const auto first = pool.take(), second = pool.take(), none = pool.take();
    CHECK(text_of(m) == "# HELP scale_weighed_total Things weighed.\n# TYPE scale_weighed_total counter\nscale_weighed_total 4\n"
                        "# HELP pages_free Buffers that are free.\n# TYPE pages_free gauge\npages_free 0\n"
                        "# HELP pages_size Buffers in all.\n# TYPE pages_size gauge\npages_size 2\n"
                        "# HELP pages_exhausted_total Times there was no buffer.\n# TYPE pages_exhausted_total counter\n"
                        "pages_exhausted_total 1\n");
}

TEST_CASE("a compact registry leaves HELP out, and the help is not in its table") {
    shop_statistics shop;
    compact_metrics<1> m;
    m.add(shop);
    CHECK(text_of(m) == "# TYPE shop_orders_total counter\nshop_orders_total{paid=\"yes\"} 0\nshop_orders_total{paid=\"no\"} 0\n"
                        "# TYPE shop_octets_total counter\nshop_octets_total 0\n# TYPE shop_queued gauge\nshop_queued 0\n");
    CHECK(statistics_text<shop_statistics, false>.size() + sizeof("Orders.") + sizeof("Octets sold.") + sizeof("Orders that wait.")
          == statistics_text<shop_statistics>.size());
}

TEST_CASE("what a server counts") {
    rig<> r;
    r.start();
    r.say(get("/hello") + get("/nothing") + get("/data", "If-None-Match: \"d1\"\r\n"));
    auto& c = r.server.counters();
    CHECK(c.responses[1].value() == 1);
    CHECK(c.responses[2].value() == 1);
    CHECK(c.responses[3].value() == 1);
    CHECK(c.content.value() == 6 + 14);
    CHECK(c.connections.value() == 1);
    CHECK(c.open.value() == 1);
    r.wire.end_input();
    r.run();
    CHECK(c.open.value() == 0);
}
