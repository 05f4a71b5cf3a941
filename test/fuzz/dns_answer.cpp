// SPDX-License-Identifier: MIT
#include "mirage/net/dhcp_names.hpp"
#include "mirage/net/dns/answer.hpp"
#include "support/fuzz.hpp"

using namespace mirage;
using namespace mirage::wire;

static void touch_all(dns_type type, const net::dns_record_set& set) {
    for (std::size_t i = 0; i < set.size(); ++i) {
        const dns_data data = set.at(i);
        fuzz::touch(data.view());
        switch (type) {
        case dns_type::a: fuzz::expect(dns_format<dns_type::a>::read(data).has_value(), "an A record"); break;
        case dns_type::aaaa: fuzz::expect(dns_format<dns_type::aaaa>::read(data).has_value(), "an AAAA record"); break;
        case dns_type::cname: fuzz::expect(dns_format<dns_type::cname>::read(data).has_value(), "a CNAME record"); break;
        case dns_type::ptr: fuzz::expect(dns_format<dns_type::ptr>::read(data).has_value(), "a PTR record"); break;
        case dns_type::mx: fuzz::expect(dns_format<dns_type::mx>::read(data).has_value(), "an MX record"); break;
        case dns_type::srv: fuzz::expect(dns_format<dns_type::srv>::read(data).has_value(), "an SRV record"); break;
        case dns_type::soa: fuzz::expect(dns_format<dns_type::soa>::read(data).has_value(), "a SOA record"); break;
        case dns_type::txt: fuzz::expect(dns_format<dns_type::txt>::read(data).has_value(), "a TXT record"); break;
        default: break;
        }
    }
}

/// What a server sends to a question that is in its own message; and the names in a DHCP message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const octets message = fuzz::input(data, size);
    if (const auto lease = dhcp_view::parse(message)) {
        net::dhcp_names names;
        names.read(*lease);
        for (const auto& n : names.search())
            fuzz::touch(n);
        fuzz::expect(names.time_servers().size() <= 3, "time servers");
    }
    const auto view = dns_view::parse(message);
    const auto question = view ? view->question() : std::nullopt;
    if (!question)
        return 0;
    fuzz::touch(net::is_response_to(*view, view->id(), *question));
    dns_name name = question->name;
    unsigned left = net::max_dns_aliases;
    net::dns_reading reading;
    net::read_dns_answer(*view, question->type, name, left, reading);
    fuzz::expect(left <= net::max_dns_aliases, "the aliases are counted");
    fuzz::expect((reading.verdict == net::dns_verdict::answered) == (!reading.records.empty() || reading.records.cut()),
                 "an answer has records");
    fuzz::expect(reading.verdict != net::dns_verdict::alias || !(name == question->name && left == net::max_dns_aliases),
                 "an alias leads elsewhere");
    touch_all(question->type, reading.records);
    return 0;
}
