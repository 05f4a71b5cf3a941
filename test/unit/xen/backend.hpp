// SPDX-License-Identifier: MIT
// The other end of a device on the bus, in memory: the toolstack that makes and removes it, and a backend that goes
// through the states as Linux's netback and blkback do. What it does with rings is the test's.
#pragma once
#include "memory_domain.hpp"

namespace mirage::xen::test {

class backend {
    memory_domain& home_;
    std::string kind_;
    unsigned number_;
    std::string where_;
    int seen_ = -1; ///< the frontend's state at the last look

public:
    domid_t domid;                             ///< the backend's domain
    bool moves = true;                         ///< false: does not react
    int connects_in = 0;                       ///< the frontend's state in which it looks at the rings: 4 for vif, else 3
    std::function<void()> offer = [] {};       ///< writes features, when it is to wait for the frontend
    std::function<bool()> connect = [] { return true; }; ///< maps the rings; false: cannot
    std::function<void()> disconnect = [] {};  ///< unmaps everything
    unsigned connections = 0, disconnections = 0;

    backend(memory_domain& home, std::string kind, unsigned number, domid_t peer = 0)
        : home_{home}, kind_{std::move(kind)}, number_{number}, domid{peer} {
        where_ = "/local/domain/" + std::to_string(peer) + "/backend/" + kind_ + "/5/" + std::to_string(number);
        connects_in = kind_ == "vif" ? XenbusStateConnected : XenbusStateInitialised;
        home_.book.peer = peer;
        home_.others.push_back([this] { return step(); });
    }
    backend(const backend&) = delete;

    std::string front(std::string_view key = {}) const {
        return "device/" + kind_ + '/' + std::to_string(number_) + (key.empty() ? "" : "/") + std::string{key};
    }
    std::string back(std::string_view key = {}) const { return where_ + (key.empty() ? "" : "/") + std::string{key}; }

    int front_state() const { return number(front("state")); }
    int state() const { return number(back("state")); }
    void state(int s) { home_.daemon.set(back("state"), std::to_string(s)); }

    /// What `xl network-attach` does.
    void attach() {
        auto& d = home_.daemon;
        d.set(front("backend"), where_);
        d.set(front("backend-id"), std::to_string(domid));
        d.set(front("state"), "1");
        d.set(back("frontend"), d.whole(front()));
        d.set(back("online"), "1");
        d.set(back("state"), "1");
        seen_ = -1;
        offer();
        state(XenbusStateInitWait);
    }
    /// What `xl network-detach` does first; the rest, when the backend has closed.
    void detach() {
        home_.daemon.set(back("online"), "0");
        state(XenbusStateClosing);
    }
    /// What `xl destroy`, or a driver domain that dies, leaves.
    void vanish() {
        drop();
        home_.daemon.remove(front());
        home_.daemon.remove(back());
    }
    /// The backend's driver is loaded anew, or crashed and is started again.
    void restart() {
        drop();
        state(XenbusStateClosed);
    }
    bool connected() const { return connections > disconnections; }

    /// Looks at the frontend's state, and does what follows. Whether that was anything.
    bool step() {
        if (!moves || !home_.daemon.has(back("state")))
            return false;
        const int now = front_state();
        if (now == seen_ && !(state() == XenbusStateClosing && now == XenbusStateClosed))
            return false;
        seen_ = now;
        switch (now) {
        case XenbusStateInitialising:
            if (state() == XenbusStateClosed) {
                offer();
                state(XenbusStateInitWait);
            }
            break;
        case XenbusStateInitialised:
        case XenbusStateConnected:
            if (state() == XenbusStateConnected || now < connects_in || state() != XenbusStateInitWait)
                break;
            if (connect()) {
                ++connections;
                state(XenbusStateConnected);
            } else {
                state(XenbusStateClosing);
            }
            break;
        case XenbusStateClosing:
            drop();
            if (state() != XenbusStateClosing && state() != XenbusStateClosed)
                state(XenbusStateClosing);
            break;
        case XenbusStateClosed:
            drop();
            if (state() != XenbusStateClosed)
                state(XenbusStateClosed);
            if (home_.daemon.get(back("online")) == "0") { // the toolstack waited for this
                home_.daemon.remove(front());
                home_.daemon.remove(back());
            }
            break;
        default: break;
        }
        return true;
    }

private:
    int number(std::string_view path) const {
        const auto text = home_.daemon.get(path);
        return text && !text->empty() ? std::atoi(text->c_str()) : 0;
    }
    void drop() {
        if (connected()) {
            disconnect();
            ++disconnections;
        }
    }
};

} // namespace mirage::xen::test
