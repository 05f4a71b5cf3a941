// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hosted/unique_fd.hpp"
#include <cstdint>
#include <expected>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <vector>

namespace mirage::hosted {

/// A port of this machine that leads to one of the guest.
struct port_forward {
    bool udp = false;
    in_addr host_address{};
    std::uint16_t host_port = 0;
    in_addr guest_address{}; ///< 10.0.2.15 unless given
    std::uint16_t guest_port = 0;
};

/// A network of the guest's own, behind this process: 10.0.2.0/24, router 10.0.2.2, DNS 10.0.2.3, DHCP. Needs
/// no privilege. What leaves it leaves as ordinary sockets of this user.
struct user_network {
    /// What the process that is the network does, for the rest of its life: it serves `cable` (one frame per read and
    /// write, non-blocking), says to `report` how it began, closes that, and ends with the cable.
    using body = void (*)(unique_fd cable, unique_fd report, const user_network& network);

    std::string text{}; ///< what was parsed
    std::vector<port_forward> forwards{};

    static constexpr std::size_t mtu = 1500; ///< octets

    /// Reads `user[,hostfwd=tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT]...`. The error is a sentence for a person.
    static std::expected<user_network, std::string> parse(std::string_view text);

    /// Starts a process that is the network by `be`, and gives the descriptor of the guest's cable: one Ethernet
    /// frame per read and write, non-blocking. The process ends when the descriptor is closed, or its parent
    /// ends. The error (a port that is taken, say) is a sentence for a person.
    std::expected<unique_fd, std::string> start(body be) const;
};

/// What a user network's process writes to its report when it serves; anything else is why it cannot.
inline constexpr std::string_view network_is_ready = "ready";

/// A user network by libslirp, in this program: it is loaded now. Confines the process before the first frame.
[[noreturn]] void be_network(unique_fd cable, unique_fd report, const user_network& network);

/// The same by the program `mirage-usernet` that lies beside this one: for a program that can load no library.
[[noreturn]] void run_network_program(unique_fd cable, unique_fd report, const user_network& network);

} // namespace mirage::hosted
