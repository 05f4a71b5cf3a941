// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/event.hpp"
#include "mirage/xen/xenstore/request.hpp"

namespace mirage::xen {

struct session_hook : list_hook {};

/// Something that the store keeps for us, which has to be ended by a request of its own: a watch or a transaction. Lives
/// on the heap until the store knows that it has ended, however early its owner goes: so nothing stays behind there.
class store_session : public store_request, public session_hook {
    friend class xenstore;
    enum class phase : std::uint8_t { opening, open, closing, over };

    xenstore& home_;
    event* fires_ = nullptr;   ///< a watch's
    std::uint32_t number_ = 0; ///< a watch's token, a transaction's id
    phase phase_ = phase::opening;
    bool owned_ = true;

    explicit store_session(xenstore& home) noexcept : store_request{&store_session::completed}, home_{home} {}
    void ask(std::uint16_t type) noexcept;
    void close(std::string_view how) noexcept;
    void settle() noexcept;
    void destroy() noexcept;
    static void completed(operation& self) noexcept { static_cast<store_session&>(self).settle(); }
    char* text() noexcept { return reinterpret_cast<char*>(this + 1); }

public:
    /// Nobody is interested any more: ends it, as soon as that can be.
    void abandon() noexcept;
};

/// Owns a session; move-only.
class store_session_owner {
    friend class xenstore;

protected:
    store_session* session_ = nullptr;
    explicit store_session_owner(store_session* s) noexcept : session_{s} {}

public:
    store_session_owner() noexcept = default;
    store_session_owner(store_session_owner&& other) noexcept : session_{std::exchange(other.session_, nullptr)} {}
    store_session_owner& operator=(store_session_owner&& other) noexcept {
        std::swap(session_, other.session_);
        return *this;
    }
    ~store_session_owner() { reset(); }
    void reset() noexcept {
        if (session_ != nullptr)
            std::exchange(session_, nullptr)->abandon();
    }
    explicit operator bool() const noexcept { return session_ != nullptr; }
};

} // namespace mirage::xen
