// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/time.hpp"
#include "mirage/device/random.hpp"
#include "mirage/wire/arp.hpp"
#include <optional>

namespace mirage::net {

/// What is to be told to the rest of the stack.
enum class conflict_event : std::uint8_t {
    none,
    claimed, ///< nobody has answered: the address may be used
    lost,    ///< another host uses the address: do not use it, or stop
};

/// The result of a step of address_conflict: an ARP packet to broadcast, if any, and what has happened.
struct conflict_step {
    std::optional<wire::arp_packet> send{};
    conflict_event event = conflict_event::none;
};

/// The constants of RFC 5227 section 1.1.
struct conflict_timing {
    duration probe_wait = std::chrono::seconds{1}; ///< before the first probe, at most
    unsigned probes = 3;
    duration probe_min = std::chrono::seconds{1}; ///< between probes
    duration probe_max = std::chrono::seconds{2};
    duration announce_wait = std::chrono::seconds{2}; ///< after the last probe
    unsigned announcements = 2;
    duration announce_interval = std::chrono::seconds{2};
    unsigned max_conflicts = 10; ///< then slowly
    duration rate_limit_interval = std::chrono::seconds{60};
    duration defend_interval = std::chrono::seconds{10};
};

/// What becomes of an address in use when another host insists on it. RFC 5227 section 2.4
enum class defence : std::uint8_t {
    yield,   ///< (b): defend it once in defend_interval, then give it up: what DHCP can replace
    persist, ///< (c): defend it at most once in defend_interval, and never give it up: what a person has set
};

/// Sees to it that an address is used by one host only: probes before use, announces, defends. RFC 5227.
/// Pure.
class address_conflict {
public:
    explicit address_conflict(mac_address own, const conflict_timing& timing = {}) noexcept
        : own_{own}, timing_{timing} {}

    /// Begins to probe for `address`: the step that says `claimed` comes within about 7 s, unless `lost`
    /// does.
    template <random_source Random>
    void claim(ipv4_address address, defence policy, instant now, Random& random) noexcept {
        begin(phase::probing, address, policy);
        // RFC 5227 section 2.1.1: after many conflicts an attempt per minute
        const duration wait = conflicts_ >= timing_.max_conflicts ? timing_.rate_limit_interval
                                                                  : up_to(timing_.probe_wait, random);
        deadline_ = now + wait;
    }

    /// Uses `address` at once: announces and defends it without probing, which RFC 5227 section 2.1 would
    /// have first. For an address that a person gave to an appliance whose boot must not take 7 s.
    void use(ipv4_address address, defence policy, instant now) noexcept {
        begin(phase::announcing, address, policy);
        deadline_ = now;
    }

    /// No address is looked after any more.
    void stop() noexcept { begin(phase::idle, {}, defence::yield); }

    /// What is due now. To be called at next_deadline() or later.
    template <random_source Random>
    conflict_step on_time(instant now, Random& random) noexcept {
        if (now < deadline_)
            return {};
        conflict_step step{};
        if (phase_ == phase::probing && sent_ == timing_.probes) {
            step.event = conflict_event::claimed;
            phase_ = phase::announcing;
            sent_ = 0;
            conflicts_ = 0;
        }
        switch (phase_) {
        case phase::probing: // RFC 5227 section 2.1.1
            step.send = wire::arp_packet::probe(own_, address_);
            deadline_ = now
                        + (++sent_ == timing_.probes
                               ? timing_.announce_wait
                               : timing_.probe_min + up_to(timing_.probe_max - timing_.probe_min, random));
            break;
        case phase::announcing: // RFC 5227 section 2.3
            step.send = wire::arp_packet::announcement(own_, address_);
            if (++sent_ >= timing_.announcements)
                phase_ = phase::in_use;
            deadline_ = phase_ == phase::in_use ? never : now + timing_.announce_interval;
            break;
        default: deadline_ = never;
        }
        return step;
    }

    /// Takes every ARP packet that arrives.
    conflict_step receive(wire::arp_view packet, instant now) noexcept {
        if (phase_ == phase::idle || packet.sender_hardware() == own_)
            return {};
        const bool claims = packet.sender_protocol() == address_;
        if (phase_ == phase::probing) { // RFC 5227 section 2.1.1: also one that probes for the same address
            if (claims || (packet.is_probe() && packet.target_protocol() == address_))
                return lose();
            return {};
        }
        if (!claims)
            return {};
        // RFC 5227 section 2.4
        if (!defended_at_ || now - *defended_at_ >= timing_.defend_interval) {
            defended_at_ = now;
            return {.send = wire::arp_packet::announcement(own_, address_)};
        }
        return policy_ == defence::persist ? conflict_step{} : lose();
    }

    instant next_deadline() const noexcept { return deadline_; }
    /// Whether the address may be used.
    bool holds() const noexcept { return phase_ == phase::announcing || phase_ == phase::in_use; }
    ipv4_address address() const noexcept { return address_; }

private:
    enum class phase : std::uint8_t { idle, probing, announcing, in_use };

    mac_address own_{};
    conflict_timing timing_{};
    phase phase_ = phase::idle;
    defence policy_ = defence::yield;
    unsigned sent_ = 0, conflicts_ = 0;
    ipv4_address address_{};
    instant deadline_ = never;
    std::optional<instant> defended_at_{};

    void begin(phase next, ipv4_address address, defence policy) noexcept {
        phase_ = next;
        policy_ = policy;
        address_ = address;
        sent_ = 0;
        deadline_ = never;
        defended_at_.reset();
    }
    conflict_step lose() noexcept {
        ++conflicts_;
        stop();
        return {.event = conflict_event::lost};
    }
    template <random_source Random>
    static duration up_to(duration most, Random& random) noexcept {
        return most / 0x10000 * (random_integer<std::uint32_t>(random) & 0xffff);
    }
};

} // namespace mirage::net
