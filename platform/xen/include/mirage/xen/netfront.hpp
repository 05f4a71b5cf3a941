// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include "mirage/xen/netfront/data_path.hpp"
#include "mirage/xen/netfront/mac_text.hpp"
#include "mirage/xen/xenbus.hpp"

namespace mirage::xen {

/// NETIF: a virtual interface (`vif = [...]`) of the domain `Domain`, over whatever backend the toolstack gives it, for as
/// long as it gives it one. When the backend closes, goes, or breaks the protocol, frames under way are lost, transmit()
/// fails with errc::io, and the next one that comes is connected to.
///
/// Zero-copy both ways: see transmitter and receiver. One queue: several would serve several processors.
template <domain Domain>
class netfront : frontend_driver {
    static constexpr std::size_t ethernet_header = 14;
    static constexpr std::size_t usual_mtu = 1500;
    /// Octets of an IP packet that a backend segments.
    static constexpr std::uint32_t largest_joined = transmitter<Domain>::largest - ethernet_header;

    event readable_;
    frontend bus_;
    netfront_data_path<Domain> path_;
    event carrier_changed_;
    store_watch carrier_watch_;
    task<> following_carrier_;
    bool joins_;
    mac_address mac_{};
    std::size_t mtu_ = usual_mtu;
    std::uint64_t queues_offered_ = 0;

public:
    static constexpr offload capabilities{.tx_checksum = true, .rx_checksum = true, .tso_size = largest_joined, .gro = true};

    netfront(Domain& home, const netfront_sizes& sizes) noexcept
        : readable_{home.loop()}, bus_{home, "vif", *this}, path_{home, readable_, bus_.changed(), sizes},
          carrier_changed_{home.loop()}, joins_{sizes.joined_frames != 0} {
        published = bus_state::connected; // what Linux's netback waits for
    }
    netfront(const netfront&) = delete;
    netfront& operator=(const netfront&) = delete;
    ~netfront() { (void)path_.close(); }

    /// Connects interface `order`, counted by number from 0; waits until it is up or cannot be. errc::not_found: there is
    /// no such interface; errc::no_buffers; errc::unsupported: the backend is too old. stage() says how far it came.
    [[nodiscard]] task<result<>> connect(std::size_t order) {
        if (!path_.ready())
            co_return std::unexpected(errc::no_buffers);
        const auto number = co_await find_device(bus_.store(), "vif", order);
        if (!number)
            co_return std::unexpected(number.error());
        if (const auto r = bus_.start(*number); !r)
            co_return r;
        co_return co_await bus_.settled();
    }
    const frontend& bus() const noexcept { return bus_; }
    const netfront_data_path<Domain>& path() const noexcept { return path_; }

    mac_address mac() const noexcept { return mac_; }
    std::size_t mtu() const noexcept { return mtu_; }
    event& readable() noexcept { return readable_; }
    const buffer_pool& receive_pool() const noexcept { return path_.rx().pool(); }
    offload offloads() const noexcept {
        const transmit_features& f = path_.tx().features();
        const bool cuts = f.scatter && f.checksum && f.gso_ipv4;
        return {.tx_checksum = f.checksum, .rx_checksum = true, .tso_size = cuts ? largest_joined : 0, .gro = joins_};
    }

    std::size_t receive(std::span<received_frame> burst) noexcept { return path_.receive(burst); }
    result<> transmit(const transmit_frame& frame) noexcept {
        if (frame.gso_size == 0 && frame.size() > mtu_ + ethernet_header) [[unlikely]]
            return std::unexpected(errc::too_large);
        return path_.transmit(frame);
    }
    void flush() noexcept { path_.flush(); }

private:
    task<result<>> negotiate(frontend& bus) override {
        const auto address = co_await bus.store().read({bus.path(), "mac"});
        if (!address)
            co_return std::unexpected(address.error());
        const auto mac = parse_mac(address->view());
        if (!mac)
            co_return std::unexpected(mac.error());
        mac_ = *mac;

        if (co_await bus.number_of("feature-rx-copy", 0) != 1)
            co_return std::unexpected(errc::unsupported);
        transmit_features f;
        f.scatter = co_await bus.number_of("feature-sg", 0) == 1;
        f.checksum = co_await bus.number_of("feature-no-csum-offload", 0) == 0;
        f.checksum_ipv6 = co_await bus.number_of("feature-ipv6-csum-offload", 0) == 1;
        f.gso_ipv4 = f.scatter && co_await bus.number_of("feature-gso-tcpv4", 0) == 1;
        f.gso_ipv6 = f.scatter && co_await bus.number_of("feature-gso-tcpv6", 0) == 1;
        queues_offered_ = co_await bus.number_of("multi-queue-max-queues", 0);
        // Whoever made the domain may say that the backend is none of his.
        const auto trusted = co_await bus.store().read({bus.path(), "trusted"});
        f.trusted = !trusted || trusted->view() != "0";

        const auto mtu = co_await bus.store().read({bus.path(), "mtu"});
        const std::uint64_t octets = (mtu ? mtu->number() : std::unexpected(mtu.error())).value_or(usual_mtu);
        // Frames of more than a page need several slots, and come in several pages.
        const std::size_t most = f.scatter && joins_ ? largest_joined : usual_mtu;
        mtu_ = std::clamp<std::uint64_t>(octets, 576, most); // RFC 1122 section 3.3.2
        co_return path_.open(bus.backend_id(), f);
    }

    task<result<>> publish(frontend& bus, store_transaction& t) override {
        struct key {
            std::string_view name;
            std::uint64_t value;
        };
        const std::array keys{
            key{"tx-ring-ref", path_.tx_ring()},
            key{"rx-ring-ref", path_.rx_ring()},
            key{"event-channel", path_.port()},
            key{"request-rx-copy", 1},
            key{"feature-rx-notify", 1},
            key{"feature-sg", joins_},
            key{"feature-gso-tcpv4", joins_},
            key{"feature-gso-tcpv6", joins_},
            key{"feature-ipv6-csum-offload", 1},
            key{"multi-queue-num-queues", 1},
        };
        for (const key& k : keys) {
            if (k.name == "multi-queue-num-queues" && queues_offered_ == 0)
                continue;
            line<20> text;
            text << k.value;
            if (const auto r = co_await t.write({bus.path(), k.name}, text.view()); !r)
                co_return r;
        }
        co_return result<>{};
    }

    task<result<>> begin(frontend& bus) override {
        path_.serve();
        auto watch = co_await bus.store().watch({bus.backend_path(), "carrier"}, carrier_changed_);
        if (!watch)
            co_return std::unexpected(watch.error());
        carrier_watch_ = std::move(*watch);
        following_carrier_ = follow_carrier();
        if (!following_carrier_)
            co_return std::unexpected(errc::no_buffers);
        following_carrier_.start([](void*) noexcept {}, nullptr);
        co_return result<>{};
    }

    /// The backend says when its end of the link goes down and comes up; not every one does.
    task<> follow_carrier() {
        for (;;) {
            co_await carrier_changed_.wait();
            path_.carrier(co_await bus_.number_of("carrier", 1) != 0);
        }
    }

    bool disconnect() noexcept override {
        following_carrier_.reset();
        carrier_watch_.reset();
        return path_.close();
    }
    void forget() noexcept override {
        following_carrier_.reset();
        carrier_watch_.reset();
        path_.forget();
    }
    bool broken() const noexcept override { return path_.broken(); }
};

} // namespace mirage::xen
