// SPDX-License-Identifier: MIT
// Random scenarios over a bad cable, each a function of its seed, with invariants checked at every step.
#include "world.hpp"
#include "mirage/core/check.hpp"
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    std::fprintf(stderr, "panic: %s:%u: %s\n", file, line, reason);
    std::abort();
}

namespace {

struct file_sink {
    std::FILE* file;
    void operator()(mirage::octets data) const noexcept { (void)std::fwrite(data.data(), 1, data.size(), file); }
};

template <mirage::offload A, mirage::offload B, class Near>
std::string play(std::uint64_t seed, const char* capture) {
    if (capture == nullptr)
        return simulation::world<A, B, Near>{seed}.run();
    std::FILE* const file = std::fopen(capture, "wb");
    if (file == nullptr) {
        std::fprintf(stderr, "simulation: cannot write %s: %s\n", capture, std::strerror(errno));
        std::exit(2);
    }
    file_sink sink{file};
    mirage::memory::pcap_writer pcap{sink};
    std::string verdict;
    {
        simulation::world<A, B, Near> world{seed}; // its end may send a RST, which is captured as well
        world.capture(pcap);
        verdict = world.run();
        if (!verdict.empty())
            std::printf("seed %llu: at %.3f s of virtual time\n", static_cast<unsigned long long>(seed),
                        std::chrono::duration<double>(world.now().time_since_epoch()).count());
    }
    (void)std::fclose(file);
    return verdict;
}

/// The ends offload all, nothing, or different things; the near one's TCP is made of different parts.
std::string play_any(std::uint64_t seed, const char* capture) {
    using namespace mirage;
    constexpr offload none{}, all = memory::all_offloads;
    using usual = net::tcp<>;
    using modelling = net::tcp<net::bbr>;
    using paced = net::tcp<net::paced<net::cubic>, net::ecn, net::path_mtu_discovery>;
    switch (seed % 9) {
    case 0: return play<none, none, usual>(seed, capture);
    case 1: return play<all, all, usual>(seed, capture);
    case 2: return play<all, none, usual>(seed, capture);
    case 3: return play<none, none, modelling>(seed, capture);
    case 4: return play<all, all, paced>(seed, capture);
    case 5: return play<all, none, modelling>(seed, capture);
    case 6: return play<none, none, paced>(seed, capture);
    case 7: return play<all, all, modelling>(seed, capture);
    default: return play<all, none, paced>(seed, capture);
    }
}

constexpr const char* usage =
    "usage: simulation [--first SEED] [--count N]   plays N scenarios (1000) from SEED (0) on\n"
    "       simulation --seed SEED [--pcap FILE]    plays one, and captures what the near host sends and gets\n"
    "Says which seed failed and why, and leaves simulation-SEED.pcap of it.\n";

std::uint64_t number(const char* option, const char* text) {
    std::uint64_t value = 0;
    if (text != nullptr) {
        const char* const end = text + std::strlen(text);
        if (const auto [at, error] = std::from_chars(text, end, value); error == std::errc{} && at == end)
            return value;
    }
    std::fprintf(stderr, "simulation: %s needs a number\n%s", option, usage);
    std::exit(2);
}

} // namespace

int main(int argc, char** argv) {
    std::uint64_t first = 0, count = 1000;
    const char* capture = nullptr;
    for (int i = 1; i < argc; i += 2) {
        const std::string_view option = argv[i];
        const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (option == "--first") {
            first = number("--first", value);
        } else if (option == "--count") {
            count = number("--count", value);
        } else if (option == "--seed") {
            first = number("--seed", value);
            count = 1;
        } else if (option == "--pcap" && value != nullptr) {
            capture = value;
        } else {
            std::fputs(usage, option == "--help" ? stdout : stderr);
            return option == "--help" ? 0 : 2;
        }
    }
    unsigned failed = 0;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        const std::string verdict = play_any(seed, capture);
        if (verdict.empty())
            continue;
        ++failed;
        const std::string file = capture != nullptr ? capture : "simulation-" + std::to_string(seed) + ".pcap";
        if (capture == nullptr)
            (void)play_any(seed, file.c_str());
        std::printf("seed %llu: %s\n  again: simulation --seed %llu; what was on the line: %s\n",
                    static_cast<unsigned long long>(seed), verdict.c_str(), static_cast<unsigned long long>(seed), file.c_str());
        if (failed == 5)
            break;
    }
    std::printf("%llu scenarios, %u failed\n", static_cast<unsigned long long>(count), failed);
    return failed == 0 ? 0 : 1;
}
