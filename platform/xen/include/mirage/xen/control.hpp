// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/event.hpp"
#include "mirage/core/task.hpp"
#include "mirage/xen/xenstore.hpp"
#include <cstdint>
#include <string_view>
#include <utility>

namespace mirage::xen {

/// What the toolstack can ask of a domain: `xl shutdown`, `xl reboot`, `xl save` and `xl migrate`.
enum class control_request : std::uint8_t { none, poweroff, reboot, suspend };

/// Listens to `control/shutdown` in the store (xenstore-paths(7), "Domain Controlled Paths"): announces what the domain
/// obeys, acknowledges each request, and keeps it for take(). What is not known is acknowledged and left at that.
class control {
    xenstore& store_;
    event changed_;
    store_watch watch_;
    task<> listening_;
    control_request asked_ = control_request::none;

    static constexpr std::string_view path = "control/shutdown";

    static constexpr control_request request_of(std::string_view text) noexcept {
        if (text == "poweroff" || text == "halt")
            return control_request::poweroff;
        if (text == "reboot")
            return control_request::reboot;
        return text == "suspend" ? control_request::suspend : control_request::none;
    }

    task<> listen() {
        static constexpr std::string_view features[] = {"feature-poweroff", "feature-reboot", "feature-suspend"};
        if (!co_await store_.watch(watch_, path, changed_))
            co_return; // the toolstack has to destroy a domain that cannot hear it
        for (;;) {
            co_await changed_.wait();
            // In a transaction, so that a request that replaces another is not lost.
            store_exchange taking{.path = path};
            if (co_await store_.transact(taking))
                if (const auto wanted = request_of(taking.was.view()); wanted != control_request::none)
                    asked_ = wanted;
            // Here, because the watch fires at the beginning and after a move, where nobody has announced anything. Old
            // toolstacks do not let us; they do not look, either.
            for (const std::string_view feature : features)
                (void)co_await store_.write({"control", feature}, "1");
        }
    }

public:
    explicit control(xenstore& store) noexcept : store_{store}, changed_{store.loop()}, listening_{listen()} {
        if (listening_)
            listening_.start([](void*) noexcept {}, nullptr);
    }
    control(const control&) = delete;
    control& operator=(const control&) = delete;

    /// What is to be done now; once. It has been acknowledged, so the toolstack waits for it to happen.
    control_request take() noexcept { return std::exchange(asked_, control_request::none); }
};

} // namespace mirage::xen
