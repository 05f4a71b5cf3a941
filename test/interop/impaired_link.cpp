// SPDX-License-Identifier: MIT
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <queue>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

/// A cable that loses, delays, reorders and duplicates: it carries Ethernet frames between two open TAP
/// descriptors. It does what `tc netem` does, on kernels without netem too, and the same seed gives the same fate to
/// the n-th frame of a direction.
namespace {

using steady = std::chrono::steady_clock;
using frame = std::vector<unsigned char>;

constexpr std::string_view usage =
    "usage: impaired_link DESCRIPTOR DESCRIPTOR [--loss PERCENT] [--delay MILLISECONDS] [--reorder PERCENT]\n"
    "                     [--duplicate PERCENT] [--rate MBITS] [--queue FRAMES] [--seed NUMBER]\n"
    "Delay, rate and queue are those of one direction. A reordered frame is held back for half the delay more. With a rate,\n"
    "a frame that finds FRAMES (1000) full ones waiting for the line is lost.\n";

struct impairment {
    double loss = 0;
    double reorder = 0;
    double duplicate = 0;
    std::chrono::microseconds delay{0};
    double rate = 0;    ///< megabits per second; 0: no limit
    double queue = 1000;
    std::uint64_t seed = 1;
};

/// Frames on their way in one direction.
class direction {
public:
    direction(int from, int to, const impairment& how, std::uint64_t seed)
        : from_{from}, to_{to}, how_{how}, fate_{seed} {}

    int from() const { return from_; }

    /// Takes every frame that waits; false when the device is gone.
    bool take() {
        for (int burst = 0; burst < 64; ++burst) {
            const auto count = ::read(from_, room_.data(), room_.size());
            if (count < 0)
                return errno == EAGAIN || errno == EIO; // EIO: the device is down for now
            admit(static_cast<std::size_t>(count));
        }
        return true;
    }

    /// Delivers what is due and returns when the next is.
    steady::time_point deliver(steady::time_point now) {
        while (!under_way_.empty() && under_way_.top().due <= now) {
            // a frame that the device refuses is lost, as on any cable
            [[maybe_unused]] const auto sent =
                ::write(to_, under_way_.top().octets.data(), under_way_.top().octets.size());
            under_way_.pop();
        }
        return under_way_.empty() ? now + std::chrono::hours{1} : under_way_.top().due;
    }

private:
    struct item {
        steady::time_point due;
        std::uint64_t number = 0;
        frame octets;
        bool operator<(const item& other) const {
            return std::pair{other.due, other.number} < std::pair{due, number};
        }
    };

    static constexpr std::size_t capacity = 20'000;

    /// On the line, octets take this long, with the 24 around each frame left out.
    steady::duration time_for(double octets) const {
        return std::chrono::nanoseconds{static_cast<std::int64_t>(octets * 8e3 / how_.rate)};
    }

    void admit(std::size_t count) {
        // all chances are drawn for every frame, so that one option does not change the fate under another
        const double lost = percent_(fate_), late = percent_(fate_), twice = percent_(fate_);
        if (lost < how_.loss)
            return;
        const auto now = steady::now();
        auto due = now + how_.delay;
        if (how_.rate != 0) {
            if (free_ > now + time_for(1514 * how_.queue))
                return;
            free_ = std::max(free_, now) + time_for(static_cast<double>(count));
            due = free_ + how_.delay;
        }
        if (late < how_.reorder)
            due += how_.delay / 2 + std::chrono::microseconds{500};
        for (int copy = twice < how_.duplicate ? 2 : 1; copy > 0 && under_way_.size() < capacity; --copy)
            under_way_.push({due, number_++, frame(room_.begin(), room_.begin() + static_cast<std::ptrdiff_t>(count))});
    }

    int from_;
    int to_;
    impairment how_;
    std::mt19937_64 fate_;
    std::uniform_real_distribution<double> percent_{0, 100};
    std::priority_queue<item> under_way_;
    std::uint64_t number_ = 0;
    steady::time_point free_{};  ///< when the line has sent what waits for it
    frame room_ = frame(65536);
};

double number(const char* word) {
    char* end = nullptr;
    const double value = std::strtod(word, &end);
    if (end == word || *end != 0 || value < 0) {
        std::fputs(usage.data(), stderr);
        std::exit(2);
    }
    return value;
}

} // namespace

int main(int count, char** words) {
    if (count < 3 || count % 2 == 0) {
        std::fputs(usage.data(), stderr);
        return 2;
    }
    const int left = static_cast<int>(number(words[1])), right = static_cast<int>(number(words[2]));
    impairment how;
    for (int i = 3; i < count; i += 2) {
        const std::string_view name = words[i];
        const double value = number(words[i + 1]);
        if (name == "--loss")
            how.loss = value;
        else if (name == "--delay")
            how.delay = std::chrono::microseconds{static_cast<std::int64_t>(value * 1000)};
        else if (name == "--reorder")
            how.reorder = value;
        else if (name == "--duplicate")
            how.duplicate = value;
        else if (name == "--rate")
            how.rate = value;
        else if (name == "--queue")
            how.queue = value;
        else if (name == "--seed")
            how.seed = static_cast<std::uint64_t>(value);
        else
            return std::fputs(usage.data(), stderr), 2;
    }

    direction ways[] = {{left, right, how, how.seed}, {right, left, how, how.seed + 1}};
    std::puts("ready");
    std::fflush(stdout);
    for (;;) {
        const auto now = steady::now();
        const auto next = std::min(ways[0].deliver(now), ways[1].deliver(now));
        const auto wait = std::chrono::duration_cast<std::chrono::nanoseconds>(std::max(next - now, steady::duration{0}));
        const timespec timeout{.tv_sec = wait.count() / 1'000'000'000, .tv_nsec = wait.count() % 1'000'000'000};
        pollfd ends[] = {{left, POLLIN, 0}, {right, POLLIN, 0}};
        if (::ppoll(ends, 2, &timeout, nullptr) < 0 && errno != EINTR)
            return std::perror("ppoll"), 1;
        for (auto& way : ways)
            if (!way.take())
                return std::fprintf(stderr, "a device is gone: %s\n", std::strerror(errno)), 1;
    }
}
