// SPDX-License-Identifier: MIT
// syn_flood DEVICE SOURCE-MAC SUBJECT-MAC SUBJECT-ADDRESS PORT: SYNs from random hosts of the subject's /24, as fast as the device takes
// them, until SIGTERM. Says at the end how many it sent.
#include "mirage/wire/ethernet.hpp"
#include "mirage/wire/ipv4.hpp"
#include "mirage/wire/tcp.hpp"
#include <arpa/inet.h>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <linux/if_packet.h>
#include <net/if.h>
#include <random>
#include <sys/socket.h>
#include <unistd.h>

extern "C" void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    std::fprintf(stderr, "panic: %s:%u: %s\n", file, line, reason);
    std::abort();
}

namespace {

using namespace mirage;

volatile std::sig_atomic_t over = 0;

mac_address mac(const char* text) {
    std::array<unsigned, 6> part{};
    if (std::sscanf(text, "%x:%x:%x:%x:%x:%x", &part[0], &part[1], &part[2], &part[3], &part[4], &part[5]) != 6) {
        std::fprintf(stderr, "syn_flood: %s is not a link-layer address\n", text);
        std::exit(2);
    }
    std::array<std::uint8_t, 6> octets{};
    for (std::size_t i = 0; i < 6; ++i)
        octets[i] = static_cast<std::uint8_t>(part[i]);
    return mac_address{octets};
}

constexpr std::size_t batch = 64, header = 20 + 4, frame_size = 14 + 20 + header;
using frame = std::array<std::byte, frame_size>;

void write_syn(frame& f, const mac_address& from, const mac_address& to, ipv4_address subject, std::uint16_t port,
               std::mt19937& random) {
    const ipv4_address source{(subject.value() & 0xffff'ff00u) | static_cast<std::uint32_t>(16 + random() % 200)};
    wire::ethernet_header{to, from, wire::ethertype::ipv4}.emit(f);
    wire::ipv4_header{.source = source,
                      .destination = subject,
                      .protocol = wire::ip_protocol::tcp,
                      .total_length = static_cast<std::uint16_t>(20 + header)}
        .emit(mutable_octets{f}.subspan(14));
    wire::tcp_header syn{.source_port = static_cast<std::uint16_t>(1024 + random() % 60'000),
                         .destination_port = port,
                         .sequence = static_cast<std::uint32_t>(random()),
                         .flags = wire::tcp_flags::syn,
                         .window = 64'000};
    syn.options.maximum_segment_size = std::uint16_t{1460};
    syn.emit(mutable_octets{f}.subspan(34), wire::pseudo_header_sum(source, subject, 6, header));
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 6) {
        std::fprintf(stderr, "usage: syn_flood DEVICE SOURCE-MAC SUBJECT-MAC SUBJECT-ADDRESS PORT\n");
        return 2;
    }
    in_addr address{};
    if (::inet_pton(AF_INET, argv[4], &address) != 1) {
        std::fprintf(stderr, "syn_flood: %s is not an IPv4 address\n", argv[4]);
        return 2;
    }
    const mac_address from = mac(argv[2]), to = mac(argv[3]);
    const ipv4_address subject{ntohl(address.s_addr)};
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[5]));
    const int raw = ::socket(AF_PACKET, SOCK_RAW, 0);
    sockaddr_ll where{};
    where.sll_family = AF_PACKET;
    where.sll_ifindex = static_cast<int>(::if_nametoindex(argv[1]));
    if (raw < 0 || where.sll_ifindex == 0 || ::bind(raw, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0) {
        std::perror("syn_flood");
        return 1;
    }
    std::signal(SIGTERM, [](int) { over = 1; });
    std::mt19937 random{1};
    std::array<frame, batch> frames{};
    std::array<iovec, batch> vectors{};
    std::array<mmsghdr, batch> messages{};
    for (std::size_t i = 0; i < batch; ++i) {
        vectors[i] = {frames[i].data(), frame_size};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    std::puts("ready");
    std::fflush(stdout);
    unsigned long long sent = 0;
    while (over == 0) {
        for (frame& f : frames)
            write_syn(f, from, to, subject, port, random);
        const int n = ::sendmmsg(raw, messages.data(), batch, 0);
        sent += n > 0 ? static_cast<unsigned>(n) : 0;
    }
    std::printf("sent %llu\n", sent);
    return 0;
}
