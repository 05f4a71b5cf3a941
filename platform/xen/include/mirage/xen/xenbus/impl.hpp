// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/combinators.hpp"
#include "mirage/xen/xenbus.hpp"

// The frontend's state machine, out of line: it runs when devices come and go.
namespace mirage::xen {

namespace detail {
constexpr bus_state bus_state_of(const result<std::uint64_t>& number) noexcept {
    return number && *number <= static_cast<unsigned>(bus_state::reconfigured) ? static_cast<bus_state>(*number)
                                                                               : bus_state::unknown;
}
} // namespace detail

inline result<> frontend::start(std::uint32_t number) noexcept {
    path_.clear();
    path_ << "device/" << kind_ << '/' << number;
    running_ = run();
    if (!running_)
        return std::unexpected(errc::no_buffers);
    running_.start([](void*) noexcept {}, nullptr);
    return {};
}

inline task<result<>> frontend::settled() {
    if (!up_ && failure_ == errc{})
        co_await settled_.wait();
    if (up_)
        co_return result<>{};
    co_return std::unexpected(failure_);
}

inline std::string_view frontend::waits_for() const noexcept {
    switch (stage_) {
    case stage::looking: return "its folder in the store, and its backend";
    case stage::clearing: return "the backend to give up an old connection";
    case stage::waiting: return "the backend to be ready";
    case stage::negotiating: return "memory, grants and an event channel";
    case stage::publishing: return "the store to take the rings' keys";
    case stage::connecting: return "the backend to connect";
    case stage::serving: break;
    }
    return "nothing";
}

inline task<std::uint64_t> frontend::number_of(std::string_view key, std::uint64_t otherwise) {
    const auto value = co_await store_.read({backend_path(), key});
    co_return (value ? value->number() : std::unexpected(value.error())).value_or(otherwise);
}

/// In a transaction, so that a device that is just being removed does not come back as one key.
inline task<result<>> frontend::change_state(bus_state s, bool publishes) {
    const auto change = [this, s, publishes](store_transaction& t) -> task<result<>> {
        const char digit = static_cast<char>('0' + static_cast<unsigned>(s));
        const std::string_view text{&digit, 1};
        result<> done;
        if (const auto now = co_await t.read({path(), "state"}); !now)
            done = std::unexpected(now.error());
        else if (!publishes && now->view() == text)
            co_return done;
        if (done && publishes)
            done = co_await driver_.publish(*this, t);
        if (done)
            done = co_await t.write({path(), "state"}, text);
        co_return done;
    };
    co_return co_await store_.transact(change);
}

inline task<result<bus_state>> frontend::backend_state() {
    const auto value = co_await store_.read({backend_path(), "state"});
    if (!value)
        co_return std::unexpected(value.error());
    co_return detail::bus_state_of(value->number());
}

inline task<result<bus_state>> frontend::backend_in(bus_states wanted, bus_states fatal) {
    for (;;) {
        const auto s = co_await backend_state();
        if (!s || fatal.has(*s) || attempt_ != generation_)
            co_return std::unexpected(s || s.error() == errc::not_found ? errc::closed : s.error());
        if (wanted.has(*s))
            co_return *s;
        co_await changed_.wait();
    }
}

/// Reads who our backend is; watches its state.
inline task<result<>> frontend::find_backend() {
    const auto where = co_await store_.read({path(), "backend"});
    if (!where)
        co_return std::unexpected(where.error());
    const auto who = co_await store_.read({path(), "backend-id"});
    if (!who)
        co_return std::unexpected(who.error());
    const auto id = who->number();
    if (!id || *id >= DOMID_FIRST_RESERVED)
        co_return std::unexpected(errc::malformed);
    backend_id_ = static_cast<domid_t>(*id);
    if (backend_path() == where->view() && state_watch_)
        co_return result<>{};
    state_watch_.reset();
    backend_.clear();
    backend_ << where->view();
    if (backend_path() != where->view())
        co_return std::unexpected(errc::too_large);
    auto watch = co_await store_.watch({backend_path(), "state"}, changed_);
    if (!watch)
        co_return std::unexpected(watch.error());
    state_watch_ = std::move(*watch);
    co_return result<>{};
}

inline task<result<>> frontend::connect() {
    using enum bus_state;
    const auto failed = [](const auto& r) { return std::unexpected(r.error()); };

    stage_ = stage::looking;
    if (const auto r = co_await find_backend(); !r)
        co_return failed(r);
    if (co_await number_of("online", 1) == 0) // it is being removed, and waits for us to be closed
        co_return std::unexpected(errc::closed);

    stage_ = stage::clearing;
    const auto found = co_await backend_state();
    if (!found)
        co_return failed(found);
    if (!bus_states{unknown, initialising, init_wait, closed}.has(*found))
        if (const auto r = co_await step(closed, {closed, init_wait}, {}); !r)
            co_return failed(r);

    stage_ = stage::waiting;
    if (const auto r = co_await step(initialising, init_wait, closing); !r)
        co_return failed(r);

    stage_ = stage::negotiating;
    result<> done = co_await driver_.negotiate(*this);
    if (!done)
        co_return done;

    stage_ = stage::publishing;
    if (const auto r = co_await step(driver_.published, connected, {closing, closed}); !r)
        co_return failed(r);
    done = co_await driver_.begin(*this);
    if (done)
        done = co_await switch_to(connected);
    if (done)
        stage_ = stage::serving;
    co_return done;
}

/// Switches to a state, and waits for what the backend makes of it.
inline task<result<bus_state>> frontend::step(bus_state own, bus_states wanted, bus_states fatal) {
    const bool publishes = stage_ == stage::publishing;
    if (const auto r = co_await change_state(own, publishes); !r)
        co_return std::unexpected(r.error());
    if (publishes)
        stage_ = stage::connecting;
    co_return co_await backend_in(wanted, fatal);
}

inline task<> frontend::disconnect(std::uint32_t generation) {
    while (!driver_.disconnect()) {
        // Backends unmap when they are told that we are closing, if not before.
        (void)co_await switch_to(bus_state::closing);
        co_await loop_.sleep_for(std::chrono::milliseconds{20});
    }
    if (generation == generation_)
        (void)co_await switch_to(bus_state::closed);
}

inline task<> frontend::change() { co_await changed_.wait(); }

inline task<> frontend::run() {
    using namespace std::chrono_literals;
    for (duration pause = 50ms;;) {
        const std::uint32_t generation = attempt_ = generation_;
        if (!link_watch_) {
            auto watch = co_await store_.watch({path(), "backend"}, changed_);
            if (watch)
                link_watch_ = std::move(*watch);
        }
        result<> r = co_await connect();
        const bool was_up = r && generation == generation_;
        if (was_up) {
            up_ = true;
            failure_ = errc{};
            settled_.set();
            const instant since = loop_.now();
            while (generation == generation_ && !driver_.broken()) {
                const auto s = co_await backend_state();
                using enum bus_state;
                if (!s || !bus_states{connected, reconfiguring, reconfigured}.has(*s))
                    break;
                co_await changed_.wait();
            }
            up_ = false;
            if (loop_.now() - since > 1s)
                pause = 50ms;
        } else if (generation == generation_) {
            failure_ = r.error();
            settled_.set();
        }
        co_await disconnect(generation);
        if (generation != generation_)
            continue;
        // Not at once, so that two ends that disagree do not keep the domain busy; after an attempt that failed, when
        // something changes, or after a while, for what no watch tells. A backend that closed waits for us.
        co_await loop_.sleep_for(pause);
        pause = std::min<duration>(2 * pause, 1s);
        if (!was_up)
            (void)co_await with_timeout(loop_, change(), 10s);
    }
}

inline void frontend::resumed() noexcept {
    ++generation_;
    up_ = false;
    driver_.forget();
    changed_.set();
}

inline task<result<std::uint32_t>> find_device(xenstore& store, std::string_view kind, std::size_t order) {
    const auto names = co_await store.directory({"device", kind});
    if (!names)
        co_return std::unexpected(names.error());
    // The `order`th smallest number: the smallest that has as many below it.
    for (const std::string_view candidate : *names) {
        const auto number = store_number(candidate);
        if (!number || *number > 0xffffffff)
            continue;
        std::size_t below = 0;
        for (const std::string_view other : *names) {
            const auto n = store_number(other);
            below += n && *n < *number ? 1 : 0;
        }
        if (below == order)
            co_return static_cast<std::uint32_t>(*number);
    }
    co_return std::unexpected(errc::not_found);
}

} // namespace mirage::xen
