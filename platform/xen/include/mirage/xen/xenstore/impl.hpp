// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/xen/xenstore.hpp"
#include <cstring>
#include <new>

// How the store's connection works. Kept out of line: it runs a few times in the life of a domain.
namespace mirage::xen {

template <class Value>
void store_operation<Value>::await_suspend(std::coroutine_handle<> h) noexcept {
    waiting_ = h;
    home_.submit(*this);
}

inline xenstore::~xenstore() {
    // Owners are gone by now; what they have left behind is still on its way.
    for (auto* const list : {&queued_, &sent_})
        while (store_request* const r = list->pop_front())
            if (r->type_ == XS_WATCH || r->type_ == XS_UNWATCH || r->type_ == XS_TRANSACTION_START
                || r->type_ == XS_TRANSACTION_END)
                static_cast<store_session*>(r)->destroy();
}

inline task<> xenstore::serve() {
    for (;;) {
        turn();
        co_await doorbell_.wait();
    }
}

/// Ends the wait for a reply; the loop runs what waited.
[[gnu::noinline]] inline void xenstore::end(store_request& r, errc failure) noexcept {
    r.failure_ = failure;
    loop_.post(r);
}

[[gnu::noinline]] inline void xenstore::submit(store_request& r) noexcept {
    r.failure_ = errc{};
    // A NUL in a path would make two texts of one.
    bool whole = true;
    if (r.parts_[3] == store_request::nul)
        for (std::size_t i = 0; i < 3; ++i)
            whole = whole && r.parts_[i].find('\0') == std::string_view::npos;
    if (!whole)
        return end(r, errc::invalid_argument);
    if (r.length() > XENSTORE_PAYLOAD_MAX)
        return end(r, errc::too_large);
    if (unusable())
        return end(r, broken_ ? errc::io : errc::closed);
    if (r.transaction_ != 0 && r.epoch_ != epoch_now_)
        return end(r, errc::would_block);
    queued_.push_back(r);
    if (!waiting_ && !send())
        lose_faith();
}

/// Does what can be done now.
[[gnu::noinline]] inline void xenstore::turn() noexcept {
    if (broken_)
        return;
    if (waiting_) {
        if (!ring_.connected())
            return;
        waiting_ = false;
        ring_.synchronise();
        begin_again();
        return;
    }
    if (!receive() || !send())
        lose_faith();
}

/// Takes all messages that are there. False: the store breaks the protocol.
inline bool xenstore::receive() noexcept {
    for (bool took = false;; took = true) {
        if (!ring_.look())
            return false;
        if (ring_.available() == 0) {
            if (took)
                notify(); // it may wait for room
            return true;
        }
        for (bool more = true; more;) {
            switch (reader_.advance(ring_)) {
            case reply_reader::step::starved: more = false; break;
            case reply_reader::step::header: begin_message(); break;
            case reply_reader::step::message: end_message(); break;
            case reply_reader::step::malformed: return false;
            }
        }
        ring_.release();
    }
}

inline store_request* xenstore::find(std::uint32_t id) noexcept {
    for (store_request& r : sent_)
        if (r.id_ == id)
            return &r;
    return nullptr;
}

inline void xenstore::begin_message() noexcept {
    const xsd_sockmsg& h = reader_.header();
    constexpr std::uint32_t tail = token_size + 2;
    if (h.type == XS_ERROR)
        return reader_.keep(text_);
    if (h.type == XS_WATCH_EVENT)
        return reader_.keep(text_, h.len > tail ? h.len - tail : h.len);
    const store_request* const r = find(h.req_id);
    if (r != nullptr && r->type_ == h.type && r->wants_value_ && incoming_.make_room(h.len))
        reader_.keep({incoming_.data(), incoming_.size()});
}

inline void xenstore::end_message() noexcept {
    const xsd_sockmsg& h = reader_.header();
    if (h.type == XS_WATCH_EVENT)
        return ring_watch();
    store_request* const r = find(h.req_id);
    if (r == nullptr)
        return; // whoever asked is gone
    errc failure{};
    if (h.type == XS_ERROR) {
        const std::string_view name{text_.data(), std::min<std::size_t>(h.len, text_.size())};
        failure = store_error(name.substr(0, name.find('\0')));
    } else if (h.type != r->type_) {
        failure = errc::malformed;
    } else if (r->wants_value_) {
        if (incoming_.size() == h.len)
            r->value_ = std::exchange(incoming_, {});
        else
            failure = errc::no_buffers;
    }
    end(*r, failure);
}

/// An event: its payload is the path, NUL, our token, NUL.
inline void xenstore::ring_watch() noexcept {
    if (reader_.header().len <= token_size + 2 || text_[0] != '\0' || text_[token_size + 1] != '\0')
        return;
    for (store_session& w : watches_)
        if (std::memcmp(w.parts_[0].data() + w.parts_[0].size() - token_size - 1, text_.data() + 1, token_size) == 0)
            return w.fires_->set();
}

/// Writes what waits as far as the ring takes it. False: the store breaks the protocol.
inline bool xenstore::send() noexcept {
    bool wrote = false;
    for (;;) {
        const auto room = ring_.room();
        if (!room)
            return false;
        if (outgoing_.size() != 0) {
            const auto n = std::min<std::size_t>(*room, outgoing_.size() - left_);
            if (n == 0)
                break;
            ring_.write(outgoing_.data() + left_, n);
            wrote = true;
            left_ += static_cast<std::uint32_t>(n);
            if (left_ == outgoing_.size())
                (void)outgoing_.make_room(0);
            continue;
        }
        if (queued_.empty())
            break;
        store_request& r = queued_.front();
        const auto length = static_cast<std::uint32_t>(r.length()), total = length + header_size;
        const xsd_sockmsg header{.type = r.type_, .req_id = ++last_id_, .tx_id = r.transaction_, .len = length};
        // A message that has begun has to end, whether its owner still lives or not: it goes as a whole, or is copied.
        char* copy = nullptr;
        if (total > store_ring::capacity) {
            if (!outgoing_.make_room(total)) {
                end(r, errc::no_buffers);
                continue;
            }
            copy = outgoing_.data();
            left_ = 0;
        } else if (total > *room) {
            break;
        }
        const auto put = [&](const void* octets, std::size_t n) {
            if (copy == nullptr)
                ring_.write(static_cast<const char*>(octets), n);
            else if (n != 0)
                copy = static_cast<char*>(std::memcpy(copy, octets, n)) + n;
        };
        put(&header, sizeof header);
        for (const auto& part : r.parts_)
            put(part.data(), part.size());
        wrote = wrote || copy == nullptr;
        r.id_ = header.req_id;
        if (r.transaction_ == 0)
            r.epoch_ = epoch_now_;
        sent_.push_back(r);
    }
    if (wrote) {
        ring_.send();
        notify();
    }
    return true;
}

/// On an empty ring: everything that has no answer is sent again, but for what hangs on a transaction.
[[gnu::noinline]] inline void xenstore::begin_again() noexcept {
    ++epoch_now_;
    reader_.reset();
    (void)outgoing_.make_room(0);
    intrusive_list<store_request> before;
    before.splice_back(sent_);
    before.splice_back(queued_);
    // A watch that was just answered, too, and is about to tell its owner so: it is on the loop's list, and leaves it.
    for (store_session& w : watches_)
        if (w.phase_ != store_session::phase::over) {
            w.phase_ = store_session::phase::opening;
            w.failure_ = errc{};
            queued_.push_back(w);
        }
    while (store_request* const r = before.pop_front()) {
        if (r->transaction_ != 0 || r->type_ == XS_UNWATCH)
            end(*r, errc::would_block);
        else
            queued_.push_back(*r);
    }
    turn();
}

/// The store has written what it cannot have meant: starts again if it can, and is done with it otherwise.
[[gnu::noinline]] inline void xenstore::lose_faith() noexcept {
    if (ring_.can_reconnect()) {
        waiting_ = true;
        ring_.ask_to_reconnect();
        notify();
        return;
    }
    broken_ = true;
    for (auto* const list : {&sent_, &queued_})
        while (!list->empty())
            end(list->front(), errc::io);
    for (store_session& w : watches_)
        w.fires_->set();
}

/// `text`: octets behind the object.
[[gnu::noinline]] inline store_session* xenstore::make_session(std::size_t text) noexcept {
    void* const memory =
        sessions_ < most_sessions ? ::operator new(sizeof(store_session) + text, std::nothrow) : nullptr;
    if (memory == nullptr)
        return nullptr;
    ++sessions_;
    return new (memory) store_session{*this};
}

/// On the list, with its path and token behind it, and not sent yet. Not part of the coroutine: there, it is more code.
[[gnu::noinline]] inline store_session* xenstore::make_watch(const store_path& path, event& changed) noexcept {
    const std::size_t size = path.size() + 1 + token_size + 1;
    store_session* const session = make_session(size);
    if (session == nullptr)
        return nullptr;
    session->fires_ = &changed;
    char* at = session->text();
    for (const std::string_view part : {path.folder, path.separator(), path.name, store_request::nul})
        at = std::copy_n(part.data(), part.size(), at);
    session->number_ = ++last_token_;
    for (unsigned i = 0; i < token_size; ++i)
        at[i] = "0123456789abcdef"[session->number_ >> (28 - 4 * i) & 15];
    at[token_size] = '\0';
    session->parts_[0] = {session->text(), size};
    watches_.push_back(*session);
    return session;
}

inline task<result<>> xenstore::watch(store_watch& into, store_path path, event& changed) {
    into.reset();
    if (!path.valid())
        co_return std::unexpected(errc::invalid_argument);
    store_watch owner{make_watch(path, changed)};
    if (!owner)
        co_return std::unexpected(errc::no_buffers);
    const result<> done = co_await answer{*owner.session_, XS_WATCH};
    if (done)
        into = std::move(owner);
    co_return done;
}

inline void store_session::destroy() noexcept {
    --home_.sessions_;
    this->~store_session();
    ::operator delete(static_cast<void*>(this));
}

inline task<result<>> xenstore::transact_by(void* work, task<result<>> (*call)(void*, store_transaction&)) {
    result<> done;
    for (unsigned i = 0; i < attempts; ++i) {
        {
            store_session_owner owner{make_session(0)};
            if (!owner)
                co_return std::unexpected(errc::no_buffers);
            store_session& session = *owner.session_;
            done = co_await answer{session, XS_TRANSACTION_START};
            if (done) {
                store_transaction transaction{*this, session.number_, session.epoch_};
                done = co_await call(work, transaction);
                if (done)
                    done = co_await answer{session, XS_TRANSACTION_END};
                if (done || done.error() != errc::would_block)
                    co_return done;
                continue;
            }
        }
        // The store has only so many of a domain's at a time (ten, usually): others of ours are about to end.
        if (done.error() != errc::no_buffers)
            co_return done;
        co_await loop_.sleep_for(std::chrono::milliseconds{10});
    }
    co_return done;
}

inline task<result<>> store_exchange::operator()(store_transaction& t) {
    auto now = co_await t.read(path);
    if (!now)
        co_return std::unexpected(now.error());
    was = std::move(*now);
    result<> done;
    if (more != nullptr)
        done = co_await more(argument, t);
    else if (was.view() == text)
        co_return done;
    if (done)
        done = co_await t.write(path, text);
    co_return done;
}

inline void xenstore::answer::await_suspend(std::coroutine_handle<> h) const noexcept {
    session.waiting_ = h;
    if (type == XS_TRANSACTION_END)
        session.close("T");
    else
        session.ask(type);
}

/// Sends its first request.
inline void store_session::ask(std::uint16_t type) noexcept {
    type_ = type;
    phase_ = phase::opening;
    if (type == XS_TRANSACTION_START) {
        parts_[0] = nul;
        wants_value_ = true;
    }
    home_.submit(*this);
}

/// Sends its last request. `how`: a transaction's end, "T" to keep what was done, "F" to undo it.
inline void store_session::close(std::string_view how) noexcept {
    phase_ = phase::closing;
    wants_value_ = false;
    if (type_ == XS_WATCH) {
        type_ = XS_UNWATCH;
    } else {
        type_ = XS_TRANSACTION_END;
        transaction_ = number_;
        parts_[0] = how;
        parts_[1] = nul;
    }
    home_.submit(*this);
}

/// A reply is there, or there will be none.
[[gnu::noinline]] inline void store_session::settle() noexcept {
    if (phase_ == phase::opening && !failed() && type_ == XS_TRANSACTION_START) {
        const std::string_view text = value_.view();
        const auto id = store_number(text.substr(0, text.find('\0')));
        if (id && *id != 0 && *id <= 0xffffffff)
            number_ = static_cast<std::uint32_t>(*id);
        else
            failure_ = errc::malformed;
    }
    phase_ = phase_ == phase::opening && !failed() ? phase::open : phase::over;
    if (!owned_) {
        abandon();
    } else if (waiting_) {
        std::exchange(waiting_, nullptr).resume();
    } else if (failed() && fires_ != nullptr) {
        fires_->set(); // a watch that could not be registered again: let its owner look
    }
}

[[gnu::noinline]] inline void store_session::abandon() noexcept {
    owned_ = false;
    fires_ = nullptr;
    session_hook::unlink();
    if (phase_ == phase::open)
        close("F");
    else if (phase_ == phase::over)
        destroy();
}

} // namespace mirage::xen
