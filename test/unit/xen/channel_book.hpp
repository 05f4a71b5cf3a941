// SPDX-License-Identifier: MIT
// Event channels in memory: a backend fires them, and sees when it is notified.
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/core/errc.hpp"
#include "mirage/core/event.hpp"
#include "mirage/xen/public.hpp"
#include <map>

namespace mirage::xen::test {

class channel_book {
    struct channel {
        domid_t peer = 0;
        event* wakes = nullptr;
        std::size_t notified = 0;
    };
    std::map<evtchn_port_t, channel> channels_;
    evtchn_port_t next_ = 3;

public:
    std::size_t limit = 1000; ///< channels there may be

    // What the domain has.
    result<evtchn_port_t> allocate(domid_t peer) noexcept {
        if (channels_.size() >= limit)
            return std::unexpected(errc::no_buffers);
        channels_[next_].peer = peer;
        return next_++;
    }
    result<> attach(evtchn_port_t port, event& e) noexcept {
        check(channels_.contains(port), "attach: no such channel");
        channels_[port].wakes = &e;
        return {};
    }
    void close(evtchn_port_t port) noexcept { check(channels_.erase(port) == 1, "close: no such channel"); }
    void notify(evtchn_port_t port) noexcept {
        check(channels_.contains(port), "notify: no such channel");
        ++channels_[port].notified;
    }

    // What its peer can do.
    bool fire(evtchn_port_t port) {
        const auto found = channels_.find(port);
        if (found == channels_.end() || found->second.wakes == nullptr)
            return false;
        found->second.wakes->set();
        return true;
    }
    /// How often the peer was notified since the last time.
    std::size_t notifications(evtchn_port_t port) {
        const auto found = channels_.find(port);
        return found == channels_.end() ? 0 : std::exchange(found->second.notified, 0);
    }
    std::size_t open() const noexcept { return channels_.size(); }
    void clear() { channels_.clear(); }
};

} // namespace mirage::xen::test
