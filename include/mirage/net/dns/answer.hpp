// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/dns/records.hpp"

namespace mirage::net {

/// What a response comes to.
enum class dns_verdict : std::uint8_t {
    answered,     ///< there are records of the type
    no_data,      ///< the name is there, but has none: RFC 2308 section 2.2
    no_name,      ///< there is no such name: RFC 2308 section 2.1
    alias,        ///< the name is another one, about which the response says nothing
    truncated,    ///< to be had by TCP: RFC 2181 section 9
    format_error, ///< the server cannot read the query: to be asked without EDNS, RFC 6891 section 7
    failed,       ///< the server does not know, does not want to, or talks nonsense
};

/// Is this a verdict about the name, rather than about the server?
constexpr bool is_final(dns_verdict v) noexcept { return v <= dns_verdict::alias; }

/// What was found out, and for how long it holds.
struct dns_reading {
    dns_verdict verdict = dns_verdict::failed;
    dns_record_set records{};   ///< of the type that was asked for
    std::uint32_t lifetime = 0; ///< seconds; 0: not to be kept
};

/// How many aliases there may be on the way to an answer.
inline constexpr unsigned max_dns_aliases = 8;

/// Is `view` about the query with `id` and `question`? Without regard to case: see dns_name::same_spelling().
/// RFC 5452 section 9.1
inline bool is_response_to(const wire::dns_view& view, std::uint16_t id, const wire::dns_question& question) noexcept {
    return view.id() == id && view.is_response() && view.opcode() == wire::dns_opcode::query
           && view.questions() == 1 && view.question() == question;
}

/// Reads a response to a question for `type` about `name`, which is moved along the aliases that the response tells;
/// `left` counts how many more are allowed. Believes nothing that is not about a name on that way: a forged or careless
/// server cannot say anything about other names (RFC 5452 section 6).
inline void read_dns_answer(const wire::dns_view& view, wire::dns_type type, wire::dns_name& name, unsigned& left,
                            dns_reading& out) noexcept {
    using wire::dns_rcode;
    out.records.clear();
    out.lifetime = 0;
    const auto code = view.rcode();
    if (code != dns_rcode::no_error && code != dns_rcode::name_error) {
        out.verdict = code == dns_rcode::format_error || code == dns_rcode::not_implemented
                              || code == dns_rcode::bad_version
                          ? dns_verdict::format_error
                          : dns_verdict::failed;
        return;
    }
    if (view.truncated()) {
        out.verdict = dns_verdict::truncated;
        return;
    }
    std::uint32_t lifetime = 0x7fffffff;
    const auto each_of = [&name](wire::dns_record_walk walk, wire::dns_type wanted, auto&& told) {
        while (const auto record = walk.next())
            if (record->cls == wire::dns_class::internet && record->type == wanted && record->owner() == name
                && !told(*record))
                return;
    };
    bool moved = false;
    for (;;) {
        each_of(view.answers(), type, [&](const wire::dns_record& r) {
            if (out.records.add(r.type, r.data))
                lifetime = std::min(lifetime, r.lifetime());
            return true;
        });
        if (!out.records.empty() || out.records.cut()) { // what there is no room for is there all the same
            out.verdict = dns_verdict::answered;
            out.lifetime = lifetime;
            return;
        }
        std::optional<wire::dns_name> real;
        if (type != wire::dns_type::cname)
            each_of(view.answers(), wire::dns_type::cname, [&](const wire::dns_record& r) {
                real = r.get<wire::dns_type::cname>();
                lifetime = std::min(lifetime, r.lifetime());
                return false; // a name has one: RFC 2181 section 10.1
            });
        if (!real)
            break;
        if (left == 0) {
            out.verdict = dns_verdict::failed;
            return;
        }
        --left;
        name = *real;
        moved = true;
    }
    // Nothing of the kind. How long that holds is in the zone's SOA: RFC 2308 sections 3 and 5.
    bool has_start = false, refers = false;
    for (auto walk = view.authorities(); const auto record = walk.next();) {
        refers |= record->type == wire::dns_type::ns;
        const auto start = record->type == wire::dns_type::soa ? record->get<wire::dns_type::soa>() : std::nullopt;
        if (!start || !name.is_within(record->owner()))
            continue;
        has_start = true;
        out.lifetime = std::min({lifetime, record->lifetime(), start->minimum});
    }
    if (code == dns_rcode::name_error)
        out.verdict = dns_verdict::no_name;
    else if (has_start)
        out.verdict = dns_verdict::no_data;
    else if (moved) {
        out.verdict = dns_verdict::alias;
        out.lifetime = lifetime;
    } else // RFC 2308 section 2.2: name servers and no SOA are a referral, which is nothing for a stub
        out.verdict = refers ? dns_verdict::failed : dns_verdict::no_data;
}

} // namespace mirage::net
