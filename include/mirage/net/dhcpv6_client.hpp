// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/device/random.hpp"
#include "mirage/net/dhcpv6_names.hpp"
#include "mirage/net/ipv6_routes.hpp"
#include "mirage/wire/dhcpv6.hpp"
#include <algorithm>
#include <array>
#include <optional>

namespace mirage::net {

enum class dhcpv6_state : std::uint8_t {
    stopped,
    soliciting, ///< Solicit sent, or about to be; waits for offers
    requesting, ///< Request for an offer sent
    bound,
    renewing,  ///< after T1: asks the server of the lease
    rebinding, ///< after T2: asks any server
    confirming, ///< perhaps on another link: asks whether the address belongs there
    declining, ///< tells the server that somebody else has the address
    releasing, ///< gives the address back
    informing, ///< Information-request sent, or about to be
    informed,
};

/// What has become of lease and names in a step.
enum class dhcpv6_event : std::uint8_t {
    none,
    bound,    ///< lease() is new: see whether the address is free (RFC 4862 section 5.4), and use it
    renewed,  ///< lease() lasts longer
    lost,     ///< stop using the address at once
    informed, ///< names() is new, there is no lease
};

/// An address, and until when.
struct dhcpv6_lease {
    ipv6_address address{};
    instant preferred_until{}, valid_until{};
    instant renew_at{}, rebind_at{}; ///< T1 and T2
    wire::dhcpv6_duid server{};
};

/// A message to send from port 546 of the link-local address to port 547 of wire::dhcpv6_servers_group.
struct dhcpv6_message {
    std::size_t size = 0; ///< octets of `text`
    std::array<std::byte, 320> text{};
    octets view() const noexcept { return octets{text}.first(size); }
};

/// The result of a step: what to send, if anything, and what to tell the rest of the stack.
struct dhcpv6_step {
    std::optional<dhcpv6_message> send{};
    dhcpv6_event event = dhcpv6_event::none;
};

/// A DHCPv6 client: RFC 8415, with one non-temporary address, or with names alone. Pure: time and randomness come in,
/// messages go out.
///
/// It does not offer to be reconfigured, so that no server may, and none that tries is heard (section 18.2.11); it
/// multicasts everything, also where a server allows unicast (section 18.2.12).
class dhcpv6_client {
public:
    // RFC 8415 section 7.6
    static constexpr duration solicit_delay = std::chrono::seconds{1}, max_solicit_timeout = std::chrono::hours{1};
    static constexpr duration first_timeout = std::chrono::seconds{1}, max_request_timeout = std::chrono::seconds{30};
    static constexpr duration renew_timeout = std::chrono::seconds{10}, max_renew_timeout = std::chrono::minutes{10};
    static constexpr duration max_confirm_timeout = std::chrono::seconds{4}, confirm_time = std::chrono::seconds{10};
    static constexpr unsigned max_requests = 10, max_declines = 4, max_releases = 4;
    static constexpr duration usual_refresh = std::chrono::hours{24}, least_refresh = std::chrono::minutes{10};
    /// Between two tries after an address was refused or taken from us, at least: section 14.1.
    static constexpr duration pause = std::chrono::seconds{10};

    /// `hardware` makes the DUID; `iaid` tells this host's interfaces apart, the same after every boot (section 12).
    dhcpv6_client(mac_address hardware, std::uint32_t iaid) noexcept
        : own_{wire::dhcpv6_duid::of(hardware)}, iaid_{iaid} {}

    /// A router has said how hosts are configured (RFC 4861 section 4.2: M and O). Begins what that asks for; what is under
    /// way goes on, and ends only by what servers say (RFC 4862 section 5.5.3).
    template <random_source Random>
    void advertised(bool managed, bool other, instant now, Random& random) noexcept {
        const bool informs = state_ == dhcpv6_state::informing || state_ == dhcpv6_state::informed;
        if (managed && (state_ == dhcpv6_state::stopped || informs))
            enter(dhcpv6_state::soliciting, now + some_of(solicit_delay, random), random);
        else if (other && state_ == dhcpv6_state::stopped)
            enter(dhcpv6_state::informing, now + some_of(solicit_delay, random), random);
    }

    /// The interface may be on another link. RFC 8415 sections 18.2.3 and 18.2.12: asks whether the address belongs there,
    /// and for the names of that link.
    template <random_source Random>
    void moved(instant now, Random& random) noexcept {
        const instant soon = now + some_of(solicit_delay, random);
        if (state_ == dhcpv6_state::bound || state_ == dhcpv6_state::renewing || state_ == dhcpv6_state::rebinding)
            enter(dhcpv6_state::confirming, soon, random);
        else if (state_ == dhcpv6_state::informed)
            enter(dhcpv6_state::informing, soon, random);
    }

    /// What is due now. To be called at next_deadline() or later, until next_deadline() is later than `now`.
    template <random_source Random>
    dhcpv6_step on_time(instant now, Random& random) noexcept {
        if (now < deadline_)
            return {};
        if (lease_ && now >= lease_->valid_until) // also after a long sleep
            return lose(now, random);
        switch (state_) {
        case dhcpv6_state::stopped: deadline_ = never; return {};
        case dhcpv6_state::soliciting:
            if (attempts_ > 0 && !offer_.server.empty())
                return request(now, random);
            break;
        case dhcpv6_state::requesting:
            if (attempts_ >= max_requests)
                return lose(now, random);
            break;
        case dhcpv6_state::bound:
        case dhcpv6_state::renewing:
        case dhcpv6_state::rebinding:
            if (const auto due = now >= lease_->rebind_at ? dhcpv6_state::rebinding : dhcpv6_state::renewing; state_ != due)
                enter(due, now, random);
            break;
        case dhcpv6_state::confirming:
            if (attempts_ > 0 && now - began_ >= confirm_time) // nobody knows better: section 18.2.3
                return resume(), dhcpv6_step{};
            break;
        case dhcpv6_state::declining:
            if (attempts_ >= max_declines)
                return enter(dhcpv6_state::soliciting, now + pause, random), dhcpv6_step{};
            break;
        case dhcpv6_state::releasing:
            if (attempts_ >= max_releases)
                return stop(), dhcpv6_step{};
            break;
        case dhcpv6_state::informing: break;
        case dhcpv6_state::informed: enter(dhcpv6_state::informing, now, random); break;
        }
        return transmit(now, random);
    }

    /// A message from a server. One that is not for us changes nothing.
    template <random_source Random>
    dhcpv6_step on_message(const wire::dhcpv6_view& m, instant now, Random& random) noexcept {
        using option = wire::dhcpv6_option;
        // RFC 8415 sections 16.3, 16.10 and 16.11: answers to what we have sent, and nothing else
        const auto server = m.options().identifier(option::server_identifier);
        if ((m.type() != wire::dhcpv6_type::advertise && m.type() != wire::dhcpv6_type::reply) || attempts_ == 0
            || m.transaction() != transaction_ || !server || m.options().identifier(option::client_identifier) != own_)
            return {};
        // sections 21.24 and 21.25
        if (const auto most = m.options().number<std::uint32_t>(option::solicit_max_rt); most && *most >= 60 && *most <= 86400)
            solicit_timeout_ = std::chrono::seconds{*most};
        if (const auto most = m.options().number<std::uint32_t>(option::information_max_rt);
            most && *most >= 60 && *most <= 86400)
            inform_timeout_ = std::chrono::seconds{*most};
        if (m.type() == wire::dhcpv6_type::advertise)
            return on_advertise(m, *server, now, random);
        switch (state_) {
        case dhcpv6_state::soliciting: // section 18.2.1: only if it says that it has committed
            return m.options().find(option::rapid_commit) ? on_reply(m, *server, now, random) : dhcpv6_step{};
        case dhcpv6_state::requesting: return *server == offer_.server ? on_reply(m, *server, now, random) : dhcpv6_step{};
        case dhcpv6_state::renewing: return *server == lease_->server ? on_reply(m, *server, now, random) : dhcpv6_step{};
        case dhcpv6_state::rebinding: return on_reply(m, *server, now, random);
        case dhcpv6_state::confirming:
            if (m.options().status() == wire::dhcpv6_status::not_on_link)
                return lose(now, random);
            if (m.options().status() == wire::dhcpv6_status::success)
                resume();
            return {};
        case dhcpv6_state::declining: enter(dhcpv6_state::soliciting, now + pause, random); return {};
        case dhcpv6_state::releasing: stop(); return {};
        case dhcpv6_state::informing: return on_information(m, now);
        default: return {};
        }
    }

    /// Another host has the address of the lease: tells the server, and asks for another one. RFC 8415 section 18.2.8
    template <random_source Random>
    dhcpv6_step conflict(instant now, Random& random) noexcept { return give_up(dhcpv6_state::declining, now, random); }

    /// Gives the address back and stops. RFC 8415 section 18.2.7
    template <random_source Random>
    dhcpv6_step release(instant now, Random& random) noexcept {
        if (!lease_)
            return stop(), dhcpv6_step{};
        return give_up(dhcpv6_state::releasing, now, random);
    }

    instant next_deadline() const noexcept { return deadline_; }
    dhcpv6_state state() const noexcept { return state_; }
    /// The lease in force, or nullptr.
    const dhcpv6_lease* lease() const noexcept { return lease_ ? &*lease_ : nullptr; }
    /// The name servers and search domains of the last answer.
    const dhcpv6_names& names() const noexcept { return names_; }

private:
    struct offer {
        wire::dhcpv6_duid server{}; // empty: none
        std::uint8_t preference = 0;
        ipv6_address address{};
    };

    wire::dhcpv6_duid own_;
    std::uint32_t iaid_;
    dhcpv6_state state_ = dhcpv6_state::stopped;
    std::uint32_t transaction_ = 0;
    unsigned attempts_ = 0;    // messages sent in this state
    duration timeout_{};       // RT of section 15
    instant began_{};          // of this exchange, for the elapsed time
    instant deadline_ = never;
    duration solicit_timeout_ = max_solicit_timeout, inform_timeout_ = max_solicit_timeout;
    offer offer_{};            // the best one; also whom a Decline or a Release is for
    std::optional<dhcpv6_lease> lease_{};
    dhcpv6_names names_{};

    template <random_source Random>
    static duration some_of(duration limit, Random& random) noexcept {
        return limit / 0x10000 * (random_integer<std::uint32_t>(random) & 0xffff);
    }

    /// The next exchange, whose first message is due at `at`.
    template <random_source Random>
    void enter(dhcpv6_state next, instant at, Random& random) noexcept {
        state_ = next;
        attempts_ = 0;
        timeout_ = {};
        deadline_ = at;
        transaction_ = random_integer<std::uint32_t>(random) & 0xff'ffffu;
        if (next == dhcpv6_state::soliciting)
            offer_ = {};
    }
    void stop() noexcept {
        state_ = dhcpv6_state::stopped;
        attempts_ = 0;
        deadline_ = never;
    }
    /// The lease is good as it was.
    void resume() noexcept {
        state_ = dhcpv6_state::bound;
        attempts_ = 0;
        deadline_ = lease_->renew_at;
    }
    template <random_source Random>
    dhcpv6_step lose(instant now, Random& random) noexcept {
        const bool had = lease_.has_value();
        lease_.reset();
        enter(dhcpv6_state::soliciting, now + solicit_delay + some_of(pause, random), random);
        return {.event = had ? dhcpv6_event::lost : dhcpv6_event::none};
    }
    template <random_source Random>
    dhcpv6_step give_up(dhcpv6_state how, instant now, Random& random) noexcept {
        if (!lease_)
            return {};
        offer_ = {.server = lease_->server, .address = lease_->address};
        lease_.reset();
        enter(how, now, random);
        dhcpv6_step step = transmit(now, random);
        step.event = dhcpv6_event::lost;
        return step;
    }
    template <random_source Random>
    dhcpv6_step request(instant now, Random& random) noexcept {
        enter(dhcpv6_state::requesting, now, random);
        return transmit(now, random);
    }

    /// How long until the message is repeated. RFC 8415 section 15: twice as long as the last time, give or take
    /// a tenth of that; section 18.2.1: of the first Solicit, not less.
    template <random_source Random>
    duration next_timeout(Random& random) noexcept {
        const bool extends = state_ == dhcpv6_state::renewing || state_ == dhcpv6_state::rebinding;
        const duration first = extends ? renew_timeout : first_timeout;
        const duration most = extends                                 ? max_renew_timeout
                              : state_ == dhcpv6_state::requesting    ? max_request_timeout
                              : state_ == dhcpv6_state::soliciting    ? solicit_timeout_
                              : state_ == dhcpv6_state::informing     ? inform_timeout_
                              : state_ == dhcpv6_state::confirming    ? max_confirm_timeout
                                                                      : duration::max();
        const auto some = [&](duration of) { return some_of(of / 5, random) - of / 10; };
        if (attempts_ == 0 && state_ == dhcpv6_state::soliciting)
            timeout_ = first + some_of(first / 10, random) + duration{1};
        else if (attempts_ == 0)
            timeout_ = first + some(first);
        else
            timeout_ += timeout_ + some(timeout_);
        if (timeout_ > most)
            timeout_ = most + some(most);
        return timeout_;
    }

    /// Sends what the state asks for, RFC 8415 sections 18.2.1 to 18.2.8, and sets the time to repeat it.
    template <random_source Random>
    dhcpv6_step transmit(instant now, Random& random) noexcept {
        using wire::dhcpv6_option;
        using wire::dhcpv6_type;
        if (attempts_ == 0)
            began_ = now;
        deadline_ = now + next_timeout(random);
        if (state_ == dhcpv6_state::renewing)
            deadline_ = std::min(deadline_, lease_->rebind_at);
        if (state_ == dhcpv6_state::confirming)
            deadline_ = std::min(deadline_, began_ + confirm_time);
        if (lease_)
            deadline_ = std::min(deadline_, lease_->valid_until);
        ++attempts_;

        dhcpv6_type type = dhcpv6_type::solicit;
        const wire::dhcpv6_duid* to = &offer_.server;
        ipv6_address about = offer_.address;
        switch (state_) {
        case dhcpv6_state::requesting: type = dhcpv6_type::request; break;
        case dhcpv6_state::renewing: type = dhcpv6_type::renew; break;
        case dhcpv6_state::rebinding: type = dhcpv6_type::rebind; break;
        case dhcpv6_state::confirming: type = dhcpv6_type::confirm; break;
        case dhcpv6_state::declining: type = dhcpv6_type::decline; break;
        case dhcpv6_state::releasing: type = dhcpv6_type::release; break;
        case dhcpv6_state::informing: type = dhcpv6_type::information_request; break;
        default: break;
        }
        if (lease_ && state_ != dhcpv6_state::requesting) {
            to = &lease_->server;
            about = lease_->address;
        }
        const bool asks = type != dhcpv6_type::decline && type != dhcpv6_type::release && type != dhcpv6_type::confirm;
        const bool any = type == dhcpv6_type::solicit || type == dhcpv6_type::rebind || type == dhcpv6_type::confirm
                         || type == dhcpv6_type::information_request;

        dhcpv6_step step{.send = dhcpv6_message{}};
        wire::dhcpv6_writer out{step.send->text, type, transaction_};
        out.add(dhcpv6_option::client_identifier, own_.view());
        if (!any)
            out.add(dhcpv6_option::server_identifier, to->view());
        const auto hundredths = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_).count() / 10;
        out.add(dhcpv6_option::elapsed_time, static_cast<std::uint16_t>(std::clamp<std::int64_t>(hundredths, 0, 0xffff)));
        const auto wants = [](dhcpv6_option o) { return static_cast<std::uint16_t>(o); };
        if (type == dhcpv6_type::information_request)
            out.add(dhcpv6_option::requested, wants(dhcpv6_option::dns_servers), wants(dhcpv6_option::domain_list),
                    wants(dhcpv6_option::information_refresh_time), wants(dhcpv6_option::information_max_rt));
        else if (asks)
            out.add(dhcpv6_option::requested, wants(dhcpv6_option::dns_servers), wants(dhcpv6_option::domain_list),
                    wants(dhcpv6_option::solicit_max_rt));
        if (type == dhcpv6_type::solicit)
            out.add(dhcpv6_option::rapid_commit);
        if (type != dhcpv6_type::information_request) {
            const bool named = type != dhcpv6_type::solicit;
            out.open(dhcpv6_option::ia_na, named ? 40 : 12);
            for (const std::uint32_t n : {iaid_, 0u, 0u}) // the server is to choose T1 and T2
                out.put(n);
            if (named)
                out.add(wire::dhcpv6_address{.address = about});
        }
        step.send->size = out.size();
        return step;
    }

    static constexpr bool usable(const wire::dhcpv6_address& a) noexcept {
        const ipv6_address& x = a.address;
        return a.valid != 0 && a.preferred <= a.valid && a.status == wire::dhcpv6_status::success && !x.is_unspecified()
               && !x.is_multicast() && !x.is_loopback() && !x.is_mapped() && !x.is_link_local();
    }
    /// The first address that can be used.
    static constexpr std::optional<wire::dhcpv6_address> first_of(const wire::dhcpv6_association& ia) noexcept {
        std::optional<wire::dhcpv6_address> found;
        ia.each([&](const wire::dhcpv6_address& a) {
            if (!found && usable(a))
                found = a;
        });
        return found;
    }

    /// RFC 8415 section 18.2.9: the best offer of the first interval; after it, or at once when it says so, the first one.
    template <random_source Random>
    dhcpv6_step on_advertise(const wire::dhcpv6_view& m, const wire::dhcpv6_duid& server, instant now,
                             Random& random) noexcept {
        if (state_ != dhcpv6_state::soliciting || m.options().status() != wire::dhcpv6_status::success)
            return {};
        const auto ia = m.association(iaid_);
        const auto address = ia && ia->options.status() == wire::dhcpv6_status::success ? first_of(*ia) : std::nullopt;
        if (!address)
            return {};
        const std::uint8_t preference = m.options().number<std::uint8_t>(wire::dhcpv6_option::preference).value_or(0);
        if (offer_.server.empty() || preference > offer_.preference)
            offer_ = {server, preference, address->address};
        return attempts_ > 1 || preference == 255 ? request(now, random) : dhcpv6_step{};
    }

    /// RFC 8415 section 18.2.10
    template <random_source Random>
    dhcpv6_step on_reply(const wire::dhcpv6_view& m, const wire::dhcpv6_duid& server, instant now, Random& random) noexcept {
        using wire::dhcpv6_status;
        const bool extends = lease_.has_value();
        const auto ia = m.association(iaid_);
        auto status = m.options().status();
        if (status == dhcpv6_status::success && ia)
            status = ia->options.status();
        switch (status) {
        case dhcpv6_status::success: break;
        case dhcpv6_status::no_binding: // the server has forgotten: asked for the same address as if it were new
            if (!extends)
                return {};
            offer_ = {.server = server, .address = lease_->address};
            if (state_ == dhcpv6_state::requesting)
                return {};
            return request(now, random);
        case dhcpv6_status::no_addresses:
        case dhcpv6_status::not_on_link:
            if (extends) // until the lease ends there may be another server
                return {};
            return lose(now, random);
        default: return {}; // it may do better when it is asked again
        }
        if (!ia)
            return {};
        std::optional<wire::dhcpv6_address> granted;
        if (extends)
            ia->each([&](const wire::dhcpv6_address& a) {
                if (a.address == lease_->address && !granted)
                    granted = a;
            });
        else
            granted = first_of(*ia);
        if (!granted)
            return {};
        if (extends && granted->valid == 0)
            return lose(now, random);
        if (!usable(*granted))
            return {};
        // section 21.4: where the server leaves them to us, half and four fifths of the preferred lifetime
        const auto base = granted->preferred != 0 ? granted->preferred : granted->valid;
        const auto part = [&](std::uint32_t said, std::uint64_t tenths) {
            const auto seconds = said != 0 ? said : base == 0xffff'ffffu ? base : static_cast<std::uint32_t>(base * tenths / 10);
            return end_of_lifetime(now, seconds);
        };
        dhcpv6_lease lease{.address = granted->address,
                           .preferred_until = end_of_lifetime(now, granted->preferred),
                           .valid_until = end_of_lifetime(now, granted->valid),
                           .server = server};
        lease.rebind_at = std::min(part(ia->t2, 8), lease.valid_until);
        lease.renew_at = std::min(part(ia->t1, 5), lease.rebind_at);
        // section 14.1: no server makes us ask more often than this
        lease.renew_at = std::max(lease.renew_at, std::min(now + pause / 2, lease.valid_until));
        lease.rebind_at = std::max(lease.rebind_at, lease.renew_at);
        lease_ = lease;
        names_.read(m.options());
        state_ = dhcpv6_state::bound;
        attempts_ = 0; // nothing more is expected
        deadline_ = lease.renew_at;
        return {.event = extends ? dhcpv6_event::renewed : dhcpv6_event::bound};
    }

    /// RFC 8415 sections 18.2.10.4 and 21.23
    dhcpv6_step on_information(const wire::dhcpv6_view& m, instant now) noexcept {
        if (m.options().status() != wire::dhcpv6_status::success)
            return {};
        names_.read(m.options());
        const auto said = m.options().number<std::uint32_t>(wire::dhcpv6_option::information_refresh_time);
        state_ = dhcpv6_state::informed;
        attempts_ = 0;
        deadline_ = !said                     ? now + usual_refresh
                    : *said == 0xffff'ffffu ? never
                                              : now + std::max<duration>(std::chrono::seconds{*said}, least_refresh);
        return {.event = dhcpv6_event::informed};
    }
};

} // namespace mirage::net
