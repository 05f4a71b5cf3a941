// SPDX-License-Identifier: MIT
#include "poller.hpp"
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <sys/epoll.h>
#include <sys/timerfd.h>

namespace mirage::tender {

namespace {
constexpr std::uint64_t timer_mark = ~std::uint64_t{0}, attention_mark = timer_mark - 1;
} // namespace

outcome<poller> poller::open(std::span<device> devices, int also) {
    poller p;
    p.devices_ = devices;
    if (also < 0 && std::ranges::none_of(devices, [](const device& d) { return d.net != nullptr; }))
        return p; // nothing but time to wait for
    p.epoll_ = hosted::unique_fd{::epoll_create1(EPOLL_CLOEXEC)};
    p.timer_ = hosted::unique_fd{::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
    const auto add = [&](int fd, std::uint64_t mark) {
        epoll_event e{.events = EPOLLIN, .data = {.u64 = mark}};
        return ::epoll_ctl(p.epoll_.get(), EPOLL_CTL_ADD, fd, &e) == 0;
    };
    bool good = p.epoll_ && p.timer_ && add(p.timer_.get(), timer_mark);
    if (good && also >= 0)
        good = add(also, attention_mark);
    for (std::size_t i = 0; good && i < devices.size(); ++i)
        if (devices[i].net)
            good = add(devices[i].net->descriptor(), i);
    if (!good)
        return failure(std::string{"epoll cannot be set up: "} + std::strerror(errno));
    return p;
}

std::uint64_t poller::wait(std::uint64_t timeout) noexcept {
    // A year is as good as for ever, and no sum overflows.
    timeout = std::min<std::uint64_t>(timeout, std::uint64_t{365} * 24 * 3600 * 1'000'000'000);
    timespec left{static_cast<time_t>(timeout / 1'000'000'000), static_cast<long>(timeout % 1'000'000'000)};
    if (!epoll_) {
        while (::clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
        }
        return 0;
    }
    if (timeout > 0) {
        const itimerspec when{.it_interval = {}, .it_value = left};
        (void)::timerfd_settime(timer_.get(), 0, &when, nullptr);
    }
    epoll_event seen[hvt::abi::manifest_max_entries];
    int count;
    for (;;) {
        count = ::epoll_pwait(epoll_.get(), seen, std::size(seen), timeout == 0 ? 0 : -1, nullptr);
        if (count == 1 && seen[0].data.u64 == attention_mark && attend_) {
            attend_(); // with others beside it: the next turn
            continue;
        }
        if (count >= 0 || errno != EINTR)
            break;
    }
    std::uint64_t ready = 0;
    for (int i = 0; i < count; ++i) {
        const std::uint64_t mark = seen[i].data.u64;
        if (mark == timer_mark || mark == attention_mark)
            continue;
        net_device& net = *devices_[mark].net;
        if ((seen[i].events & EPOLLIN) != 0 && !net.gone()) {
            ready |= std::uint64_t{1} << mark; // the end of a link, too: the read finds it
        } else { // nothing comes any more: level-triggered, it would wake us for ever
            net.mark_gone();
            (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, net.descriptor(), nullptr);
        }
    }
    return ready;
}

} // namespace mirage::tender
