// SPDX-License-Identifier: MIT
#include "support.hpp"

using namespace test;

TEST_CASE("the Prometheus text format, version 0.0.4") {
    counter good, bad;
    gauge level;
    const std::size_t other = 7;
    good.add(3);
    bad.add();
    level.set(-2);
    metrics<8> m;
    m.add("requests_total", "Requests.", good, "code=\"2xx\"");
    m.add("level", "How high.", level);
    m.add("requests_total", "Requests.", bad, "code=\"5xx\"");
    m.add_gauge<[](std::size_t n) { return n; }>("free", "Left.", other);
    std::string text;
    m.write([&](std::string_view t) { text += t; });
    CHECK(text == "# HELP requests_total Requests.\n# TYPE requests_total counter\n"
                  "requests_total{code=\"2xx\"} 3\nrequests_total{code=\"5xx\"} 1\n"
                  "# HELP level How high.\n# TYPE level gauge\nlevel -2\n"
                  "# HELP free Left.\n# TYPE free gauge\nfree 7\n");
}

TEST_CASE("what a server counts") {
    rig<> r;
    r.start();
    r.say(get("/hello") + get("/nothing") + get("/data", "If-None-Match: \"d1\"\r\n"));
    auto& c = r.server.counters();
    CHECK(c.responses[2].value() == 1);
    CHECK(c.responses[3].value() == 1);
    CHECK(c.responses[4].value() == 1);
    CHECK(c.content.value() == 6 + 14);
    CHECK(c.connections.value() == 1);
    CHECK(c.open.value() == 1);
    r.wire.end_input();
    r.run();
    CHECK(c.open.value() == 0);
}
