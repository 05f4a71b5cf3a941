// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/dns/message.hpp"

namespace mirage::wire {

/// Writes a DNS message: the header, then questions, then records, section by section. Names are compressed where an
/// equal one, or an equal end of one, is in the message already (RFC 1035 section 4.1.4). Remembers when something did
/// not fit; finish() says so.
class dns_writer {
    mutable_octets room_;
    std::size_t at_ = dns_at::header;
    unsigned section_ = 0;
    bool fits_;
    std::array<std::uint16_t, 32> labels_{}; // where labels begin that a pointer may lead to
    std::size_t label_count_ = 0;

    constexpr mutable_octets take(std::size_t count) noexcept {
        fits_ = fits_ && count <= room_.size() - at_;
        if (!fits_)
            return {};
        const auto taken = room_.subspan(at_, count);
        at_ += count;
        return taken;
    }
    template <class Octets>
    constexpr void put(const Octets& from) noexcept {
        const auto to = take(from.size());
        for (std::size_t i = 0; i < to.size(); ++i)
            to[i] = static_cast<std::byte>(from[i]);
    }
    template <std::unsigned_integral T>
    constexpr void put_number(std::type_identity_t<T> value) noexcept {
        if (const auto to = take(sizeof(T)); fits_)
            store<T>(to.data(), value);
    }

    /// Where `tail` is in the message already, to the last bit, so that compression changes no spelling; 0: nowhere.
    constexpr std::uint16_t find(std::span<const std::uint8_t> tail) const noexcept {
        for (const std::uint16_t at : std::span{labels_}.first(label_count_)) {
            const auto there = dns_name::read(octets{room_}.first(at_), at);
            if (there && std::ranges::equal(there->name.wire(), tail))
                return at;
        }
        return 0;
    }

    constexpr void put_name(const dns_name& name, bool compressed = true) noexcept {
        const auto wire = name.wire();
        if (!compressed) {
            put(wire);
            return;
        }
        std::size_t own = 0, begin = at_;
        std::uint16_t pointer = 0;
        while (wire[own] != 0 && (pointer = find(wire.subspan(own))) == 0)
            own += 1u + wire[own];
        put(wire.first(own));
        if (pointer != 0)
            put_number<std::uint16_t>(static_cast<std::uint16_t>(0xc000u | pointer));
        else
            put_number<std::uint8_t>(0);
        for (std::size_t i = 0; fits_ && i < own && label_count_ < labels_.size(); i += 1u + wire[i])
            if (begin + i < 0x4000)
                labels_[label_count_++] = static_cast<std::uint16_t>(begin + i);
    }

    constexpr void count(unsigned here) noexcept {
        check(here >= section_, "dns_writer: sections are written in their order");
        section_ = here;
        if (!fits_)
            return;
        auto* const counter = room_.data() + dns_at::questions::offset + std::size_t{2} * here;
        store<std::uint16_t>(counter, static_cast<std::uint16_t>(load<std::uint16_t>(counter) + 1));
    }

    template <class Data>
    constexpr dns_writer& record(unsigned here, const dns_name& owner, dns_type type, std::uint32_t ttl,
                                 Data data) noexcept {
        count(here);
        put_name(owner);
        put_number<std::uint16_t>(static_cast<std::uint16_t>(type));
        put_number<std::uint16_t>(static_cast<std::uint16_t>(dns_class::internet));
        put_number<std::uint32_t>(ttl);
        const auto length = take(2);
        const std::size_t begin = at_;
        data();
        if (fits_)
            store<std::uint16_t>(length.data(), static_cast<std::uint16_t>(at_ - begin));
        return *this;
    }

public:
    /// A section that has records.
    enum section : unsigned { answer = 1, authority = 2, additional = 3 };

    /// `flags` are dns_flag, opcode and response code.
    constexpr dns_writer(mutable_octets room, std::uint16_t id, std::uint16_t flags) noexcept
        : room_{room}, fits_{room.size() >= dns_at::header} {
        if (!fits_)
            return;
        std::ranges::fill(room_.first(dns_at::header), std::byte{0});
        dns_at::id::store(room_.data(), id);
        dns_at::flags::store(room_.data(), flags);
    }

    constexpr dns_writer& ask(const dns_question& q) noexcept {
        count(0);
        put_name(q.name);
        put_number<std::uint16_t>(static_cast<std::uint16_t>(q.type));
        put_number<std::uint16_t>(static_cast<std::uint16_t>(q.cls));
        return *this;
    }

    /// A record whose data hold no name, or none that may be compressed.
    template <class Octets>
    constexpr dns_writer& add(section s, const dns_name& owner, dns_type type, std::uint32_t ttl,
                              const Octets& data) noexcept {
        return record(s, owner, type, ttl, [&] { put(data); });
    }
    constexpr dns_writer& add(section s, const dns_name& owner, std::uint32_t ttl, ipv4_address a) noexcept {
        return record(s, owner, dns_type::a, ttl, [&] { put_number<std::uint32_t>(a.value()); });
    }
    /// CNAME, PTR, NS.
    constexpr dns_writer& add(section s, const dns_name& owner, dns_type type, std::uint32_t ttl,
                              const dns_name& name) noexcept {
        return record(s, owner, type, ttl, [&] { put_name(name); });
    }
    /// The target is not compressed: RFC 2782.
    constexpr dns_writer& add(section s, const dns_name& owner, std::uint32_t ttl, const dns_service& at) noexcept {
        return record(s, owner, dns_type::srv, ttl, [&] {
            put_number<std::uint16_t>(at.priority);
            put_number<std::uint16_t>(at.weight);
            put_number<std::uint16_t>(at.port);
            put_name(at.target, false);
        });
    }
    constexpr dns_writer& add(section s, const dns_name& owner, std::uint32_t ttl, const dns_exchanger& at) noexcept {
        return record(s, owner, dns_type::mx, ttl, [&] {
            put_number<std::uint16_t>(at.preference);
            put_name(at.host);
        });
    }
    constexpr dns_writer& add(section s, const dns_name& owner, std::uint32_t ttl, const dns_start& at) noexcept {
        return record(s, owner, dns_type::soa, ttl, [&] {
            put_name(at.primary);
            put_name(at.mailbox);
            for (const std::uint32_t number : {at.serial, at.refresh, at.retry, at.expire, at.minimum})
                put_number<std::uint32_t>(number);
        });
    }
    /// The OPT record: what we take by UDP, in octets, and the upper bits of the response code. RFC 6891 section 6.1.2
    constexpr dns_writer& opt(std::uint16_t payload, dns_rcode rcode = dns_rcode::no_error) noexcept {
        count(additional);
        put_number<std::uint8_t>(0);
        put_number<std::uint16_t>(static_cast<std::uint16_t>(dns_type::opt));
        put_number<std::uint16_t>(payload);
        put_number<std::uint32_t>(static_cast<std::uint32_t>(rcode) >> 4 << 24); // version 0, DO clear
        put_number<std::uint16_t>(0);
        return *this;
    }

    /// Ends the message and returns its length in octets. errc::too_large.
    constexpr result<std::size_t> finish() const noexcept {
        return fits_ ? result<std::size_t>{at_} : std::unexpected(errc::too_large);
    }
};

/// A query as a stub resolver sends it: one question, and an OPT record if `payload` is not 0.
struct dns_query {
    std::uint16_t id = 0;
    dns_question question{};
    std::uint16_t payload = 0; ///< octets of UDP payload that we take, see dns_writer::opt()
    bool recursion = true;     ///< RD

    static constexpr std::size_t max_size = dns_at::header + dns_name::max_size + 4 + 11; ///< octets

    /// Writes the query to `room`, max_size octets at least, and returns its length in octets.
    constexpr std::size_t emit(mutable_octets room) const noexcept {
        check(room.size() >= max_size, "dns_query: no room");
        auto* p = room.data();
        dns_at::id::store(p, id);
        dns_at::flags::store(p, recursion ? dns_flag::recursion_desired : std::uint16_t{0});
        store<std::uint64_t>(p + dns_at::questions::offset, std::uint64_t{1} << 48 | (payload != 0 ? 1u : 0u));
        p += dns_at::header;
        for (const std::uint8_t o : question.name.wire())
            *p++ = static_cast<std::byte>(o);
        store<std::uint16_t>(p, static_cast<std::uint16_t>(question.type));
        store<std::uint16_t>(p + 2, static_cast<std::uint16_t>(question.cls));
        p += 4;
        if (payload != 0) {
            *p = std::byte{0};
            store<std::uint16_t>(p + 1, static_cast<std::uint16_t>(dns_type::opt));
            store<std::uint16_t>(p + 3, payload);
            store<std::uint32_t>(p + 5, 0);
            store<std::uint16_t>(p + 9, 0);
            p += 11;
        }
        return static_cast<std::size_t>(p - room.data());
    }
};

} // namespace mirage::wire
