// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/dhcp_lease.hpp"
#include "mirage/wire/dhcp_message.hpp"
#include <algorithm>
#include <array>
#include <string_view>

namespace mirage::net {

/// The states of RFC 2131 section 4.4, figure 5; `rebooting` is INIT-REBOOT and REBOOTING in one.
enum class dhcp_state : std::uint8_t {
    stopped,
    init,       ///< waits a little before it asks
    selecting,  ///< DHCPDISCOVER sent, waits for an offer
    requesting, ///< DHCPREQUEST for an offer sent
    rebooting,  ///< DHCPREQUEST for an address of old sent
    bound,
    renewing,  ///< after T1: asks the server of the lease, by unicast
    rebinding, ///< after T2: asks any server, by broadcast
};

/// What has become of the lease in a step.
enum class dhcp_event : std::uint8_t {
    none,
    bound,   ///< lease() is new: configure the interface, and see whether the address is free (RFC 5227)
    renewed, ///< lease() lasts longer; router or servers may have changed
    lost,    ///< stop using the address at once
};

/// A message to send from port 68 of `source` to port 67 of `destination`.
struct dhcp_send {
    wire::dhcp_client_message message{};
    ipv4_address source{};
    ipv4_address destination{};
};

/// The result of a step: what to send, if anything, and what to tell the rest of the stack.
struct dhcp_step {
    std::optional<dhcp_send> send{};
    dhcp_event event = dhcp_event::none;
};

/// Who asks.
struct dhcp_identity {
    mac_address hardware{};
    std::uint32_t iaid = 0; ///< tells this host's interfaces apart, the same after every boot (RFC 4361)
    std::string_view host_name{}; ///< static text, or empty
    bool broadcast = false;       ///< ask for answers by broadcast (RFC 2131 section 4.1)
};

/// Nothing but what every lease has.
struct no_dhcp_extras {
    static constexpr std::array<wire::dhcp_option, 0> parameters{};
    constexpr void read(const wire::dhcp_view&) const noexcept {}
};

/// A DHCPv4 client: RFC 2131 with the identifier of RFC 4361. Pure: time and randomness come in, messages go
/// out.
///
/// Takes the first offer that it can use. At start it asks at once, where RFC 2131 section 4.4.1 would have
/// it wait for 1 to 10 s: an appliance is useless until it has an address. It does wait after a refusal.
///
/// `Extras` is what is wanted of a lease beyond dhcp_lease: the `parameters` to ask for, and `read(message)`, which is
/// called with each acknowledgement that is taken. See dhcp_names.
template <class Extras = no_dhcp_extras>
class basic_dhcp_client {
public:
    static constexpr unsigned max_requests = 4; ///< RFC 2131 section 3.1 step 5: 60 s in all
    static constexpr unsigned max_reboots = 2;
    static constexpr duration first_backoff = std::chrono::seconds{4}; ///< RFC 2131 section 4.1
    static constexpr duration last_backoff = std::chrono::seconds{64}; ///< RFC 2131 section 4.1
    static constexpr duration renewal_interval = std::chrono::seconds{60}; ///< at least; section 4.4.5
    static constexpr duration decline_wait = std::chrono::seconds{10}; ///< RFC 2131 section 3.1 step 5

    explicit basic_dhcp_client(const dhcp_identity& identity) noexcept : identity_{identity} {}

    /// Begins to ask; for `previous` first if it was ours before the last boot (RFC 2131 section 3.2).
    /// on_time() is due at once.
    template <random_source Random>
    void start(instant now, Random& random, ipv4_address previous = {}) noexcept {
        lease_.reset();
        requested_ = previous;
        enter(previous.is_unspecified() ? dhcp_state::init : dhcp_state::rebooting, now, random);
        deadline_ = now;
    }

    /// What is due now. To be called at next_deadline() or later, until next_deadline() is later than `now`.
    template <random_source Random>
    dhcp_step on_time(instant now, Random& random) noexcept {
        if (now < deadline_)
            return {};
        if (lease_ && now >= lease_->expires_at)
            return lose(now, random); // also after a long sleep
        switch (state_) {
        case dhcp_state::stopped: deadline_ = never; return {};
        case dhcp_state::init: enter(dhcp_state::selecting, now, random); break;
        case dhcp_state::selecting: break;
        case dhcp_state::requesting:
            if (attempts_ >= max_requests)
                return lose(now, random);
            break;
        case dhcp_state::rebooting:
            if (attempts_ >= max_reboots)
                enter(dhcp_state::selecting, now, random);
            break;
        case dhcp_state::bound:
        case dhcp_state::renewing:
        case dhcp_state::rebinding: {
            const auto due = now >= lease_->rebind_at ? dhcp_state::rebinding : dhcp_state::renewing;
            if (state_ != due)
                enter(due, now, random);
            break;
        }
        }
        return transmit(now, random);
    }

    /// A message from a server, by whatever way it came. One that is not for us changes nothing.
    template <random_source Random>
    dhcp_step on_message(const wire::dhcp_view& message, instant now, Random& random) noexcept {
        if (message.op() != wire::dhcp_view::boot_reply || message.transaction() != transaction_
            || message.client_hardware() != identity_.hardware)
            return {};
        switch (message.type()) {
        case wire::dhcp_type::offer: return on_offer(message, now, random);
        case wire::dhcp_type::ack: return on_ack(message, random);
        case wire::dhcp_type::nak: return on_nak(message, now, random);
        default: return {};
        }
    }

    /// Another host uses the address of the lease: declines it, and asks for another one later. RFC 2131
    /// section 4.4.4
    template <random_source Random>
    dhcp_step conflict(instant now, Random& random) noexcept {
        if (!lease_)
            return {};
        dhcp_step step{.send = dhcp_send{.message = message(wire::dhcp_type::decline, now),
                                         .destination = ipv4_address::broadcast()}};
        step.send->message.transaction = random_integer<std::uint32_t>(random);
        step.send->message.requested_address = lease_->own.address;
        step.send->message.server_identifier = lease_->server;
        step.event = lose(now, random).event;
        deadline_ += decline_wait;
        return step;
    }

    /// Gives the address back and stops. RFC 2131 section 4.4.6
    template <random_source Random>
    dhcp_step release(instant now, Random& random) noexcept {
        dhcp_step step{};
        if (lease_) {
            step.send = dhcp_send{.message = message(wire::dhcp_type::release, now),
                                  .source = lease_->own.address,
                                  .destination = lease_->server};
            step.send->message.transaction = random_integer<std::uint32_t>(random);
            step.send->message.client_address = lease_->own.address;
            step.send->message.server_identifier = lease_->server;
            step.event = dhcp_event::lost;
        }
        lease_.reset();
        state_ = dhcp_state::stopped;
        deadline_ = never;
        return step;
    }

    instant next_deadline() const noexcept { return deadline_; }
    dhcp_state state() const noexcept { return state_; }
    /// The lease in force, or nullptr.
    const dhcp_lease* lease() const noexcept { return lease_ ? &*lease_ : nullptr; }
    /// What came with it.
    const Extras& extras() const noexcept { return extras_; }

private:
    static constexpr auto parameters = [] {
        constexpr std::array basic{wire::dhcp_option::subnet_mask,   wire::dhcp_option::routers,
                                   wire::dhcp_option::dns_servers,   wire::dhcp_option::interface_mtu,
                                   wire::dhcp_option::lease_time,    wire::dhcp_option::renewal_time,
                                   wire::dhcp_option::rebinding_time};
        std::array<wire::dhcp_option, basic.size() + Extras::parameters.size()> all{};
        std::ranges::copy(Extras::parameters, std::ranges::copy(basic, all.begin()).out);
        return all;
    }();

    dhcp_identity identity_;
    dhcp_state state_ = dhcp_state::stopped;
    unsigned attempts_ = 0;         // messages sent in this state
    std::uint32_t transaction_ = 0; // xid
    instant began_{};               // of the acquisition or renewal, for secs
    instant requested_at_{};        // from when a lease counts
    instant deadline_ = never;
    ipv4_address requested_{}, server_{};  // the offer that was chosen
    std::uint16_t discovered_seconds_ = 0; // secs of the last discover
    std::optional<dhcp_lease> lease_{};
    [[no_unique_address]] Extras extras_{};

    template <random_source Random>
    void enter(dhcp_state next, instant now, Random& random) noexcept {
        state_ = next;
        attempts_ = 0;
        if (next == dhcp_state::requesting)
            return; // RFC 2131 section 4.4.1: the xid and the secs of the offer
        began_ = now;
        transaction_ = random_integer<std::uint32_t>(random);
    }

    template <random_source Random>
    dhcp_step lose(instant now, Random& random) noexcept {
        const bool had = lease_.has_value();
        lease_.reset();
        enter(dhcp_state::init, now, random);
        // RFC 2131 section 4.4.1: 1 to 10 s, so that a segment does not ask with one voice
        deadline_ = now + std::chrono::seconds{1}
                    + std::chrono::milliseconds{random_integer<std::uint32_t>(random) % 9000};
        return {.event = had ? dhcp_event::lost : dhcp_event::none};
    }

    wire::dhcp_client_message message(wire::dhcp_type type, instant now) const noexcept {
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - began_).count();
        return {.type = type,
                .transaction = transaction_,
                .seconds = static_cast<std::uint16_t>(std::clamp<std::int64_t>(seconds, 0, 0xffff)),
                .broadcast = identity_.broadcast && !lease_,
                .hardware = identity_.hardware,
                .iaid = identity_.iaid,
                .host_name = identity_.host_name,
                .parameters = parameters};
    }

    /// Sends what the state asks for, as RFC 2131 section 4.3.6, table 4 has it, and sets the time to repeat
    /// it.
    template <random_source Random>
    dhcp_step transmit(instant now, Random& random) noexcept {
        const bool extends = state_ == dhcp_state::renewing || state_ == dhcp_state::rebinding;
        if (extends) // a new xid each time, so that the answer tells from when the lease counts
            transaction_ = random_integer<std::uint32_t>(random);
        if (extends || attempts_ == 0)
            requested_at_ = now;
        const bool discovers = state_ == dhcp_state::selecting;
        dhcp_send send{.message =
                           message(discovers ? wire::dhcp_type::discover : wire::dhcp_type::request, now),
                       .destination = ipv4_address::broadcast()};
        if (extends) {
            send.source = send.message.client_address = lease_->own.address;
            if (state_ == dhcp_state::renewing)
                send.destination = lease_->server;
            // RFC 2131 section 4.4.5: half of what remains, but at least 60 s
            const instant limit = state_ == dhcp_state::renewing ? lease_->rebind_at : lease_->expires_at;
            deadline_ = std::min(limit, now + std::max<duration>(renewal_interval, (limit - now) / 2));
        } else {
            if (!discovers)
                send.message.requested_address = requested_;
            if (state_ == dhcp_state::requesting) {
                send.message.server_identifier = server_;
                send.message.seconds = discovered_seconds_; // RFC 2131 section 4.4.1
            } else {
                discovered_seconds_ = send.message.seconds;
            }
            deadline_ = now + backoff(random);
        }
        ++attempts_;
        return {.send = send};
    }

    /// RFC 2131 section 4.1: 4, 8, 16, 32, 64 s, each give or take up to one.
    template <random_source Random>
    duration backoff(Random& random) const noexcept {
        const duration about = std::min(last_backoff, first_backoff * (1 << std::min(attempts_, 4u)));
        return about + std::chrono::milliseconds{random_integer<std::uint32_t>(random) % 2001}
               - std::chrono::seconds{1};
    }

    template <random_source Random>
    dhcp_step on_offer(const wire::dhcp_view& offer, instant now, Random& random) noexcept {
        if (state_ != dhcp_state::selecting)
            return {};
        const auto promised = read_lease(offer, now, random);
        if (!promised)
            return {};
        requested_ = promised->own.address;
        server_ = promised->server;
        enter(dhcp_state::requesting, now, random);
        return transmit(now, random);
    }

    template <random_source Random>
    dhcp_step on_ack(const wire::dhcp_view& ack, Random& random) noexcept {
        const bool extends = state_ == dhcp_state::renewing || state_ == dhcp_state::rebinding;
        if (!extends && state_ != dhcp_state::requesting && state_ != dhcp_state::rebooting)
            return {};
        const auto granted = read_lease(ack, requested_at_, random);
        if (!granted || (state_ == dhcp_state::requesting && granted->server != server_)
            || granted->own.address != (extends ? lease_->own.address : requested_))
            return {};
        lease_ = granted;
        extras_.read(ack);
        state_ = dhcp_state::bound;
        deadline_ = lease_->renew_at;
        return {.event = extends ? dhcp_event::renewed : dhcp_event::bound};
    }

    template <random_source Random>
    dhcp_step on_nak(const wire::dhcp_view& nak, instant now, Random& random) noexcept {
        const auto server = nak.server_identifier();
        switch (state_) {
        case dhcp_state::requesting:
            if (server != server_)
                return {};
            break;
        case dhcp_state::renewing:
            if (server != lease_->server)
                return {};
            break;
        case dhcp_state::rebinding:
        case dhcp_state::rebooting:
            if (!server) // RFC 2131 section 4.3.2, table 3: a server must say who it is
                return {};
            break;
        default: return {};
        }
        return lose(now, random);
    }
};

using dhcp_client = basic_dhcp_client<>;

} // namespace mirage::net
