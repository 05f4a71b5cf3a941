// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/xen/xenbus.hpp"

// The frontend's state machine, out of line: it runs when devices come and go.
namespace mirage::xen {

namespace detail {
/// `number`: what the node says; the greatest there is when it is not there, or says no number.
constexpr bus_state bus_state_of(std::uint64_t number) noexcept {
    return number <= static_cast<unsigned>(bus_state::reconfigured) ? static_cast<bus_state>(number)
           : ~number == 0                                           ? bus_state::absent
                                                                    : bus_state::unknown;
}

/// The `order`th smallest of the numbers among `names`; more than 32 bits when there are fewer.
[[gnu::noinline]] inline std::uint64_t nth_device(const store_names& names, std::size_t order) noexcept {
    // The smallest that has as many below it.
    for (const std::string_view candidate : names) {
        const auto number = store_number(candidate);
        if (!number || *number > 0xffffffff)
            continue;
        std::size_t below = 0;
        for (const std::string_view other : names) {
            const auto n = store_number(other);
            below += n && *n < *number ? 1 : 0;
        }
        if (below == order)
            return *number;
    }
    return ~std::uint64_t{0};
}
} // namespace detail

inline task<result<>> frontend::connect(std::size_t order) {
    const auto names = co_await store_.directory({"device", kind_});
    if (!names)
        co_return std::unexpected(names.error());
    const std::uint64_t number = detail::nth_device(*names, order);
    if (number > 0xffffffff)
        co_return std::unexpected(errc::not_found);
    const auto started = start(static_cast<std::uint32_t>(number));
    if (!started)
        co_return started;
    co_await settled_.wait();
    co_return outcome();
}

inline result<> frontend::start(std::uint32_t number) noexcept {
    number_ = number;
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
    co_return outcome();
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

inline task<std::uint64_t> frontend::number_at(store_path path, std::uint64_t otherwise) {
    const auto value = co_await store_.read(path);
    co_return (value ? value->number() : std::unexpected(value.error())).value_or(otherwise);
}

/// In a transaction, so that a device that is just being removed does not come back as one key.
inline task<result<>> frontend::change_state(bus_state s, bool publishes) {
    state_change_.path = {path(), "state"};
    state_change_.text = std::string_view{"0123456789"}.substr(static_cast<unsigned>(s), 1);
    state_change_.more = nullptr;
    if (publishes) {
        state_change_.argument = this;
        state_change_.more = [](void* self, store_transaction& t) {
            auto& f = *static_cast<frontend*>(self);
            return f.driver_.publish(f, t);
        };
    }
    return store_.transact(state_change_);
}

/// Reads who our backend is; watches all that it says.
inline task<result<>> frontend::find_backend() {
    const auto where = co_await store_.read({path(), "backend"});
    if (!where)
        co_return std::unexpected(where.error());
    const std::uint64_t id = co_await number_at({path(), "backend-id"}, nothing);
    if (id >= DOMID_FIRST_RESERVED)
        co_return std::unexpected(errc::malformed);
    backend_id_ = static_cast<domid_t>(id);
    if (backend_path() == where->view() && backend_watch_)
        co_return result<>{};
    backend_.clear();
    backend_ << where->view();
    if (backend_path() != where->view())
        co_return std::unexpected(errc::too_large);
    co_return co_await store_.watch(backend_watch_, backend_path(), changed_);
}

/// The work of a stage.
[[gnu::noinline]] inline task<result<>> frontend::work_of(enum stage s) {
    using enum bus_state;
    switch (s) {
    case stage::looking: return find_backend();
    case stage::clearing: return step(closed, {closed, init_wait}, {});
    case stage::waiting: return step(initialising, init_wait, closing);
    case stage::negotiating: return driver_.negotiate(*this);
    case stage::publishing: return step(driver_.published, connected, {closing, closed});
    case stage::connecting: return driver_.attend(*this, true);
    case stage::serving: break;
    }
    return switch_to(connected);
}

/// Goes from stage to stage. One place that awaits serves all of them: each would be code of its own.
inline task<result<>> frontend::attempt() {
    using enum bus_state;
    for (unsigned next = 0;; ++next) {
        const auto now = static_cast<enum stage>(next);
        if (now != stage::serving)
            stage_ = now;
        const result<> done = co_await work_of(now);
        if (!done)
            co_return done;
        if (now == stage::serving)
            break;
        if (now != stage::looking)
            continue;
        if (co_await number_of("online", 1) == 0) // it is being removed, and waits for us to be closed
            co_return std::unexpected(errc::closed);
        const bus_state found = detail::bus_state_of(co_await number_of("state", nothing));
        if (found == absent)
            co_return std::unexpected(errc::not_found);
        if (bus_states{unknown, initialising, init_wait, closed}.has(found))
            ++next; // nothing to clear
    }
    stage_ = stage::serving;
    co_return result<>{};
}

/// Switches to a state, and waits until the backend is in one of the states `wanted`. errc::closed: it got into one of
/// `fatal` before, is gone, or the domain was resumed elsewhere meanwhile.
inline task<result<>> frontend::step(bus_state own, bus_states wanted, bus_states fatal) {
    const bool publishes = stage_ == stage::publishing;
    const result<> changed = co_await change_state(own, publishes);
    if (!changed)
        co_return changed;
    if (publishes)
        stage_ = stage::connecting;
    for (;;) {
        const bus_state s = detail::bus_state_of(co_await number_of("state", nothing));
        if (s == bus_state::absent || fatal.has(s) || attempt_ != generation_)
            co_return std::unexpected(errc::closed);
        if (wanted.has(s))
            co_return result<>{};
        co_await changed_.wait();
    }
}

inline task<> frontend::run() {
    using namespace std::chrono_literals;
    for (duration pause = 50ms;;) {
        const std::uint32_t generation = attempt_ = generation_;
        if (!link_watch_)
            (void)co_await store_.watch(link_watch_, {path(), "backend"}, changed_);
        result<> r = co_await attempt();
        const bool was_up = r && generation == generation_;
        if (was_up) {
            up_ = true;
            failure_ = errc{};
            settled_.set();
            const instant since = loop_.now();
            for (;;) {
                using enum bus_state;
                co_await changed_.wait();
                if (generation != generation_ || driver_.broken())
                    break;
                if (!bus_states{connected, reconfiguring, reconfigured}.has(
                        detail::bus_state_of(co_await number_of("state", nothing))))
                    break;
                (void)co_await driver_.attend(*this, false);
            }
            up_ = false;
            if (loop_.now() - since > 1s)
                pause = 50ms;
        } else if (generation == generation_) {
            failure_ = r.error();
            settled_.set();
        }
        // Not at once again, so that two ends that disagree do not keep the domain busy; after an attempt that failed, when
        // something changes, or after a while, for what no watch tells. A backend that closed waits for us, and one that has
        // pages mapped unmaps them when it is told that we are closing, if not before.
        for (bool free = false; !free;) {
            free = driver_.disconnect();
            if (free && generation != generation_)
                break;
            (void)co_await switch_to(free ? bus_state::closed : bus_state::closing);
            co_await loop_.sleep_for(free ? pause : duration{20ms});
        }
        if (generation != generation_)
            continue;
        pause = std::min<duration>(2 * pause, 1s);
        if (!was_up) {
            loop_.arm(reminder_, loop_.now() + 10s);
            co_await changed_.wait();
            reminder_.disarm();
        }
    }
}

inline void frontend::resumed() noexcept {
    ++generation_;
    up_ = false;
    driver_.forget();
    changed_.set();
}

} // namespace mirage::xen
