// SPDX-License-Identifier: MIT
#include "mirage/host/machine.hpp"
#include "mirage/core/check.hpp"
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace mirage::host {

namespace {

volatile std::sig_atomic_t stop_signal = 0;
int stop_descriptor = -1;

/// Sets the flag for a loop that is busy, and the event for one that sleeps or is about to.
void on_stop(int number) noexcept {
    const int saved = errno;
    stop_signal = number;
    const std::uint64_t one = 1;
    if (::write(stop_descriptor, &one, sizeof one) < 0) {
        // the event is set already
    }
    errno = saved;
}

instant kernel_time() noexcept {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return instant{std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec}};
}

} // namespace

void complain(const std::string& text) noexcept {
    const std::string out = text + "\n";
    for (std::size_t done = 0; done < out.size();) {
        const ssize_t n = ::write(STDERR_FILENO, out.data() + done, out.size() - done);
        if (n <= 0 && errno != EINTR)
            return;
        done += n > 0 ? static_cast<std::size_t>(n) : 0;
    }
}

machine::machine() noexcept : start_{kernel_time()}, stop_event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    check(stop_event_ >= 0, "host: the kernel gives no event descriptor");
    stop_descriptor = stop_event_;
    struct sigaction action {};
    action.sa_handler = on_stop;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    action.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &action, nullptr); // a write says so itself
}

machine::~machine() {
    ::signal(SIGINT, SIG_DFL);
    ::signal(SIGTERM, SIG_DFL);
    ::close(stop_event_);
}

instant machine::now() const noexcept {
    return instant{kernel_time() - start_};
}

unsigned machine::watch(input_source& source) noexcept {
    check(source_count_ < max_sources, "host: more than 64 devices to wait for");
    sources_[source_count_] = &source;
    return source_count_++;
}

/// Asks every device once, but for those that are quiet most of the time.
std::uint64_t machine::look() noexcept {
    std::uint64_t ready = 0;
    for (unsigned i = 0; i < source_count_; ++i)
        if (!sources_[i]->only_when_woken && sources_[i]->look())
            ready |= std::uint64_t{1} << i;
    return ready;
}

/// Asks again and again, until the deadline.
std::uint64_t machine::look_until(instant deadline) noexcept {
    do {
        if (const std::uint64_t ready = look(); ready != 0)
            return ready;
    } while (stop_signal == 0 && now() < deadline);
    return 0;
}

std::uint64_t machine::sleep_until(instant deadline) noexcept {
    std::array<pollfd, max_sources + 1> watched;
    std::array<std::uint8_t, max_sources + 1> number;
    nfds_t count = 0;
    for (unsigned i = 0; i < source_count_; ++i) {
        const input_source& s = *sources_[i];
        const int events = (s.wants_input ? POLLIN : 0) | (s.wants_output ? POLLOUT : 0);
        if (s.descriptor < 0 || events == 0)
            continue;
        number[count] = static_cast<std::uint8_t>(i);
        watched[count++] = {s.descriptor, static_cast<short>(events), 0};
    }
    watched[count] = {stop_event_, POLLIN, 0};

    timespec left{};
    if (deadline != never) {
        const auto ns = std::max<std::int64_t>((deadline - now()).count(), 0);
        left = {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    }
    if (::ppoll(watched.data(), count + 1, deadline == never ? nullptr : &left, nullptr) <= 0)
        return 0; // the deadline, or a signal
    if (std::uint64_t times = 0;
        (watched[count].revents & POLLIN) != 0 && ::read(stop_event_, &times, sizeof times) < 0)
        return 0;

    std::uint64_t ready = 0;
    for (nfds_t i = 0; i < count; ++i) {
        const unsigned n = number[i];
        if ((watched[i].revents & POLLOUT) != 0)
            sources_[n]->wants_output = false;
        if ((watched[i].revents & ~POLLOUT) == 0 ? watched[i].revents != 0 : sources_[n]->look())
            ready |= std::uint64_t{1} << n;
    }
    return ready;
}

std::uint64_t machine::wait(instant deadline) noexcept {
    if (stop_signal != 0)
        exit(128 + stop_signal);
    if (const std::uint64_t ready = look(); ready != 0 || deadline == instant::min())
        return ready;
    const instant begin = now();
    if (deadline <= begin)
        return 0;

    const duration budget = spin_.budget();
    duration looked{};
    if (budget > duration::zero()) {
        const std::uint64_t ready = look_until(std::min(deadline, begin + budget));
        looked = now() - begin;
        if (ready != 0) {
            spin_.found(looked);
            return ready;
        }
    }
    const std::uint64_t ready = sleep_until(deadline);
    spin_.woken(now() - begin, looked);
    if (stop_signal != 0)
        exit(128 + stop_signal);
    return ready;
}

void machine::print_help(std::span<const os::device_entry> devices) const {
    std::string text = "Options of the host platform, before the boot keys:\n";
    for (const os::device_entry& d : devices) {
        const std::string device{d.name};
        if (d.kind == os::device_kind::netif)
            text += "  --net:" + device
                    + "=TAP            an existing TAP interface\n"
                      "  --net:"
                    + device
                    + "=TAP,vnet       the same with checksum and segmentation offload\n"
                      "  --net:"
                    + device
                    + "=user[,hostfwd=tcp:127.0.0.1:8080-:80]...\n"
                      "                                  user networking: no root, no TAP; the application "
                      "is 10.0.2.15\n"
                      "  --net-mac:"
                    + device
                    + "=ADDRESS    its Ethernet address; a random one otherwise\n"
                      "  --pcap:"
                    + device + "=FILE          write every frame to a capture file\n";
        else
            text += "  --block:" + device
                    + "=FILE         a file or disk\n"
                      "  --block-sector-size:"
                    + device
                    + "=OCTETS\n"
                      "                                  512 when not given\n";
    }
    if (devices.empty())
        text += "  none: this application has neither network interfaces nor block devices\n";
    text += "\n";
    (void)std::fwrite(text.data(), 1, text.size(), stdout);
    (void)std::fflush(stdout);
}

result<> machine::declare(std::span<const os::device_entry> devices) noexcept {
    if (!options_.fit(devices))
        return std::unexpected(errc::invalid_argument);
    if (options_.keys() == "--help" || options_.keys().starts_with("--help "))
        print_help(devices);
    return {};
}

void machine::exit(int status) noexcept {
    (void)std::fflush(nullptr);
    std::exit(status);
}

} // namespace mirage::host
