// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include "mirage/core/event.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/host/attachment.hpp"
#include "mirage/host/capture.hpp"
#include "mirage/host/link_watch.hpp"
#include "mirage/host/machine.hpp"
#include "mirage/hosted/offload_header.hpp"
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <sys/uio.h>
#include <unistd.h>

namespace mirage::host {

/// What every host::netif is, whatever its name: frames over a descriptor, one system call each, straight
/// into and out of the pool's pages. One more call per burst finds that nothing is left; none are needed to
/// get ready.
class network_interface : input_source {
    using offload_header = hosted::offload_header;
    static constexpr std::size_t ethernet_header = 14, vlan_tag = 4;
    /// Octets that a joined packet may have, its link header included.
    static constexpr std::size_t largest_joined = 65535 + ethernet_header;
    /// Octets after which a burst ends: it is still in the cache when it is looked at, and its pages are when
    /// they are filled again. (64 KiB frames were received at 7.6 GB/s with it, at 6.4 GB/s without.)
    static constexpr std::size_t largest_burst = 192 * 1024;
    /// In front of a frame without an offload header: the IP header is then aligned.
    static constexpr std::size_t padding = 2;

    machine& home_;
    std::string_view name_;
    attachment link_{};
    mac_address mac_{};
    unsigned bit_ = 0;
    bool drained_ = false; ///< the last read found nothing: not again before the next look()
    bool down_ = false;    ///< has been said
    std::optional<buffer_pool> pool_;
    page room_{};            ///< where the next frame goes
    received_frame ahead_{}; ///< what look() found
    bool has_ahead_ = false;
    event readable_;
    capture capture_;
    link_watch link_watch_{[](void* self, bool up) noexcept {
                               auto& me = *static_cast<network_interface*>(self);
                               up ? me.came_up() : me.went_down();
                           },
                           this};

    bool fetch(received_frame& into) noexcept;
    bool accept(received_frame& into, std::size_t size) noexcept;
    [[gnu::cold, gnu::noinline]] void lost(int error) noexcept;
    [[gnu::cold, gnu::noinline]] void went_down() noexcept;
    [[gnu::cold, gnu::noinline]] void came_up() noexcept;
    bool look_ahead() noexcept;

public:
    network_interface(machine& home, std::string_view name) noexcept
        : input_source{[](input_source& s) noexcept {
              return static_cast<network_interface&>(s).look_ahead();
          }},
          home_{home}, name_{name}, readable_{home.loop()} {}
    ~network_interface() {
        if (link_.descriptor >= 0)
            ::close(link_.descriptor);
    }

    /// Attaches to what the command line says; see attach().
    result<> open() noexcept;
    unsigned ready_bit() const noexcept { return bit_; }

    mac_address mac() const noexcept { return mac_; }
    std::size_t mtu() const noexcept { return link_.mtu; }
    offload offloads() const noexcept {
        return link_.offloads ? offload{true, true, 65535, true, true} : offload{};
    }
    const buffer_pool& receive_pool() const noexcept { return *pool_; }
    event& readable() noexcept { return readable_; }

    inline std::size_t receive(std::span<received_frame> burst) noexcept;
    inline result<> transmit(const transmit_frame& frame) noexcept;
    /// Frames leave when they are handed over: there is nothing to do.
    void flush() noexcept {}
};

/// Reads one frame into a page. The page of a read that found nothing is kept for the next one.
inline bool network_interface::fetch(received_frame& into) noexcept {
    if (!room_) {
        room_ = pool_->take();
        wants_input = static_cast<bool>(room_);
        if (!room_) [[unlikely]]
            return false; // the frames stay with the kernel until a page comes back
    }
    const std::size_t offset = link_.offloads ? 0 : padding;
    const auto room = room_.room().subspan(offset);
    for (;;) {
        const ssize_t n = ::read(descriptor, room.data(), room.size());
        if (n > 0 && accept(into, static_cast<std::size_t>(n))) [[likely]]
            return true;
        if (n > 0 || (n < 0 && errno == EINTR))
            continue;
        if (n == 0 || errno != EAGAIN) [[unlikely]]
            lost(n == 0 ? 0 : errno);
        drained_ = true;
        return false;
    }
}

/// Makes a frame of the `size` octets that were read. False: it is not one that the stack could use.
inline bool network_interface::accept(received_frame& into, std::size_t size) noexcept {
    std::size_t start = padding;
    offload_header header{};
    if (link_.offloads) {
        if (size <= sizeof header)
            return false;
        std::memcpy(&header, room_.room().data(), sizeof header);
        start = sizeof header;
        size -= sizeof header;
    }
    const auto kind = header.segmentation & ~unsigned{offload_header::ecn};
    if (size < ethernet_header || start + size > room_.room().size()
        || (kind != offload_header::no_segments && kind != offload_header::tcp_ipv4 && kind != offload_header::tcp_ipv6))
        return false;
    const bool unfinished = (header.flags & offload_header::needs_checksum) != 0;
    if (capture_) [[unlikely]]
        capture_.received(room_.room().subspan(start, size), unfinished ? header.checksum_start : 0u,
                          header.checksum_offset);
    into.data = std::move(room_).freeze(start, size);
    // A checksum that was never finished belongs to data that never left this machine.
    into.checksum_verified =
        (header.flags & (offload_header::needs_checksum | offload_header::data_valid)) != 0;
    into.gso_size = kind == offload_header::no_segments ? std::uint16_t{0} : header.segment_size;
    return true;
}

inline bool network_interface::look_ahead() noexcept {
    if (has_ahead_ || descriptor < 0)
        return has_ahead_;
    drained_ = false;
    return has_ahead_ = fetch(ahead_);
}

inline std::size_t network_interface::receive(std::span<received_frame> burst) noexcept {
    std::size_t count = 0, size = 0;
    if (has_ahead_ && !burst.empty()) {
        size = ahead_.data.size();
        burst[count++] = std::move(ahead_);
        has_ahead_ = false;
    }
    while (count < burst.size() && size < largest_burst && !drained_ && descriptor >= 0
           && fetch(burst[count]))
        size += burst[count++].data.size();
    return count;
}

inline result<> network_interface::transmit(const transmit_frame& frame) noexcept {
    const std::size_t size = frame.size();
    if (size > (frame.gso_size != 0 ? largest_joined : link_.mtu + ethernet_header))
        return std::unexpected(errc::too_large);
    std::array<iovec, 2 + transmit_frame::max_fragments> parts;
    std::size_t count = 0;
    offload_header header{};
    if (link_.offloads) {
        if (frame.checksum_start != 0) {
            header.flags = offload_header::needs_checksum;
            header.checksum_start = frame.checksum_start;
            header.checksum_offset = frame.checksum_offset;
        }
        if (frame.gso_size != 0) {
            const bool is_v6 = frame.headers[12] == std::byte{0x86}; // of the EtherType, 0x86dd or 0x0800
            header.segmentation = is_v6 ? offload_header::tcp_ipv6 : offload_header::tcp_ipv4;
            header.segment_size = frame.gso_size;
            header.header_length = static_cast<std::uint16_t>(frame.headers.size());
        }
        parts[count++] = {&header, sizeof header};
    } else if (frame.checksum_start != 0 || frame.gso_size != 0) [[unlikely]] {
        return std::unexpected(errc::unsupported);
    }
    const auto add = [&](octets part) {
        if (!part.empty()) // writev only reads
            parts[count++] = {const_cast<std::byte*>(part.data()), part.size()};
    };
    add(frame.headers);
    if (frame.payload.size() > transmit_frame::max_fragments) [[unlikely]]
        return std::unexpected(errc::too_large);
    for (const slice& s : frame.payload)
        add(s.view());

    if (descriptor < 0) [[unlikely]]
        return std::unexpected(errc::io);
    ssize_t n;
    do {
        n = count == 1 ? ::write(descriptor, parts[0].iov_base, parts[0].iov_len)
                       : ::writev(descriptor, parts.data(), static_cast<int>(count));
    } while (n < 0 && errno == EINTR);
    if (n < 0) [[unlikely]] {
        const int error = errno;
        if (capture_)
            capture_.lost();
        if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) {
            wants_output = error == EAGAIN;
            return std::unexpected(errc::would_block);
        }
        if (error == EIO)
            went_down();
        else if (error != EINVAL) // EINVAL: the kernel does not like this frame
            lost(error);
        return std::unexpected(errc::io);
    }
    if (down_) [[unlikely]]
        came_up();
    if (capture_) [[unlikely]]
        capture_.transmitted(frame);
    return {};
}

} // namespace mirage::host
