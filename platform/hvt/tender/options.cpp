// SPDX-License-Identifier: MIT
#include "options.hpp"
#include <charconv>

namespace mirage::tender {

const std::string_view help_text =
    R"(usage: mirage-hvt [OPTIONS] [--] IMAGE [GUEST ARGUMENTS]

Runs a Solo5 hvt unikernel (ABI version 2) under KVM: those of Mirage/C++ and of MirageOS alike.

  --mem=N                      guest memory in MiB, 2 to 4096, rounded down to an even number (default 512)
  --net:NAME=IFACE             network device NAME is the existing TAP interface IFACE
  --net:NAME=@FD               ... or the open descriptor FD, one Ethernet frame per read and write
  --net:NAME=user[,hostfwd=tcp|udp:[ADDR]:PORT-[ADDR]:PORT]...
                               ... or a user network: no root, no TAP. The guest is 10.0.2.15 (by DHCP),
                               the router 10.0.2.2, DNS 10.0.2.3; hostfwd leads a port of this machine to
                               the guest's: --net:service=user,hostfwd=tcp:127.0.0.1:8080-:80
  --net-mac:NAME=MAC           Ethernet address of NAME (default: random)
  --pcap:NAME=FILE             write every frame of NAME to FILE (pcapng), for Wireshark
  --block:NAME=PATH            block device NAME is the file or disk PATH
  --block-sector-size:NAME=N   its sector size: a power of two from 512 on (default 512)
  --gdb[=ADDRESS:PORT|PATH]    wait for gdb before the guest's first instruction: on a port of the loopback
                               (default 127.0.0.1:1234), or on a new Unix socket (a path with a slash)
  --dumpcore=DIR               write an ELF core to DIR when the guest faults or gives up
  --trace[=FILE]               write each call of the guest, its result and duration to FILE or standard error
  --ring=auto|0|3              the ring that the guest starts in. 0 is what the ABI says. 3: the tender takes all
                               privileges from it, and does for it what only ring 0 may do. auto (default): 3 for
                               images of Solo5 and MirageOS where KVM emulates ring 0 (SSE does not work there), else 0
  --help, --version

Options follow no order. The exit status is the guest's; 1 when the tender found something wrong.
)";

namespace {

template <class T>
bool parse_number(std::string_view text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

/// `--KIND:NAME=VALUE`
outcome<bool> take_device_option(std::string_view word, options& o) {
    const struct {
        std::string_view prefix;
        std::map<std::string, std::string>& to;
    } kinds[] = {{"--net:", o.net},
                 {"--net-mac:", o.net_mac},
                 {"--block:", o.block},
                 {"--block-sector-size:", o.block_sector_size},
                 {"--pcap:", o.pcap}};
    for (const auto& kind : kinds) {
        if (!word.starts_with(kind.prefix))
            continue;
        const auto rest = word.substr(kind.prefix.size());
        const auto equals = rest.find('=');
        if (equals == 0 || equals == std::string_view::npos || equals + 1 == rest.size())
            return failure(std::string{word} + ": expected " + std::string{kind.prefix} + "NAME=VALUE");
        const auto [at, fresh] = kind.to.emplace(rest.substr(0, equals), rest.substr(equals + 1));
        if (!fresh)
            return failure(std::string{kind.prefix} + at->first + " is given twice");
        return true;
    }
    return false;
}

} // namespace

outcome<options> options::parse(int argc, char** argv) {
    options o;
    int i = 1;
    for (; i < argc; ++i) {
        const std::string_view word{argv[i]};
        if (word == "--") {
            ++i;
            break;
        }
        if (!word.starts_with("-"))
            break;
        if (word == "--help") {
            o.help = true;
            return o;
        }
        if (word == "--version") {
            o.version = true;
            return o;
        }
        if (word.starts_with("--mem=")) {
            if (!parse_number(word.substr(6), o.memory) || o.memory < 2 || o.memory > 4096)
                return failure(std::string{word} + ": expected a number of MiB from 2 to 4096");
            if (o.memory % 2 != 0)
                say(std::string{word} + ": memory comes in steps of 2 MiB; using "
                    + std::to_string(--o.memory));
            continue;
        }
        if (word.starts_with("--ring=")) {
            const auto value = word.substr(7);
            if (value != "auto" && value != "0" && value != "3")
                return failure(std::string{word} + ": expected auto, 0 or 3");
            o.ring = value == "0" ? first_ring::ring_0 : value == "3" ? first_ring::ring_3 : first_ring::automatic;
            continue;
        }
        if (word == "--gdb" || word.starts_with("--gdb=")) {
            o.gdb = word.size() > 6 ? std::string{word.substr(6)} : "127.0.0.1:1234";
            continue;
        }
        if (word.starts_with("--dumpcore=") && word.size() > 11) {
            o.dumpcore = word.substr(11);
            continue;
        }
        if (word == "--trace" || (word.starts_with("--trace=") && word.size() > 8)) {
            o.trace = word.size() > 8 ? std::string{word.substr(8)} : std::string{};
            continue;
        }
        const auto taken = take_device_option(word, o);
        if (!taken)
            return failure(taken.error());
        if (!*taken)
            return failure("unknown option '" + std::string{word}
                           + "' (see --help; the guest's own go behind IMAGE)");
    }
    if (i >= argc)
        return failure("no unikernel is named: mirage-hvt [OPTIONS] IMAGE [GUEST ARGUMENTS] (see --help)");
    o.image = argv[i];
    for (++i; i < argc; ++i) {
        o.arguments += o.arguments.empty() ? "" : " ";
        o.arguments += argv[i];
    }
    if (o.arguments.size() > longest_arguments)
        return failure("the guest's arguments are longer than " + std::to_string(longest_arguments)
                       + " octets");
    return o;
}

} // namespace mirage::tender
