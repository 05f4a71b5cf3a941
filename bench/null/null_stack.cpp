// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>

#include "../load/common.hpp"

using namespace mirage::bench;

/// The limit of the attachment: what answers on a plain TAP device without being a stack. It keeps nothing,
/// verifies nothing, sends nothing twice; every answer follows from the one frame it answers. No stack that is attached
/// in the same way can be cheaper.
namespace {

constexpr std::string_view usage =
    "usage: null_stack --device tap0 [--address 10.0.0.2] [--page FILE]\n"
    "Answers ARP, HTTP on port 80, discard on port 9 and UDP echo on port 7. Not a TCP: loss ends a connection.";

constexpr std::size_t ip_at = 14, transport_at = 34, segment_size = 1460;
constexpr unsigned fin = 1, syn = 2, psh = 8, ack = 16;

class responder {
public:
    responder(int tap, std::uint32_t address, std::string answer)
        : tap_{tap}, address_{address}, answer_{std::move(answer)} {}

    [[noreturn]] void run() {
        pollfd waiting{.fd = tap_, .events = POLLIN, .revents = 0};
        for (;;) {
            checked(::poll(&waiting, 1, -1), "poll");
            for (;;) {
                const auto count = ::read(tap_, in_.data(), in_.size());
                if (count < 0 && errno == EAGAIN)
                    break;
                checked(count, "read from the TAP device");
                take(static_cast<std::size_t>(count));
            }
        }
    }

private:
    unsigned get16(std::size_t at) const { return static_cast<unsigned>(in_[at] << 8 | in_[at + 1]); }
    std::uint32_t get32(std::size_t at) const { return get16(at) << 16 | get16(at + 2); }
    void put16(std::size_t at, std::size_t value) {
        out_[at] = static_cast<unsigned char>(value >> 8);
        out_[at + 1] = static_cast<unsigned char>(value);
    }
    void put32(std::size_t at, std::uint32_t value) {
        put16(at, value >> 16);
        put16(at + 2, value & 0xffff);
    }

    void take(std::size_t count) {
        if (count < transport_at + 8)
            return;
        if (get16(12) == 0x0806 && get16(20) == 1 && get32(38) == address_)
            return answer_arp();
        if (get16(12) != 0x0800 || in_[ip_at] != 0x45 || get32(30) != address_)
            return;
        const std::size_t length = get16(16);
        if (in_[23] == 17)
            answer_datagram(length);
        else if (in_[23] == 6)
            answer_segment(length);
    }

    void begin_answer() {
        std::copy_n(&in_[6], 6, &out_[0]);
        std::copy_n(mac.begin(), 6, &out_[6]);
        std::copy_n(&in_[12], 2, &out_[12]);
    }

    void answer_arp() {
        begin_answer();
        std::copy_n(&in_[14], 6, &out_[14]);
        put16(20, 2);
        std::copy_n(mac.begin(), 6, &out_[22]);
        put32(28, address_);
        std::copy_n(&in_[22], 10, &out_[32]);
        send(42);
    }

    /// Ones' complement sum of `count` octets of the answer (RFC 1071).
    std::uint64_t sum(std::size_t at, std::size_t count, std::uint64_t total = 0) const {
        for (; count >= 4; at += 4, count -= 4) {
            std::uint32_t word;
            std::memcpy(&word, &out_[at], 4);
            total += word;
        }
        std::uint32_t rest = 0;
        std::memcpy(&rest, &out_[at], count);
        return total + rest;
    }
    void put_sum(std::size_t at, std::uint64_t total) {
        while (total >> 16)
            total = (total & 0xffff) + (total >> 16);
        const auto value = static_cast<std::uint16_t>(~total);
        std::memcpy(&out_[at], &value, 2);
    }

    /// Writes the IPv4 header and the transport's checksum around `size` octets of transport, and sends.
    void finish(std::size_t size, std::size_t checksum_at) {
        put16(ip_at, 0x4500);
        put16(16, 20 + size);
        put32(18, 0x4000);
        out_[22] = 64;
        out_[23] = in_[23];
        put16(24, 0);
        put32(26, address_);
        put32(30, get32(26));
        put_sum(24, sum(ip_at, 20));
        put16(checksum_at, 0);
        const std::uint64_t pseudo = htons(in_[23]) + htons(static_cast<std::uint16_t>(size));
        put_sum(checksum_at, sum(transport_at, size, sum(26, 8, pseudo)));
        send(transport_at + size);
    }

    void answer_datagram(std::size_t length) {
        begin_answer();
        std::copy_n(&in_[transport_at], length - 20, &out_[transport_at]);
        put16(34, get16(36));
        put16(36, get16(34));
        finish(length - 20, 40);
    }

    void answer_segment(std::size_t length) {
        const std::size_t header = (in_[46] >> 4) * 4u, size = length - 20 - header;
        const unsigned flags = in_[47];
        const std::uint32_t next = get32(38) + static_cast<std::uint32_t>(size) + ((flags & (fin | syn)) ? 1 : 0);
        if (flags & syn)
            return send_segment(syn | ack, 1, next, {});
        const std::string_view text{reinterpret_cast<const char*>(&in_[transport_at + header]), size};
        if (get16(36) == 80 && text.ends_with("\r\n\r\n")) {
            std::uint32_t sequence = get32(42);
            for (std::string_view rest = answer_; !rest.empty();) {
                const auto part = rest.substr(0, segment_size);
                rest.remove_prefix(part.size());
                send_segment(rest.empty() ? psh | ack : ack, sequence, next, part);
                sequence += static_cast<std::uint32_t>(part.size());
            }
        } else if (flags & fin) {
            send_segment(fin | ack, get32(42), next, {});
        } else if (size > 0) {
            send_segment(ack, get32(42), next, {});
        }
    }

    void send_segment(unsigned flags, std::uint32_t sequence, std::uint32_t acknowledged, std::string_view text) {
        begin_answer();
        put16(34, get16(36));
        put16(36, get16(34));
        put32(38, sequence);
        put32(42, acknowledged);
        put16(46, ((flags & syn) ? 0x7000u : 0x5000u) | flags);
        put16(48, 65535);
        put16(52, 0);
        std::size_t header = 20;
        if (flags & syn) {
            put32(54, 0x02040000 | segment_size);
            put32(58, 0x01030303); // a window of 512 KiB: fewer frames than the device's queue holds
            header = 28;
        }
        std::memcpy(&out_[transport_at + header], text.data(), text.size());
        finish(header + text.size(), 50);
    }

    void send(std::size_t count) { checked(::write(tap_, out_.data(), count), "write to the TAP device"); }

    static constexpr std::array<unsigned char, 6> mac{0x02, 0, 0, 0, 0, 0x0a};

    int tap_;
    std::uint32_t address_;
    std::string answer_;
    std::array<unsigned char, 2048> in_{};
    std::array<unsigned char, 2048> out_{};
};

} // namespace

int main(int count, char** words) {
    options chosen{count, words, usage};
    const std::string device{chosen.text("--device", "tap0")};
    const auto where = endpoint(chosen.text("--address", "10.0.0.2"), 0);
    const auto page = chosen.text("--page", "");
    chosen.done();
    const auto text = page.empty() ? std::string(4096, 'm') : read_file(page);

    const descriptor tap{checked(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun")};
    ifreq request{};
    device.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    checked(::ioctl(tap.number(), TUNSETIFF, &request), device);
    responder{tap.number(), ntohl(where.sin_addr.s_addr), canned_answer(text)}.run();
}
