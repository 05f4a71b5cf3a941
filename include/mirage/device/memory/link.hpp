// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/memory/impairment.hpp"
#include "mirage/device/memory/pcap.hpp"
#include "mirage/device/memory/segmentation.hpp"
#include "mirage/device/netif.hpp"
#include <optional>

namespace mirage::memory {

/// How the two ends of a link are made.
struct link_options {
    mac_address a{{0x02, 0, 0, 0, 0, 0x0a}}, b{{0x02, 0, 0, 0, 0, 0x0b}}; ///< locally administered
    std::size_t mtu = 1500;      ///< octets
    std::size_t buffers = 512;   ///< receive buffers of each end
    std::size_t ring = 512;      ///< frames that wait for receive() at each end; rounded up to a power of two
};

/// What an end has seen. Octets of payload are those of transmit_frame::payload.
struct link_counters {
    std::uint64_t transmitted = 0;      ///< frames taken by transmit()
    std::uint64_t received = 0;         ///< frames given out by receive()
    std::uint64_t no_buffer = 0;        ///< arrived when the receive pool was empty: lost
    std::uint64_t no_room = 0;          ///< arrived when the ring was full: lost
    std::uint64_t filtered = 0;         ///< taken off the line by the filter
    std::uint64_t payload_referred = 0; ///< octets that came as slices, in the sender's own memory
    std::uint64_t payload_watched = 0;  ///< those of them that lie in the memory given to watch()
    std::uint64_t payload_copied = 0;   ///< octets that this device copied: gathered once into the peer's buffer
};

/// Looks at a frame about to go on the line; false: it is lost. A reference to a callable that outlives it.
class frame_filter {
    void* object_ = nullptr;
    bool (*passes_)(void*, octets) noexcept = nullptr;

public:
    constexpr frame_filter() noexcept = default;
    template <class T>
        requires std::predicate<T&, octets>
    frame_filter(T& object) noexcept // NOLINT: a reference is meant to convert
        : object_{const_cast<std::remove_cv_t<T>*>(&object)},
          passes_{[](void* o, octets f) noexcept -> bool { return (*static_cast<T*>(o))(f); }} {}
    explicit operator bool() const noexcept { return passes_ != nullptr; }
    bool operator()(octets frame) const noexcept { return passes_(object_, frame); }
};

/// One end of a link, whatever it offloads. transmit() on a plain link (no impairment, filter or capture) gathers
/// the frame into a buffer of the peer's pool and puts it on the peer's ring: one copy, no allocation, no timer.
class link_end {
    scheduler& home_;
    offload offers_;
    mac_address mac_;
    std::size_t mtu_;
    buffer_pool pool_;
    event readable_;
    std::unique_ptr<received_frame[]> ring_;
    std::size_t mask_, head_ = 0, waiting_ = 0;
    link_end* peer_ = nullptr;
    bool up_ = true, plain_ = true;
    std::optional<impaired_line> line_;
    frame_filter filter_{};
    pcap_writer* capture_ = nullptr;
    duration boot_{};
    octets watched_{};
    std::unique_ptr<std::byte[]> scratch_; ///< a frame as it was sent, then one segment of it
    link_counters counters_{};

    template <offload, offload>
    friend class link;

    /// The largest frame: Ethernet header and packet.
    static std::size_t largest(const offload& o, std::size_t mtu) noexcept {
        return 14 + std::max(mtu, std::size_t{o.tso_size});
    }
    static std::size_t receive_size(const offload& o, std::size_t mtu) noexcept {
        return o.gro ? 14 + 65'535 : 14 + mtu;
    }

    void replan() noexcept {
        plain_ = !line_ && !filter_ && capture_ == nullptr && peer_->capture_ == nullptr;
        if (scratch_ == nullptr) {
            scratch_.reset(new (std::nothrow) std::byte[2 * largest(offers_, mtu_)]);
            check(scratch_ != nullptr, "link: out of memory");
        }
    }

    static void gather(const transmit_frame& f, std::byte* to) noexcept {
        if (!f.headers.empty())
            std::memcpy(to, f.headers.data(), f.headers.size());
        to += f.headers.size();
        for (const slice& s : f.payload) {
            if (!s.empty())
                std::memcpy(to, s.data(), s.size());
            to += s.size();
        }
    }

    void push(slice&& data, bool verified, std::uint16_t gso) noexcept {
        received_frame& slot = ring_[(head_ + waiting_++) & mask_];
        slot.data = std::move(data);
        slot.checksum_verified = verified;
        slot.gso_size = gso;
        readable_.set();
    }
    bool full() const noexcept { return waiting_ > mask_; }

    /// A frame has reached this end.
    void arrive(octets frame, impaired_line::tag what) noexcept {
        if (full()) {
            ++counters_.no_room;
            return;
        }
        page p = pool_.take();
        if (!p) {
            ++counters_.no_buffer;
            return;
        }
        std::memcpy(p.room().data(), frame.data(), frame.size());
        record(frame);
        push(std::move(p).freeze(0, frame.size()), what.checksum_verified && offers_.rx_checksum, what.gso_size);
    }

    void record(octets frame) noexcept {
        if (capture_ != nullptr)
            capture_->frame(wall_time{boot_ + home_.now().time_since_epoch()}, frame);
    }

    /// Puts one finished frame on the line.
    void launch(octets frame, impaired_line::tag what) noexcept {
        record(frame);
        if (filter_ && !filter_(frame)) {
            ++counters_.filtered;
            return;
        }
        if (line_)
            line_->send(frame, what);
        else
            peer_->arrive(frame, what);
    }

    void account(const transmit_frame& f) noexcept {
        ++counters_.transmitted;
        std::size_t payload = 0;
        for (const slice& s : f.payload) {
            payload += s.size();
            const auto from = reinterpret_cast<std::uintptr_t>(s.data());
            const auto low = reinterpret_cast<std::uintptr_t>(watched_.data());
            if (from >= low && from + s.size() <= low + watched_.size())
                counters_.payload_watched += s.size();
        }
        counters_.payload_referred += payload;
        counters_.payload_copied += payload;
    }

    /// transmit() where somebody looks at the frame, or it has to be changed.
    [[gnu::noinline]] result<> transmit_slowly(const transmit_frame& f, std::size_t size) noexcept {
        if (scratch_ == nullptr)
            replan();
        const bool cuts = f.gso_size != 0 && (line_ || !peer_->offers_.gro);
        const std::size_t pieces = cuts ? size / f.gso_size + 1 : 1;
        if (!line_ && peer_->waiting_ + pieces > peer_->mask_ + 1)
            return std::unexpected(errc::would_block);
        account(f);
        const mutable_octets whole{scratch_.get(), size};
        gather(f, whole.data());
        const bool verified = f.checksum_start != 0;
        if (cuts) {
            const mutable_octets room{scratch_.get() + largest(offers_, mtu_), 14 + mtu_};
            segmentation::cut(whole, f.checksum_start, f.gso_size, room,
                              [&](octets segment) { launch(segment, {0, verified}); });
            return {};
        }
        if (verified)
            segmentation::complete_checksum(whole, f.checksum_start, f.checksum_offset);
        launch(whole, {f.gso_size, verified});
        return {};
    }

protected:
    link_end(scheduler& home, const offload& offers, const mac_address& mac, const link_options& o) noexcept
        : home_{home}, offers_{offers}, mac_{mac}, mtu_{o.mtu}, pool_{o.buffers, receive_size(offers, o.mtu)},
          readable_{home}, ring_{new (std::nothrow) received_frame[std::bit_ceil(o.ring)]},
          mask_{std::bit_ceil(o.ring) - 1} {
        check(ring_ != nullptr && pool_.size() == o.buffers, "link: out of memory");
    }

public:
    link_end(const link_end&) = delete;
    link_end& operator=(const link_end&) = delete;

    mac_address mac() const noexcept { return mac_; }
    std::size_t mtu() const noexcept { return mtu_; }
    offload offloads() const noexcept { return offers_; }
    event& readable() noexcept { return readable_; }
    const buffer_pool& receive_pool() const noexcept { return pool_; }
    void flush() noexcept {}

    std::size_t receive(std::span<received_frame> burst) noexcept {
        const std::size_t n = std::min(burst.size(), waiting_);
        for (std::size_t i = 0; i < n; ++i)
            burst[i] = std::move(ring_[head_++ & mask_]);
        waiting_ -= n;
        counters_.received += n;
        return n;
    }

    result<> transmit(const transmit_frame& f) noexcept {
        if (!up_) [[unlikely]]
            return std::unexpected(errc::io);
        const std::size_t size = f.size();
        const std::size_t limit = 14 + (f.gso_size == 0 ? mtu_ : std::size_t{offers_.tso_size});
        if (size > limit || f.headers.size() > 256 || f.payload.size() > transmit_frame::max_fragments) [[unlikely]]
            return std::unexpected(errc::too_large);
        check(f.checksum_start == 0 || offers_.tx_checksum, "transmit: checksum left to a device that does none");
        check(f.gso_size == 0 || f.checksum_start != 0, "transmit: gso_size without checksum_start");
        check(f.checksum_start == 0 || offers_.ipv6 || segmentation::load16(f.headers, 12) == 0x0800,
              "transmit: left to a device that does it for IPv4 alone");
        const offload& to = peer_->offers_;
        if (!plain_ || (f.checksum_start != 0 && !to.rx_checksum) || (f.gso_size != 0 && !to.gro)) [[unlikely]]
            return transmit_slowly(f, size);
        if (peer_->full()) [[unlikely]]
            return std::unexpected(errc::would_block);
        account(f);
        page p = peer_->pool_.take();
        if (!p) [[unlikely]] {
            ++peer_->counters_.no_buffer;
            return {};
        }
        gather(f, p.room().data());
        peer_->push(std::move(p).freeze(0, size), f.checksum_start != 0, f.gso_size);
        return {};
    }

    const link_counters& counters() const noexcept { return counters_; }
    impairment_counters line_counters() const noexcept {
        return line_ ? line_->counters() : impairment_counters{};
    }
    /// Frames of this end that are on the line.
    std::size_t in_flight() const noexcept { return line_ ? line_->in_flight() : 0; }

    /// What this end sends passes an impaired line from now on. What is on the line is lost.
    void impair(const impairment& rules) noexcept {
        line_.emplace(home_, rules, 14 + mtu_,
                      [](void* self, octets frame, impaired_line::tag what) noexcept {
                          static_cast<link_end*>(self)->peer_->arrive(frame, what);
                      },
                      this);
        replan();
    }
    /// The line is perfect again. What is on it is lost.
    void repair() noexcept {
        line_.reset();
        replan();
    }
    /// Shows every frame of this end to `filter` before it is sent; frame_filter{} ends that.
    void filter(frame_filter filter) noexcept {
        filter_ = filter;
        replan();
    }
    /// Records what this end sends (before the line loses it) and what reaches it. `boot` is the wall time at
    /// monotonic zero. Checksums that the stack left to this device are complete in the capture.
    void capture(pcap_writer& to, wall_time boot = wall_time{}) noexcept {
        capture_ = &to;
        boot_ = boot.time_since_epoch();
        replan();
        peer_->replan();
    }
    /// false: the cable is pulled, transmit() fails with errc::io.
    void up(bool is_up) noexcept { up_ = is_up; }
    /// Counts payload that is sent straight out of `memory` (payload_watched).
    void watch(octets memory) noexcept { watched_ = memory; }
};

/// NETIF in memory: one end of a link, offloading what `Capabilities` says.
template <offload Capabilities = offload{}>
class netif : public link_end {
public:
    static constexpr offload capabilities = Capabilities;
    netif(scheduler& home, const mac_address& mac, const link_options& o) noexcept
        : link_end{home, Capabilities, mac, o} {}
};

/// Everything that a device can do in the stack's stead, as TAP with a vnet header or Xen's netfront does it.
inline constexpr offload all_offloads{.tx_checksum = true, .rx_checksum = true, .tso_size = 65'535, .gro = true,
                                      .ipv6 = true};

static_assert(mirage::netif<netif<>>);
static_assert(mirage::netif<netif<all_offloads>>);

/// A cable with an interface at each end. The ends may offload different things: a frame is cut and its checksum
/// completed on the way when the receiving end wants that.
template <offload A = offload{}, offload B = A>
class link {
    netif<A> a_;
    netif<B> b_;

public:
    explicit link(scheduler& home, const link_options& o = {}) noexcept : a_{home, o.a, o}, b_{home, o.b, o} {
        a_.peer_ = &b_;
        b_.peer_ = &a_;
    }
    netif<A>& a() noexcept { return a_; }
    netif<B>& b() noexcept { return b_; }

    /// Impairs both directions, with different luck.
    void impair(impairment rules) noexcept {
        a_.impair(rules);
        rules.seed = ~rules.seed;
        b_.impair(rules);
    }
};

} // namespace mirage::memory
