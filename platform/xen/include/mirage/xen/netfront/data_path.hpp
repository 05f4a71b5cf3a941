// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/event.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/xen/netfront/receiver.hpp"
#include "mirage/xen/netfront/transmitter.hpp"

namespace mirage::xen {

/// How much memory a netfront has.
struct netfront_sizes {
    std::size_t receive_pages = 512;  ///< of 4096 octets
    std::uint32_t lent_pages = 256;   ///< of those, how many the backend may hold at a time; at most 256
    std::size_t joined_frames = 8;    ///< received frames of more than a page that can be kept; 0: none will come
    std::size_t transmit_slots = 256; ///< a multiple of 16 from 32 to 256
    std::size_t gather_pages = 32;    ///< for payload in too many pieces; 16 or more

    /// What suits a device of a domain that has `memory` octets left for everything.
    static constexpr netfront_sizes within(std::size_t memory) noexcept {
        const std::size_t pages = std::clamp<std::size_t>(memory / 8 / 4096, 64, 1024);
        const bool small = memory < std::size_t{12} << 20;
        return {.receive_pages = pages,
                .lent_pages = static_cast<std::uint32_t>(std::min<std::size_t>(pages / 2, 256)),
                .joined_frames = small ? 0 : std::clamp<std::size_t>(memory / 32 / 65536, 4, 32),
                .transmit_slots = small ? 64u : 256u,
                .gather_pages = small ? 16u : 32u};
    }
};

/// The two rings of one network device and their event channel: netfront while a backend serves it, without the store.
/// Whatever the backend writes there, nothing is touched that it was not granted; when it breaks the protocol, nothing
/// of it is believed any more.
template <class Domain>
class netfront_data_path {
    Domain& home_;
    event& readable_;
    event& changed_;
    transmitter<Domain> tx_;
    receiver<Domain> rx_;
    evtchn_port_t port_ = 0;
    bool has_port_ = false;
    bool serving_ = false; ///< the backend is connected
    bool broken_ = false;  ///< the backend broke the protocol: its rings are not looked at any more
    bool up_ = true;       ///< the link has a carrier

    /// Notes whether the backend kept to the protocol.
    bool keep_faith(bool good) noexcept {
        if (!good) [[unlikely]] {
            broken_ = true;
            serving_ = false;
            changed_.set();
        }
        return good;
    }

    void tell(bool wanted) noexcept {
        if (wanted)
            home_.events().notify(port_);
    }

public:
    /// `readable` is set when the backend has done something, `changed` when it must not go on.
    netfront_data_path(Domain& home, event& readable, event& changed, const netfront_sizes& sizes) noexcept
        : home_{home}, readable_{readable}, changed_{changed}, tx_{home, sizes.transmit_slots, sizes.gather_pages},
          rx_{home, sizes.receive_pages, sizes.lent_pages, sizes.joined_frames} {}

    /// Whether there was memory for it.
    bool ready() const noexcept { return tx_.ready() && rx_.ready(); }

    /// Makes rings and channel for `peer`, which does not know of them yet. After an error: close().
    result<> open(domid_t peer, const transmit_features& features) noexcept {
        broken_ = false;
        const auto port = home_.events().allocate(peer);
        if (!port)
            return std::unexpected(port.error());
        port_ = *port;
        has_port_ = true;
        if (const auto r = home_.events().attach(port_, readable_); !r)
            return r;
        if (const auto r = tx_.open(peer, features); !r)
            return r;
        return rx_.open(peer);
    }

    /// The backend is connected: frames may pass.
    void serve() noexcept {
        serving_ = true;
        up_ = true;
        (void)rx_.push();
        home_.events().notify(port_);
        readable_.set();
    }
    void carrier(bool up) noexcept { up_ = up; }

    /// Takes everything back; frames under way are lost. False: the backend has pages mapped still; ask again, and do not
    /// open() before.
    bool close() noexcept {
        serving_ = false;
        if (has_port_)
            home_.events().close(port_);
        has_port_ = false;
        const bool tx = tx_.close(), rx = rx_.close();
        return tx && rx;
    }

    /// Grants and channel are gone without our doing: the domain was resumed elsewhere.
    void forget() noexcept {
        serving_ = has_port_ = false;
        tx_.forget();
        rx_.forget();
    }

    bool serving() const noexcept { return serving_; }
    bool broken() const noexcept { return broken_; }
    bool up() const noexcept { return serving_ && up_; }
    evtchn_port_t port() const noexcept { return port_; }
    grant_ref_t tx_ring() const noexcept { return tx_.ring_ref(); }
    grant_ref_t rx_ring() const noexcept { return rx_.ring_ref(); }
    const transmitter<Domain>& tx() const noexcept { return tx_; }
    const receiver<Domain>& rx() const noexcept { return rx_; }

    std::size_t receive(std::span<received_frame> burst) noexcept {
        if (!serving_)
            return 0;
        std::size_t count = 0;
        if (keep_faith(tx_.reclaim() && rx_.receive(burst, count)))
            lend();
        return count;
    }

    result<> transmit(const transmit_frame& frame) noexcept {
        if (!up()) [[unlikely]]
            return std::unexpected(errc::io);
        auto done = tx_.transmit(frame);
        if (!done && done.error() == errc::would_block) { // answers may have come that nobody has looked at
            tell(tx_.push());
            if (!keep_faith(tx_.reclaim()))
                return std::unexpected(errc::io);
            done = tx_.transmit(frame);
        }
        return done;
    }

    void flush() noexcept {
        if (!serving_)
            return;
        tell(tx_.push());
        if (keep_faith(tx_.reclaim()))
            lend();
    }

    /// See transmitter::filter.
    result<> filter(mac_address group, bool add) noexcept {
        return serving_ ? tx_.filter(group, add) : std::unexpected(errc::io);
    }

private:
    void lend() noexcept {
        rx_.lend();
        tell(rx_.push());
    }
};

} // namespace mirage::xen
