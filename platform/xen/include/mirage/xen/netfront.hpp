// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include "mirage/core/text_table.hpp"
#include "mirage/xen/netfront/data_path.hpp"
#include "mirage/xen/netfront/group_filter.hpp"
#include "mirage/xen/netfront/mac_text.hpp"
#include "mirage/xen/xenbus.hpp"

namespace mirage::xen {

namespace detail {

/// What a network frontend wants to know: in its own folder up to `trusted`, in the backend's behind that. One loop reads
/// all of it: an awaiting per key would be several times as much code.
struct netfront_asks {
    enum : std::uint8_t { mac, mtu, trusted, rx_copy, sg, no_csum, ipv6_csum, gso_tcpv4, gso_tcpv6, queues, count };
    static constexpr auto names = std::to_array<std::string_view>({
        "mac", "mtu", "trusted", "feature-rx-copy", "feature-sg", "feature-no-csum-offload",
        "feature-ipv6-csum-offload", "feature-gso-tcpv4", "feature-gso-tcpv6", "multi-queue-max-queues",
    });
    static_assert(names.size() == count);
    using answers = std::array<std::uint32_t, count>;
};

} // namespace detail

/// NETIF: a virtual interface (`vif = [...]`) of the domain `Domain`, over whatever backend the toolstack gives it, for as
/// long as it gives it one. When the backend closes, goes, or breaks the protocol, frames under way are lost, transmit()
/// fails with errc::io, and the next one that comes is connected to.
///
/// Zero-copy both ways: see transmitter and receiver. One queue: several would serve several processors.
template <domain Domain>
class netfront : frontend_driver {
    static constexpr std::size_t ethernet_header = 14;
    static constexpr std::uint32_t usual_mtu = 1500;
    /// Octets of an IP packet that a backend segments.
    static constexpr std::uint32_t largest_joined = transmitter<Domain>::largest - ethernet_header;

    using asked = detail::netfront_asks;

    event readable_;
    frontend bus_;
    netfront_data_path<Domain> path_;
    bool joins_;
    mac_address mac_{};
    std::uint32_t mtu_ = usual_mtu;
    bool queues_offered_ = false;
    unsigned attachments_ = 0;
    group_filter groups_{};
    event groups_changed_;
    task<> filtering_{}; ///< from the first hear() on

    /// The switch may have to learn where we are, and learns it from what we send.
    void attached() noexcept {
        ++attachments_;
        readable_.set();
        groups_changed_.set();
    }

public:
    static constexpr offload capabilities{.tx_checksum = true, .rx_checksum = true, .tso_size = largest_joined, .gro = true,
                                          .ipv6 = true};

    netfront(Domain& home, const netfront_sizes& sizes) noexcept
        : readable_{home.loop()}, bus_{home, "vif", *this}, path_{home, readable_, bus_.changed(), sizes},
          joins_{sizes.joined_frames != 0}, groups_changed_{home.loop()} {
        published = bus_state::connected; // what Linux's netback waits for
    }
    netfront(const netfront&) = delete;
    netfront& operator=(const netfront&) = delete;
    ~netfront() { (void)path_.close(); }

    /// Connects interface `order`, counted by number from 0; waits until it is up or cannot be. errc::not_found: there is
    /// no such interface; errc::no_buffers; errc::unsupported: the backend is too old. stage() says how far it came.
    [[nodiscard]] task<result<>> connect(std::size_t order) { return bus_.connect(order); }
    const frontend& bus() const noexcept { return bus_; }
    const netfront_data_path<Domain>& path() const noexcept { return path_; }

    mac_address mac() const noexcept { return mac_; }
    std::size_t mtu() const noexcept { return mtu_; }
    event& readable() noexcept { return readable_; }
    unsigned attachments() const noexcept { return attachments_; }
    const buffer_pool& receive_pool() const noexcept { return path_.rx().pool(); }
    /// What both halves count, into a mirage::metrics.
    void publish(auto& registry, const char* labels) const noexcept {
        registry.add(path_.rx().statistics(), labels);
        registry.add(path_.tx().statistics(), labels);
    }
    offload offloads() const noexcept {
        const transmit_features& f = path_.tx().features();
        const bool cuts = f.scatter && f.checksum && f.gso_ipv4;
        return {.tx_checksum = f.checksum, .rx_checksum = true, .tso_size = cuts ? largest_joined : 0, .gro = joins_,
                .ipv6 = f.checksum_ipv6 && (f.gso_ipv6 || !cuts)};
    }

    std::size_t receive(std::span<received_frame> burst) noexcept { return path_.receive(burst); }
    result<> transmit(const transmit_frame& frame) noexcept {
        if (frame.gso_size == 0 && frame.size() > mtu_ + ethernet_header) [[unlikely]]
            return std::unexpected(errc::too_large);
        return path_.transmit(frame);
    }
    void flush() noexcept { path_.flush(); }

    /// One more user of a multicast address. From the first on, a backend that can (feature-dynamic-multicast-control)
    /// is asked to keep back the frames of groups that have none: they wake nobody up.
    void hear(mac_address group) noexcept {
        groups_.hear(group);
        tell_groups();
    }
    /// One user less.
    void ignore(mac_address group) noexcept {
        groups_.ignore(group);
        tell_groups();
    }

private:
    void tell_groups() noexcept {
        if (!filtering_) {
            filtering_ = keep_filter();
            if (!filtering_)
                return; // without memory for it, everything is heard
            filtering_.start([](void*) noexcept {}, nullptr);
        }
        groups_changed_.set();
    }

    task<> keep_filter() {
        for (unsigned told = 0;;) {
            co_await groups_changed_.wait();
            if (!path_.serving() || co_await bus_.number_of("feature-dynamic-multicast-control", 0) != 1)
                continue;
            const unsigned now = attachments_;
            if (told != now)
                groups_.forget();
            // The list first: what is wanted already passes when the filter begins.
            const auto tell = [&](mac_address group, bool add) { return path_.filter(group, add).has_value(); };
            const bool all = groups_.tell(tell);
            path_.flush();
            if (!all) { // the ring is full
                co_await bus_.loop().sleep_for(std::chrono::milliseconds{10});
                groups_changed_.set();
                continue;
            }
            if (told == now && !groups_.overflowed())
                continue;
            const auto asks = [&](store_transaction& t) -> task<result<>> {
                // not into the folder of a device that has just been removed
                const auto there = co_await t.read({bus_.path(), "state"});
                if (!there)
                    co_return std::unexpected(there.error());
                co_return co_await t.write({bus_.path(), "request-multicast-control"}, groups_.overflowed() ? "0" : "1");
            };
            if (co_await bus_.store().transact(asks))
                told = now;
        }
    }

    task<result<>> negotiate(frontend& bus) override {
        if (!path_.ready())
            co_return std::unexpected(errc::no_buffers);
        asked::answers said{};
        said[asked::mtu] = usual_mtu;
        said[asked::trusted] = 1; // whoever made the domain may say that the backend is none of his
        for (std::size_t i = 0; i < asked::count; ++i) {
            const store_path key{i <= asked::trusted ? bus.path() : bus.backend_path(), text_table<asked::names>::at(i)};
            const auto value = co_await bus.store().read(key);
            if (i == asked::mac) {
                const auto mac = value ? parse_mac(value->view()) : std::unexpected(value.error());
                if (!mac)
                    co_return std::unexpected(mac.error());
                mac_ = *mac;
            } else if (value) {
                if (const auto number = value->number(); number && *number <= 0xffff)
                    said[i] = static_cast<std::uint32_t>(*number);
            }
        }
        co_return agree(bus, said);
    }

    /// Opens the rings for a backend that said so. Not part of the coroutine: there, it is more code.
    [[gnu::noinline]] result<> agree(frontend& bus, const asked::answers& said) noexcept {
        if (said[asked::rx_copy] != 1)
            return std::unexpected(errc::unsupported);
        queues_offered_ = said[asked::queues] != 0;
        const bool scatter = said[asked::sg] == 1;
        // Frames of more than a page need several slots, and come in several pages.
        const std::uint32_t most = scatter && joins_ ? largest_joined : usual_mtu;
        mtu_ = std::clamp(said[asked::mtu], 576u, most); // RFC 1122 section 3.3.2
        return path_.open(bus.backend_id(), {.scatter = scatter,
                                             .checksum = said[asked::no_csum] == 0,
                                             .checksum_ipv6 = said[asked::ipv6_csum] == 1,
                                             .gso_ipv4 = scatter && said[asked::gso_tcpv4] == 1,
                                             .gso_ipv6 = scatter && said[asked::gso_tcpv6] == 1,
                                             .trusted = said[asked::trusted] != 0});
    }

    static constexpr auto published_names = std::to_array<std::string_view>({
        "tx-ring-ref", "rx-ring-ref", "event-channel", "request-rx-copy", "feature-rx-notify", "feature-sg",
        "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-ipv6-csum-offload", "multi-queue-num-queues",
    });

    task<result<>> publish(frontend& bus, store_transaction& t) override {
        const std::uint32_t joins = joins_ ? 1 : 0;
        const std::array<std::uint32_t, published_names.size()> values{
            path_.tx_ring(), path_.rx_ring(), path_.port(), 1, 1, joins, joins, joins, 1, 1};
        // The last only where it was asked for: one queue is what there is without it.
        for (std::size_t i = 0; i < values.size() - (queues_offered_ ? 0 : 1); ++i) {
            line<12> text;
            text << values[i];
            const auto r = co_await t.write({bus.path(), text_table<published_names>::at(i)}, text.view());
            if (!r)
                co_return r;
        }
        co_return result<>{};
    }

    /// The backend says when its end of the link goes down and comes up; not every one does.
    task<result<>> attend(frontend& bus, bool first) override {
        if (first)
            path_.serve();
        const bool up = co_await bus.number_of("carrier", 1) != 0;
        const bool is_new = first || (up && !path_.up());
        path_.carrier(up);
        if (is_new)
            attached();
        co_return result<>{};
    }

    bool disconnect() noexcept override { return path_.close(); }
    void forget() noexcept override { path_.forget(); }
    bool broken() const noexcept override { return path_.broken(); }
};

} // namespace mirage::xen
