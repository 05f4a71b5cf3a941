// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/app/http/router.hpp"
#include "mirage/app/http/session.hpp"
#include "mirage/core/nursery.hpp"
#include "mirage/device/clock.hpp"

namespace mirage::http {

/// An HTTP/1.1 server (RFC 9110, RFC 9112) over streams of any kind. `Handler` is a router, or any callable that
/// http::invoke() can call. Everything given by reference must outlive the server, and the server its tasks.
template <clock Clock, class Handler>
class server {
    shared_state shared_;
    const Clock& clock_;
    Handler& handler_;

public:
    /// `pages`: a pool of buffers of at least 1024 octets; one per connection that is being answered is enough.
    server(scheduler& loop, const Clock& clk, buffer_pool& pages, Handler& handler,
           const http::limits& l = {}) noexcept
        : shared_{loop, pages, l}, clock_{clk}, handler_{handler} {
        check(pages.size() != 0 && pages.buffer_size() >= 1024, "http::server: no memory for pages of 1024 octets");
    }

    http::counters& counters() noexcept { return shared_.counters; }
    /// Where the access log goes; nowhere, as long as this is not called.
    void log_to(octet_sink sink) noexcept { shared_.log = access_log{sink}; }

    /// Accepts connections and serves each in a task of `tasks`, until the listener is closed or cannot listen.
    template <class Listener>
    task<> run(Listener& listener, nursery& tasks) {
        for (;;) {
            while (shared_.counters.open.value() >= shared_.limits.connections)
                co_await shared_.vacancy.wait();
            auto accepted = co_await listener.accept();
            if (!accepted) {
                if (accepted.error() != errc::no_buffers && accepted.error() != errc::would_block)
                    co_return;
                co_await shared_.loop.sleep_for(std::chrono::milliseconds{10}); // memory is short: it comes back
                continue;
            }
            (void)tasks.spawn(serve(std::move(*accepted))); // without memory for it the connection just ends
        }
    }

    /// Serves one connection until it ends. Takes the stream over.
    template <async::async_stream Stream>
    task<> serve(Stream stream) {
        session<Stream> here{shared_, std::move(stream)};
        auto& c = here.c;
        for (;;) {
            // 1. A head. Responses to what came before it go out when we have to wait for it.
            here.next();
            while (here.needs_octets()) {
                bool well = true;
                if (!c.out.empty())
                    well = here.sent(co_await c.flush());
                if (!well || !here.prepare_to_wait())
                    break;
                well = here.received(co_await c.receive(here.deadline()));
                if (!well)
                    break;
            }
            if (here.ends_without_request())
                break;

            // 2. Whom it is for.
            body_reader<connection<Stream>> asked{c, here.understand()};
            if (here.must_make_room()) {
                const bool well = here.sent(co_await c.make_room(here.has_body()));
                if (!well)
                    break;
            }

            // 3. The answer.
            const auto fields = shared_.date.fields(shared_.loop.now(), clock_);
            body_writer<connection<Stream>> answer{c, asked, {fields, shared_.date.wall(), here.may_stay()}};
            {
                task<> rest;
                if (!here.answered(answer))
                    rest = invoke(handler_, asked, answer);
                if (rest || here.has_body())
                    c.hold_head();
                if (rest)
                    co_await rest;
            }

            // 4. What is left of the request's body.
            if (!here.finish(asked, answer))
                break;
            if (here.must_send(answer)) {
                const bool well = here.sent(co_await c.flush());
                if (!well)
                    break;
                if (answer.keep_alive()) {
                    bool more = true;
                    for (const auto most = here.most_to_drop(); more && here.drops_body(most);)
                        more = here.dropped(co_await asked.read());
                }
            }

            // 5. And on.
            if (!here.goes_on(answer))
                break;
            if (here.count() % burst == 0)
                co_await shared_.loop.yield(); // a peer that pipelines without end does not keep out the others
        }
        // RFC 9112 section 9.6: a reset would destroy the response on its way; let the peer see it first.
        bool more = here.close();
        for (std::uint64_t dropped = 0; more && dropped < shared_.limits.drain;)
            more = here.lingers(co_await c.receive(here.deadline()), dropped);
    }

private:
    static constexpr std::uint32_t burst = 64;
};

} // namespace mirage::http
