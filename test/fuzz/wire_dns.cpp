// SPDX-License-Identifier: MIT
#include "mirage/wire/dns.hpp"
#include "support/fuzz.hpp"
#include <array>
#include <vector>

using namespace mirage;
using namespace mirage::wire;

static void touch(const dns_record& r) {
    fuzz::touch(r.data.view());
    fuzz::touch(r.get<dns_type::a>());
    fuzz::touch(r.get<dns_type::aaaa>());
    fuzz::touch(r.get<dns_type::cname>());
    fuzz::touch(r.get<dns_type::srv>());
    fuzz::touch(r.get<dns_type::mx>());
    fuzz::touch(r.get<dns_type::soa>());
    if (auto texts = r.get<dns_type::txt>())
        while (const auto text = texts->next())
            fuzz::touch(*text);
}

/// A name is the same one after it was written as text and read again.
static void round_trip(const dns_name& name) {
    fuzz::expect(name.size() <= dns_name::max_size && name.labels() <= dns_name::max_labels, "a name's size");
    line<4 * dns_name::max_size> text;
    text << name;
    const auto again = dns_name::parse(text.view());
    fuzz::expect(again && again->same_spelling(name), "a name comes back from its text");
    fuzz::expect(name.is_within(name) && name.is_within(dns_name{}), "a name is within itself and the root");
}

/// A message that was read is written again, record by record, and means the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const octets message = fuzz::input(data, size);
    if (const auto name = dns_name::read(message, 0))
        round_trip(name->name);
    if (const auto name = dns_name::parse(as_text(message)))
        round_trip(*name);
    const auto view = dns_view::parse(message);
    if (!view)
        return 0;
    fuzz::touch(view->rcode());
    fuzz::touch(view->opt());
    std::vector<std::byte> room(64 * size + 600), value(size + 600), same_value(size + 600);
    dns_writer writer{room, view->id(), static_cast<std::uint16_t>(load<std::uint16_t>(message.data() + 2))};
    if (const auto question = view->question()) {
        round_trip(question->name);
        writer.ask(*question);
    }
    const std::array walks{view->answers(), view->authorities(), view->additionals()};
    unsigned section = 1;
    for (auto walk : walks) {
        while (const auto record = walk.next()) {
            touch(*record);
            round_trip(record->owner());
            if (const auto length = copy_dns_data(record->type, record->data, value))
                writer.add(dns_writer::section{section}, record->owner(), record->type, record->ttl,
                           octets{value}.first(*length));
        }
        ++section;
    }
    const auto length = writer.finish();
    fuzz::expect(length.has_value(), "it fits");
    const auto back = dns_view::parse(octets{room}.first(*length));
    fuzz::expect(back.has_value(), "it parses");
    fuzz::expect(back->id() == view->id() && back->opcode() == view->opcode()
                     && back->is_response() == view->is_response() && back->question() == view->question(),
                 "the header comes back");
    const std::array back_walks{back->answers(), back->authorities(), back->additionals()};
    for (std::size_t i = 0; i < walks.size(); ++i) {
        auto before = walks[i], after = back_walks[i];
        while (const auto record = before.next()) {
            const auto here = copy_dns_data(record->type, record->data, value);
            if (!here)
                continue;
            const auto same = after.next();
            fuzz::expect(same && same->owner().same_spelling(record->owner()) && same->type == record->type
                             && same->ttl == record->ttl,
                         "a record comes back");
            const auto there = copy_dns_data(same->type, same->data, same_value);
            fuzz::expect(there && fuzz::same(octets{value}.first(*here), octets{same_value}.first(*there)),
                         "and so do its data");
        }
        fuzz::expect(!after.next(), "and no others");
    }
    return 0;
}
