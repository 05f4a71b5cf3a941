// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/event.hpp"
#include "mirage/core/scheduler.hpp"
#include "mirage/xen/grants.hpp"
#include "mirage/xen/public.hpp"
#include "mirage/xen/resume.hpp"
#include "mirage/xen/xenstore.hpp"
#include <concepts>

namespace mirage::xen {

/// Pages lent to other domains. `grant`: the page is aligned to its size and stays where it is until `end` has been
/// true; false says that the peer has it mapped still, and neither the page nor the reference is free.
template <class G>
concept granting = requires(G& g, domid_t peer, const void* page, access allowed, grant_ref_t ref) {
    { g.grant(peer, page, allowed) } noexcept -> std::same_as<result<grant_ref_t>>;
    { g.end(ref) } noexcept -> std::same_as<bool>;
    { g.available() } noexcept -> std::convertible_to<std::size_t>;
};

/// Event channels. `attach`: the event is set each time the port has fired, until `close`.
template <class E>
concept signalling = requires(E& s, domid_t peer, evtchn_port_t port, event& e) {
    { s.allocate(peer) } noexcept -> std::same_as<result<evtchn_port_t>>;
    { s.attach(port, e) } noexcept -> std::same_as<result<>>;
    s.notify(port);
    s.close(port);
};

/// What a frontend stands on: the domain it runs in. In a guest that is the platform; in a test, a domain in memory with
/// backends that behave well or badly.
///
/// `on_resume` enrols what is done when the domain goes on elsewhere: all grants and channels are gone by then.
template <class D>
concept domain = requires(D& d, resume_hook& hook) {
    { d.loop() } noexcept -> std::same_as<scheduler&>;
    { d.grants() } noexcept -> granting;
    { d.events() } noexcept -> signalling;
    { d.store() } noexcept -> std::same_as<xenstore&>;
    { d.now() } noexcept -> std::same_as<instant>;
    d.on_resume(hook);
};

} // namespace mirage::xen
