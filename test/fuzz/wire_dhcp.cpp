// SPDX-License-Identifier: MIT
#include "mirage/wire/dhcp_message.hpp"
#include "support/fuzz.hpp"
#include <vector>

using namespace mirage;
using namespace mirage::wire;

static void touch(const dhcp_view& v) {
    fuzz::expect(v.type() >= dhcp_type::discover && v.type() <= dhcp_type::inform, "the type");
    fuzz::touch(v.lease_time());
    fuzz::touch(v.renewal_time());
    fuzz::touch(v.rebinding_time());
    fuzz::touch(v.server_identifier());
    fuzz::touch(v.requested_address());
    fuzz::touch(v.broadcast_address());
    fuzz::expect(v.prefix_length().value_or(0) <= 32, "the prefix length");
    fuzz::expect(v.interface_mtu().value_or(68) >= 68, "the MTU");
    fuzz::expect(v.maximum_message_size().value_or(576) >= 576, "the message size");
    std::array<ipv4_address, 20> addresses{};
    fuzz::touch(v.routers(addresses));
    fuzz::touch(v.dns_servers(std::span{addresses}.first(3)));
    std::array<std::byte, 40> room{};
    for (const auto code : {dhcp_option::host_name, dhcp_option::domain_name, dhcp_option::message})
        fuzz::touch(v.text(code, room));
}

/// Everything in one plain options field: the message means the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto view = dhcp_view::parse(fuzz::input(data, size));
    if (!view)
        return 0;
    touch(*view);

    std::vector<std::byte> again(2 * size + 800), value(size), same_value(2 * size + 800);
    dhcp_writer writer{again,
                       {view->op(), view->transaction(), view->seconds(), view->broadcast(),
                        view->client_address(), view->your_address(), view->server_address(),
                        view->relay_address(), view->client_hardware()}};
    const auto is_content = [](unsigned code) {
        return code != static_cast<unsigned>(dhcp_option::overload);
    };
    for (unsigned code = 1; code < 255; ++code)
        if (const auto length = view->copy_option(static_cast<dhcp_option>(code), value);
            length && is_content(code))
            writer.add(static_cast<dhcp_option>(code), octets{value}.first(*length));
    const auto length = writer.finish();
    fuzz::expect(length.has_value(), "it fits");

    const auto back = dhcp_view::parse(octets{again}.first(*length));
    fuzz::expect(back.has_value(), "it parses");
    touch(*back);
    fuzz::expect(back->op() == view->op() && back->transaction() == view->transaction()
                     && back->seconds() == view->seconds() && back->broadcast() == view->broadcast()
                     && back->client_address() == view->client_address()
                     && back->your_address() == view->your_address()
                     && back->server_address() == view->server_address()
                     && back->relay_address() == view->relay_address()
                     && back->client_hardware() == view->client_hardware(),
                 "the fixed part comes back");
    for (unsigned code = 1; code < 255; ++code) {
        if (!is_content(code))
            continue;
        const auto before = view->copy_option(static_cast<dhcp_option>(code), value);
        const auto after = back->copy_option(static_cast<dhcp_option>(code), same_value);
        fuzz::expect(before == after, "an option has the same length");
        if (before)
            fuzz::expect(fuzz::same(octets{value}.first(*before), octets{same_value}.first(*after)),
                         "and the same value");
    }
    return 0;
}
