// SPDX-License-Identifier: MIT
// Paths that take less than the link does.
#include "two_hosts.hpp"
#include "mirage/net/tcp/path_mtu.hpp"
#include <deque>
#include <string>
#include <vector>

using namespace test;
using mirage::wire::unreachable_code;

namespace {

using hosts = two_hosts<offload{}, net::tcp<net::path_mtu_discovery>>;

/// On the way from client to server: takes packets of `fits` octets at most. It may say so.
template <class Hosts>
struct narrow_router {
    Hosts& net;
    std::size_t fits;
    std::deque<std::vector<std::byte>> lost{};

    bool operator()(octets frame) noexcept {
        const auto packet = wire::ipv4_view::parse(frame.subspan(14));
        if (!packet || packet->packet().size() <= fits)
            return true;
        const octets quote = packet->packet().first(28);
        lost.emplace_back(quote.begin(), quote.end());
        return false;
    }
    /// RFC 1191 section 4; `mtu` 0: as routers did before.
    void complain(std::uint16_t mtu) {
        while (!lost.empty()) {
            send(lost.front(), mtu);
            lost.pop_front();
        }
    }
    void send(octets quote, std::uint16_t mtu) {
        std::array<std::byte, 14 + 20 + 8 + 28> frame{};
        const mutable_octets all{frame};
        wire::ethernet_header{net.link.a().mac(), net.link.b().mac(), wire::ethertype::ipv4}.emit(all);
        wire::ipv4_header{.source = ipv4_address{10, 0, 0, 77},
                          .destination = Hosts::client_address,
                          .protocol = wire::ip_protocol::icmp,
                          .total_length = 56}
            .emit(all.subspan(14));
        std::ranges::copy(quote, all.subspan(42).begin());
        wire::icmpv4_header::unreachable(unreachable_code::fragmentation_needed, mtu).emit(all.subspan(34), wire::sum(quote));
        REQUIRE(net.link.b().transmit({.headers = frame}));
    }
};

template <class Hosts>
struct transfer {
    Hosts net;
    narrow_router<Hosts> router{net, 1500};
    std::string text = std::string(100'000, 'x'), got;
    typename Hosts::stream client;
    bool sent = false;

    void begin() {
        net.spawn([](transfer& t) -> task<> {
            auto listener = t.net.server.tcp().listen(80);
            auto s = co_await listener.accept();
            while (auto part = co_await s->async_receive())
                t.got += as_text(part->view());
        }(*this));
        net.spawn([](transfer& t) -> task<> {
            auto s = co_await t.net.client.tcp().connect({Hosts::server_address, 80});
            t.client = std::move(*s);
            t.net.link.a().filter(t.router);
            auto whole = slice::of_static(t.text);
            (void)co_await t.client.async_send(whole);
            t.sent = true;
        }(*this));
    }
    bool done() const { return got.size() == text.size(); }
};

} // namespace

TEST_CASE("a router says what fits: segments of that size follow at once, and the window stays (RFC 1191 sections 4 and 6.5)") {
    transfer<hosts> t;
    t.router.fits = 1000;
    t.begin();
    for (int ms = 0; ms < 500 && !t.done(); ++ms) {
        (void)t.net.until([] { return false; }, 1ms);
        t.router.complain(1000);
    }
    CHECK(t.done());
    CHECK(t.got == t.text);
    CHECK(t.client.info().mss == 1000 - 40 - 12);
    CHECK(t.client.info().timeouts == 0);
    CHECK(t.client.info().fast_recoveries == 0);
    CHECK(t.client.info().cwnd >= 10 * 948);
}

TEST_CASE("a router that does not say what fits: the next plateau is tried (RFC 1191 section 7.1)") {
    CHECK(tcp::lower_plateau(65'535) == 32'000);
    CHECK(tcp::lower_plateau(1500) == 1492);
    CHECK(tcp::lower_plateau(1492) == 1006);
    CHECK(tcp::lower_plateau(300) == tcp::least_path_mtu);
    transfer<hosts> t;
    t.router.fits = 1100;
    t.begin();
    for (int ms = 0; ms < 500 && !t.done(); ++ms) {
        (void)t.net.until([] { return false; }, 1ms);
        t.router.complain(0);
    }
    CHECK(t.got == t.text);
    CHECK(t.client.info().mss == 1006 - 40 - 12);
    CHECK(t.client.info().timeouts == 0);
}

TEST_CASE("a router that says nothing: after three timeouts smaller segments are tried (RFC 4821 section 7.7)") {
    transfer<hosts> t;
    t.router.fits = 1100;
    t.begin();
    CHECK(t.net.until([&] { return t.done(); }, 60s));
    CHECK(t.got == t.text);
    CHECK(t.client.info().mss == 1024 - 40 - 12);
    transfer<hosts> narrower;
    narrower.router.fits = 600;
    narrower.begin();
    CHECK(narrower.net.until([&] { return narrower.done(); }, 100s));
    CHECK(narrower.client.info().mss == tcp::least_path_mtu - 40 - 12);
}

TEST_CASE("a forged message changes little, or nothing (RFC 5927 section 7)") {
    transfer<hosts> t;
    t.begin();
    (void)t.net.until([&] { return t.done(); }, 1s);
    REQUIRE(t.done());
    (void)t.net.until([] { return false; }, 1s); // the last acknowledgement
    std::array<std::byte, 28> quote{};
    const auto forge = [&](std::uint32_t sequence, std::uint16_t mtu) {
        wire::ipv4_header{.source = hosts::client_address, .destination = hosts::server_address,
                          .protocol = wire::ip_protocol::tcp, .total_length = 1500}
            .emit(quote);
        wire::store<std::uint16_t>(quote.data() + 20, t.client.local().port);
        wire::store<std::uint16_t>(quote.data() + 22, 80);
        wire::store<std::uint32_t>(quote.data() + 24, sequence);
        t.router.send(quote, mtu);
        (void)t.net.until([] { return false; }, 1ms);
    };
    forge(t.client.control().snd.una.value, 600); // nothing is in flight: RFC 5927 section 4.1
    CHECK(t.client.info().mss == 1448);
    t.router.fits = 0; // from now on something is
    t.net.spawn([](auto& transfer) -> task<> { (void)co_await transfer.client.async_write_some(as_octets("more")); }(t));
    (void)t.net.until([] { return false; }, 1ms);
    forge(t.client.control().snd.una.value - 1000, 600);
    CHECK(t.client.info().mss == 1448);
    forge(t.client.control().snd.una.value, 9000);
    CHECK(t.client.info().mss == 1448);
    forge(t.client.control().snd.una.value, 68);
    CHECK(t.client.info().mss == tcp::least_path_mtu - 40 - 12);
}

TEST_CASE("what is not listed does not happen") {
    transfer<two_hosts<>> t;
    t.router.fits = 1000;
    t.begin();
    for (int ms = 0; ms < 50; ++ms) {
        (void)t.net.until([] { return false; }, 1ms);
        t.router.complain(1000);
    }
    CHECK_FALSE(t.done());
    CHECK(t.client.info().mss == 1448);
}
