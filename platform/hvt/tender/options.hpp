// SPDX-License-Identifier: MIT
#pragma once
#include "message.hpp"
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace mirage::tender {

/// What the command line says, in solo5-hvt's spelling and a little more.
struct options {
    /// Where the guest starts; `automatic`: Solo5's own in ring 3 where KVM emulates ring 0, all others in ring 0.
    enum class first_ring : std::uint8_t { automatic, ring_0, ring_3 };

    std::uint64_t memory = 512; ///< MiB: even, 2 to 4096
    std::map<std::string, std::string> net{}, net_mac{}, block{}, block_sector_size{},
        pcap{}; ///< by device name
    std::optional<std::string> gdb{}; ///< where gdb is waited for
    std::optional<std::string> dumpcore{}; ///< the folder for a core
    std::optional<std::string> trace{};    ///< the file of calls; empty: standard error
    first_ring ring = first_ring::automatic;
    bool help = false, version = false;
    std::string image{};     ///< the path of the unikernel
    std::string arguments{}; ///< the guest's, joined by single spaces

    /// The longest text that fits the guest's 8192 octets with its NUL.
    static constexpr std::size_t longest_arguments = 8191;

    static outcome<options> parse(int argc, char** argv);
};

extern const std::string_view help_text;

} // namespace mirage::tender
