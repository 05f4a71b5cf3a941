// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/xen/public.hpp"
#include "mirage/xen/xenstore/request.hpp"
#include <type_traits>

namespace mirage::xen {

/// A request that a coroutine waits for: `co_await` it, once, in the expression that makes it.
template <class Value>
class [[nodiscard]] store_operation : public store_request {
    xenstore& home_;

    static void resume(operation& self) noexcept { static_cast<store_operation&>(self).waiting_.resume(); }

public:
    [[gnu::noinline]] store_operation(xenstore& home, std::uint32_t transaction, std::uint32_t epoch, std::uint16_t type,
                    const store_path& path, std::string_view value = {}) noexcept
        : store_request{&store_operation::resume, type, path, value}, home_{home} {
        transaction_ = transaction;
        epoch_ = epoch;
        wants_value_ = !std::is_void_v<Value>;
    }

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) noexcept;
    [[gnu::noinline]] result<Value> await_resume() noexcept {
        if (failed())
            return std::unexpected(failure_);
        if constexpr (std::is_void_v<Value>)
            return {};
        else
            return Value{std::move(value_)};
    }
};

/// What can be done with nodes, in a transaction or outside of any. All awaitable. Errors: errc::not_found: no such node;
/// errc::refused: it is not for us; errc::invalid_argument: no path; errc::no_buffers: our quota in the store is used up,
/// or memory is short; errc::too_large: more than 4096 octets; errc::io: the store breaks the protocol, and cannot be
/// reached any more; errc::closed: there is no store.
class store_operations {
    friend class xenstore;
    xenstore& home_;
    std::uint32_t transaction_ = 0;
    std::uint32_t epoch_ = 0;

protected:
    explicit store_operations(xenstore& home, std::uint32_t transaction = 0, std::uint32_t epoch = 0) noexcept
        : home_{home}, transaction_{transaction}, epoch_{epoch} {}

public:
    using reading = store_operation<store_value>;
    using listing = store_operation<store_names>;
    using change = store_operation<void>;

    reading read(const store_path& path) noexcept { return {home_, transaction_, epoch_, XS_READ, path}; }
    /// The names in a folder.
    listing directory(const store_path& path) noexcept { return {home_, transaction_, epoch_, XS_DIRECTORY, path}; }
    /// Gives a node its value; makes it, and the folders it is in, when it is not there.
    change write(const store_path& path, std::string_view value) noexcept {
        return {home_, transaction_, epoch_, XS_WRITE, path, value};
    }
    /// Makes an empty node, when it is not there.
    change mkdir(const store_path& path) noexcept { return {home_, transaction_, epoch_, XS_MKDIR, path}; }
    /// Removes a node and all below it.
    change remove(const store_path& path) noexcept { return {home_, transaction_, epoch_, XS_RM, path}; }
};

} // namespace mirage::xen
