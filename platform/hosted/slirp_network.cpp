// SPDX-License-Identifier: MIT
#include "mirage/hosted/user_network.hpp"
#include "mirage/hosted/sandbox.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <libslirp.h>
#include <list>
#include <optional>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <type_traits>
#include <vector>

namespace mirage::hosted {

namespace {

/// About a port of this machine that was refused.
std::string what_to_do(int error, const port_forward& f) {
    switch (error) {
    case EADDRINUSE:
        return std::string{"; choose another port, or end the program that has it (ss -l"}
               + (f.udp ? "u" : "t") + "np)";
    case EACCES: return "; ports below 1024 are root's: choose a higher one";
    case EADDRNOTAVAIL:
        return "; this machine does not have that address: 127.0.0.1 is always there, 0.0.0.0 is all of its "
               "own";
    default: return "";
    }
}

std::string text_of(in_addr address) {
    char text[INET_ADDRSTRLEN];
    return inet_ntop(AF_INET, &address, text, sizeof text);
}

/// libslirp, loaded when it is asked for: it and what it needs in turn take longer to load than a guest to
/// boot.
struct slirp_library {
    decltype(&::slirp_new) create = nullptr;
    decltype(&::slirp_add_hostfwd) add_forward = nullptr;
    decltype(&::slirp_pollfds_fill) fill = nullptr;
    decltype(&::slirp_pollfds_poll) poll = nullptr;
    decltype(&::slirp_input) input = nullptr;

    bool load() {
        void* const library = ::dlopen("libslirp.so.0", RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr)
            return false;
        const auto find = [library](auto& function, const char* name) {
            function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
            return function != nullptr;
        };
        return find(create, "slirp_new") && find(add_forward, "slirp_add_hostfwd")
               && find(fill, "slirp_pollfds_fill") && find(poll, "slirp_pollfds_poll")
               && find(input, "slirp_input");
    }
};

/// What libslirp does with this machine: sockets, the clock, memory, and reading who serves DNS here. Not
/// opening files to write, not starting programs. What is refused fails, and libslirp lives with that.
std::expected<void, std::string> confine() {
    using enum allowed_call::condition;
    static constexpr allowed_call calls[] = {
        {SYS_poll},
        {SYS_read},
        {SYS_write},
        {SYS_recvfrom},
        {SYS_sendto},
        {SYS_recvmsg},
        {SYS_sendmsg},
        {SYS_readv},
        {SYS_writev},
        {SYS_clock_gettime},
        {SYS_socket},
        {SYS_bind},
        {SYS_listen},
        {SYS_accept},
        {SYS_accept4},
        {SYS_connect},
        {SYS_shutdown},
        {SYS_close},
        {SYS_getsockname},
        {SYS_getpeername},
        {SYS_setsockopt},
        {SYS_getsockopt},
        {SYS_fcntl},
        {SYS_ppoll},
        {SYS_gettimeofday},
        {SYS_getrandom},
        {SYS_futex},
        {SYS_brk},
        {SYS_munmap},
        {SYS_mremap},
        {SYS_madvise},
        {SYS_exit_group},
        {SYS_stat},
        {SYS_fstat},
        {SYS_newfstatat},
        {SYS_lseek},
        {SYS_rt_sigreturn},
        {SYS_rt_sigprocmask},
        {SYS_restart_syscall},
        {SYS_time},
        {SYS_ioctl, equals, 1, FIONBIO},
        {SYS_ioctl, equals, 1, FIONREAD},
        {SYS_mmap, without_bits, 2, PROT_EXEC},
        {SYS_mprotect, without_bits, 2, PROT_EXEC},
        {SYS_openat, without_bits, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC},
    };
    if (auto done = drop_privileges(); !done)
        return done;
    return restrict_calls(calls, on_violation::fail);
}

/// The network, in its own process: libslirp between the cable and the sockets of this machine.
class network {
    int cable_;
    slirp_library library_;
    Slirp* slirp_ = nullptr;
    std::vector<pollfd> polled_;

    struct slirp_timer {
        SlirpTimerCb callback;
        void* argument;
        std::int64_t due = -1; // milliseconds
    };
    std::list<slirp_timer> timers_;

    static std::int64_t now_ns(void*) {
        timespec t{};
        clock_gettime(CLOCK_MONOTONIC, &t);
        return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    }
    static ssize_t send(const void* frame, std::size_t size, void* self) {
        // A guest that does not empty its cable loses frames, as on any network.
        const auto n = ::write(static_cast<network*>(self)->cable_, frame, size);
        return n < 0 && (errno == EAGAIN || errno == ENOBUFS) ? static_cast<ssize_t>(size) : n;
    }
    static void guest_error(const char*, void*) {}
    static void* timer_new(SlirpTimerCb callback, void* argument, void* self) {
        return &static_cast<network*>(self)->timers_.emplace_back(callback, argument);
    }
    static void timer_free(void* timer, void* self) {
        static_cast<network*>(self)->timers_.remove_if([timer](const slirp_timer& t) { return &t == timer; });
    }
    static void timer_mod(void* timer, std::int64_t due, void*) {
        static_cast<slirp_timer*>(timer)->due = due;
    }
    static void ignore_fd(int, void*) {}
    static void notify(void*) {}

    static int add_poll(int fd, int events, void* self) {
        short wanted = 0;
        wanted = static_cast<short>(wanted | ((events & SLIRP_POLL_IN) != 0 ? POLLIN : 0));
        wanted = static_cast<short>(wanted | ((events & SLIRP_POLL_OUT) != 0 ? POLLOUT : 0));
        wanted = static_cast<short>(wanted | ((events & SLIRP_POLL_PRI) != 0 ? POLLPRI : 0));
        auto& polled = static_cast<network*>(self)->polled_;
        polled.push_back({fd, wanted, 0});
        return static_cast<int>(polled.size()) - 1;
    }
    static int poll_result(int index, void* self) {
        const short seen = static_cast<network*>(self)->polled_[static_cast<std::size_t>(index)].revents;
        return ((seen & POLLIN) != 0 ? SLIRP_POLL_IN : 0) | ((seen & POLLOUT) != 0 ? SLIRP_POLL_OUT : 0)
               | ((seen & POLLPRI) != 0 ? SLIRP_POLL_PRI : 0) | ((seen & POLLERR) != 0 ? SLIRP_POLL_ERR : 0)
               | ((seen & POLLHUP) != 0 ? SLIRP_POLL_HUP : 0);
    }

    static in_addr ten(std::uint8_t last) { return {htonl(0x0a000200u | last)}; }

public:
    explicit network(int cable) : cable_{cable} {}

    /// Nothing, or why it cannot be.
    std::optional<std::string> open(const std::vector<port_forward>& forwards) {
        static constexpr SlirpCb callbacks{.send_packet = send,
                                           .guest_error = guest_error,
                                           .clock_get_ns = now_ns,
                                           .timer_new = timer_new,
                                           .timer_free = timer_free,
                                           .timer_mod = timer_mod,
                                           .register_poll_fd = ignore_fd,
                                           .unregister_poll_fd = ignore_fd,
                                           .notify = notify,
                                           .init_completed = nullptr,
                                           .timer_new_opaque = nullptr};
        if (!library_.load())
            return "user networking needs libslirp, which is not installed here: sudo apt install libslirp0";
        SlirpConfig config{};
        config.version = 1;
        config.in_enabled = true;
        config.vnetwork = ten(0);
        config.vnetmask = {htonl(0xffffff00u)};
        config.vhost = ten(2);
        config.vdhcp_start = ten(15);
        config.vnameserver = ten(3);
        config.if_mtu = config.if_mru = user_network::mtu;
        slirp_ = library_.create(&config, &callbacks, this);
        if (slirp_ == nullptr)
            return "libslirp could not be started";
        for (const port_forward& f : forwards)
            if (library_.add_forward(slirp_, f.udp ? 1 : 0, f.host_address, f.host_port, f.guest_address,
                                     f.guest_port)
                != 0) {
                const int error = errno;
                return "cannot listen on " + text_of(f.host_address) + ":" + std::to_string(f.host_port)
                       + ": " + std::strerror(error) + what_to_do(error, f);
            }
        lengthen_queues();
        return {};
    }

    /// libslirp lets one caller wait per port; a browser opens more connections at once than that.
    static void lengthen_queues() {
        constexpr int longest_queue = 512, all_of_ours = 1024;
        for (int fd = 3; fd < all_of_ours; ++fd) {
            int listening = 0;
            socklen_t size = sizeof listening;
            if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0)
                (void)::listen(fd, longest_queue);
        }
    }

    void run() {
        std::array<std::byte, 65'536> frame;
        for (;;) {
            polled_.assign(1, {cable_, POLLIN, 0});
            std::uint32_t wait = 1000;
            library_.fill(slirp_, &wait, add_poll, this);
            const std::int64_t now = now_ns(nullptr) / 1'000'000;
            for (const slirp_timer& t : timers_)
                if (t.due >= 0)
                    wait = static_cast<std::uint32_t>(std::clamp<std::int64_t>(t.due - now, 0, wait));
            const int ready = ::poll(polled_.data(), polled_.size(), static_cast<int>(wait));
            if (ready > 0 && polled_[0].revents != 0) {
                for (int burst = 0; burst < 64; ++burst) {
                    const auto n = ::read(cable_, frame.data(), frame.size());
                    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                        return; // the other end is gone
                    if (n < 0)
                        break;
                    library_.input(slirp_, reinterpret_cast<const std::uint8_t*>(frame.data()),
                                   static_cast<int>(n));
                }
            }
            // Behind the input: what that set free (a packet that waited for an ARP answer, say) leaves here.
            library_.poll(slirp_, ready < 0 ? 1 : 0, poll_result, this);
            const std::int64_t later = now_ns(nullptr) / 1'000'000;
            for (auto t = timers_.begin(); t != timers_.end();) {
                slirp_timer& timer = *t++; // its callback may remove it
                if (timer.due >= 0 && timer.due <= later) {
                    timer.due = -1;
                    timer.callback(timer.argument);
                }
            }
        }
    }
};

} // namespace

void be_network(unique_fd cable, unique_fd report, const user_network& wanted) {
    network net{cable.get()};
    auto problem = net.open(wanted.forwards);
    if (!problem)
        if (const auto done = confine(); !done)
            problem = done.error();
    const std::string_view text = problem ? std::string_view{*problem} : network_is_ready;
    (void)!::write(report.get(), text.data(), text.size());
    report = {};
    if (!problem)
        net.run();
    ::_exit(problem ? 1 : 0);
}

} // namespace mirage::hosted
