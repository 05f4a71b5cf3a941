// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/fixed_string.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/core/task.hpp"
#include "mirage/os/stop.hpp"
#include "mirage/xen/clock.hpp"
#include "mirage/xen/console.hpp"
#include "mirage/xen/control.hpp"
#include "mirage/xen/events.hpp"
#include "mirage/xen/grants.hpp"
#include "mirage/xen/machine.hpp"
#include "mirage/xen/random.hpp"
#include "mirage/xen/resume.hpp"
#include "mirage/xen/xenstore.hpp"
#include <optional>
#include <string_view>

namespace mirage::xen {

template <fixed_string Name>
class netif;
template <fixed_string Name>
class block;

/// A Xen PVH domain: types of its devices, and the domain itself. One per image, made before the application.
class platform {
    std::optional<scheduler> loop_; ///< made when asked for: an application that never waits has none in its image
    intrusive_list<resume_hook> on_resume_;
    std::optional<xenstore> store_; ///< likewise
    std::optional<control> control_; ///< in images that wait
    os::stop_signal* stop_ = nullptr; ///< the application's, with control_
    bool boots_again_ = false;        ///< it was asked to, and has been told
    std::size_t vifs_ = 0, vbds_ = 0;

    struct store_hook final : resume_hook {
        platform& home;
        explicit store_hook(platform& p) noexcept
            : resume_hook{[](resume_hook& h) noexcept {
                  auto& self = static_cast<store_hook&>(h);
                  (void)self.home.store_->reopen(store_page(), platform::events(), store_port());
              }},
              home{p} {}
    };
    std::optional<store_hook> store_hook_; ///< made with the store: its function holds on to the store's code

    static xenstore_domain_interface* store_page() noexcept {
        return reinterpret_cast<xenstore_domain_interface*>(STORE_RING_ADDRESS);
    }
    static evtchn_port_t store_port() noexcept { return static_cast<evtchn_port_t>(hvm_param(HVM_PARAM_STORE_EVTCHN)); }

    void obey(control_request request) noexcept {
        switch (request) {
        case control_request::none: return;
        case control_request::poweroff:
        case control_request::reboot:
            boots_again_ = request == control_request::reboot;
            if (!stop_->give())
                exit(0);
            return;
        case control_request::suspend: (void)suspend(); return;
        }
    }

public:
    static constexpr std::string_view name = "xen";

    using console = xen::console;
    using clock = xen::clock;
    using random = xen::random;
    template <fixed_string Name>
    using netif = xen::netif<Name>;
    template <fixed_string Name>
    using block = xen::block<Name>;

    platform() noexcept = default;
    platform(const platform&) = delete;
    platform& operator=(const platform&) = delete;

    scheduler& loop() noexcept {
        if (!loop_)
            loop_.emplace(this_machine.now());
        return *loop_;
    }

    /// What the configuration of the domain has as `extra` or `cmdline`.
    static std::string_view command_line() noexcept { return this_machine.command_line(); }

    /// What devices stand on (the concept `domain`). None of it is in an image whose devices do not call it.
    static grant_table& grants() noexcept { return this_grants; }
    static event_channels& events() noexcept { return this_events; }
    static instant now() noexcept { return this_machine.now(); }

    /// The xenstore, connected when it is first asked for. What is asked of it before the loop turns waits for that.
    xenstore& store() noexcept {
        if (!store_) {
            store_.emplace(loop());
            (void)store_->open(store_page(), events(), store_port()); // if that fails, so does all that is asked of it
            on_resume(store_hook_.emplace(*this));
        }
        return *store_;
    }

    /// The application's network devices are the domain's, in their order.
    std::size_t next_vif() noexcept { return vifs_++; }
    /// And so are its disks.
    std::size_t next_vbd() noexcept { return vbds_++; }

    /// The application is about to wait for things: from now on, what the toolstack asks for is done.
    void obey_toolstack(os::stop_signal& stop) noexcept {
        stop_ = &stop;
        control_.emplace(store());
    }

    /// Sleeps until a device's event channel is pending or `deadline` has passed; a deadline in the past only looks.
    /// The devices' events are set by then: the ready set stays empty.
    std::uint64_t wait(instant deadline) noexcept {
        this_events.wait(deadline);
        if (control_)
            obey(control_->take());
        return 0;
    }

    /// Turns the loop until `work` has ended, and takes its value with take(); false when `deadline` came first. For
    /// devices that are being opened, before the application runs.
    template <class T>
    [[nodiscard]] bool block_on(task<T>& work, instant deadline) noexcept {
        scheduler& turning = loop();
        turning.advance(now());
        bool done = false;
        work.start([](void* flag) noexcept { *static_cast<bool*>(flag) = true; }, &done);
        for (;;) {
            // As in os/run.hpp: a task that keeps posting itself must not keep events out.
            for (unsigned pass = 0; pass < 64 && !done && turning.run_ready(); ++pass) {
            }
            if (done)
                return true;
            if (now() >= deadline)
                return false;
            const instant next = turning.next_deadline();
            (void)wait(!turning.idle() ? instant::min() : next < deadline ? next : deadline);
            turning.advance(now());
        }
    }

    /// Enrols what has to be done after a resume. The store first, then the devices in their order.
    void on_resume(resume_hook& hook) noexcept { on_resume_.push_back(hook); }

    /// Lets the toolstack save or move the domain; returns when it goes on. True: elsewhere, and everything that was
    /// enrolled has been called. False: nothing came of it, this is still where it was.
    bool suspend() noexcept {
        if (!this_machine.suspend())
            return false;
        this_events.forget();
        this_grants.reopen();
        for (resume_hook& hook : on_resume_)
            hook.resumed();
        return true;
    }

    /// Ends the domain: 0 powers it off; anything else is a crash to the toolstack (on_crash), and said on the console.
    [[noreturn]] void exit(int status) noexcept {
        if (status == 0 && boots_again_)
            this_machine.reboot();
        this_machine.exit(status);
    }
};

} // namespace mirage::xen
