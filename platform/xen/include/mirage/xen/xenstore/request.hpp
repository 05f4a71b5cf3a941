// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/scheduler.hpp"
#include "mirage/xen/xenstore/path.hpp"
#include "mirage/xen/xenstore/value.hpp"
#include <array>
#include <coroutine>

namespace mirage::xen {

class xenstore;

/// One request to the store, on its way: an intrusive node that lives in whatever waits for the reply. Dying withdraws
/// it; a reply that comes later is dropped.
class store_request : public operation {
    friend class xenstore;

protected:
    std::array<std::string_view, 5> parts_{}; ///< of the payload, in order; borrowed until the reply is there
    store_value value_;                       ///< of the reply, when it is wanted
    std::coroutine_handle<> waiting_;
    std::uint32_t id_ = 0;
    std::uint32_t transaction_ = 0; ///< 0: in none
    std::uint32_t epoch_ = 0;       ///< the connection that the transaction was started on
    std::uint16_t type_ = 0;        ///< XS_…
    errc failure_{};                ///< errc{}: none
    bool wants_value_ = false;

    static constexpr std::string_view nul{"", 1}; // NOLINT(bugprone-string-constructor): the octet that ends every literal

    explicit store_request(void (*complete)(operation&) noexcept) noexcept : operation{complete} {}

    std::size_t length() const noexcept {
        std::size_t n = 0;
        for (const auto& part : parts_)
            n += part.size();
        return n;
    }

    /// A request about one node.
    [[gnu::noinline]] store_request(void (*complete)(operation&) noexcept, std::uint16_t type, const store_path& path,
                                    std::string_view value) noexcept
        : operation{complete}, parts_{path.folder, path.separator(), path.name, nul, value}, type_{type} {}
    [[gnu::noinline]] ~store_request() = default;

public:
    bool failed() const noexcept { return failure_ != errc{}; }
};

} // namespace mirage::xen
