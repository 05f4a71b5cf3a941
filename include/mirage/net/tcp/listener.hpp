// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/connection.hpp"
#include "mirage/net/tcp/stream.hpp"

namespace mirage::tcp {

/// A port that accepts connections. LISTEN is a state of this object, never of a connection. Owned by the user,
/// neither copied nor moved; destroying it closes the port and resets what was not accepted yet.
template <class Layer>
class listener : public list_hook {
    using connection_type = typename Layer::connection_type;

    Layer& layer_;
    std::uint16_t port_;
    std::size_t backlog_;
    bool (*admits_)(const typename Layer::endpoint_type& peer) noexcept;
    std::size_t half_open_count_ = 0, ready_count_ = 0;
    instant cookies_until_ = instant::min(); ///< no cookie that was sent is valid then
    intrusive_list<connection_type, queue_hook> half_open_, ready_;
    intrusive_list<operation> acceptors_;
    errc failed_{};

    friend Layer;

    struct accept_awaiter : resumption {
        listener& from;
        explicit accept_awaiter(listener& l) noexcept : from{l} {}
        bool await_ready() const noexcept { return !from.ready_.empty() || from.failed_ != errc{}; }
        void await_suspend(std::coroutine_handle<> h) noexcept {
            this->set(h);
            from.acceptors_.push_back(*this);
        }
        result<stream<Layer>> await_resume() noexcept {
            if (from.ready_.empty())
                return std::unexpected(from.failed_ == errc{} ? errc::would_block : from.failed_);
            return from.layer_.accepted(from);
        }
    };

public:
    /// Says of a peer whether it may connect; its SYN is ignored otherwise.
    using filter = bool (*)(const typename Layer::endpoint_type& peer) noexcept;

    /// Opens `port` on `layer`, keeping up to `backlog` connections that nobody has accepted yet, and as many again
    /// half open. With `admits`, of those peers alone for which it is true. When the port is taken every accept() fails with
    /// errc::in_use: see status().
    listener(Layer& layer, std::uint16_t port, std::size_t backlog = 128, filter admits = nullptr) noexcept
        : layer_{layer}, port_{port}, backlog_{backlog}, admits_{admits} {
        if (!layer.open(*this))
            failed_ = errc::in_use;
    }
    ~listener() { layer_.close(*this); }

    std::uint16_t port() const noexcept { return port_; }
    result<> status() const noexcept { return failed_ == errc{} ? result<>{} : std::unexpected(failed_); }

    /// Awaitable: the next connection that a peer has opened, as result<stream>. errc::in_use.
    auto accept() noexcept { return accept_awaiter{*this}; }
};

} // namespace mirage::tcp
