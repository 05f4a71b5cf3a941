// SPDX-License-Identifier: MIT
// A peer that says anything, to a live connection of a whole stack: segments made from the connection's own numbers, a little or far
// off, with every flag and option; a user who reads, writes, closes, aborts or lets go; and time that passes. After every step the
// control block makes sense, text is that of the stream in both directions, and in the end nothing is left.
#include "mirage/core/nursery.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/stack.hpp"
#include "support/fuzz.hpp"
#include "support/script.hpp"
#include <optional>
#include <vector>

using namespace mirage;
using namespace std::chrono_literals;
using fuzz::expect;

namespace {

using device = memory::netif<>;
/// What is usual, and all that can be added.
using usual = net::tcp<net::syn_cookies>;
using rich = net::tcp<net::bbr, net::ecn, net::path_mtu_discovery>;

constexpr ipv4_address ours{10, 0, 0, 2}, theirs{10, 0, 0, 1};
constexpr mac_address peer_mac{{2, 0, 0, 0, 0, 9}};
constexpr std::uint16_t our_port = 80;

/// Both streams are this, from their first octet on.
constexpr std::byte pattern(std::uint32_t position) noexcept {
    return static_cast<std::byte>(position * 7 + (position >> 8));
}

template <class Tcp>
struct world {
    using stack_type = net::stack<device, memory::virtual_clock, memory::seeded_random, net::ipv4, Tcp>;
    using layer = std::remove_cvref_t<decltype(std::declval<stack_type&>().tcp())>;

    memory::simulation sim;
    memory::link<> link{sim.loop(), {}};
    memory::seeded_random random{7};
    buffer_pool frames{4, 2048};
    stack_type here{sim.loop(), link.b(), sim.clock(), random,
                    {.network = {.ipv4 = {ours, 24}}, .tcp = {.receive_buffer = 128 * 1024, .send_buffer = 64 * 1024}}};
    std::optional<typename layer::listener> door{std::in_place, here.tcp(), our_port, 2};
    std::optional<typename layer::stream> user;  ///< of the connection that is played with
    std::uint16_t their_port = 5000;
    std::uint32_t irs = 0;              ///< of it
    std::uint32_t heard = 0, said = 0, to_say = 0;
    std::uint32_t iss = 0;              ///< of the last answer to their SYN
    nursery network{sim.loop()};
    std::optional<nursery> tasks{std::in_place, sim.loop()};

    static task<> accept(world& w) {
        while (auto s = co_await w.door->accept())
            if (!w.user && s->remote().port == w.their_port) {
                w.user.emplace(std::move(*s));
                w.irs = w.user->control().rcv.irs.value;
                (void)w.tasks->spawn(read(w));
                (void)w.tasks->spawn(write(w));
            } // others are let go at once
    }
    static task<> read(world& w) {
        for (;;) {
            const auto text = co_await w.user->async_receive();
            if (!text)
                co_return;
            for (const std::byte o : text->view())
                expect(o == pattern(w.heard++), "text arrives in order, once, unchanged");
        }
    }
    event more{sim.loop()};
    static task<> write(world& w) {
        for (;;) {
            while (w.to_say == 0)
                co_await w.more.wait();
            std::array<std::byte, 2000> text;
            const std::size_t n = std::min<std::size_t>(text.size(), w.to_say);
            for (std::size_t i = 0; i < n; ++i)
                text[i] = pattern(w.said + static_cast<std::uint32_t>(i));
            const auto done = co_await w.user->async_write_some(octets{text}.first(n));
            if (!done)
                co_return;
            w.said += static_cast<std::uint32_t>(*done);
            w.to_say -= static_cast<std::uint32_t>(*done);
        }
    }

    world() {
        (void)network.spawn(here.run());
        (void)tasks->spawn(accept(*this));
    }

    void settle() {
        (void)sim.run_until([] { return false; }, sim.now());
        drain();
    }
    void pass(duration d) {
        (void)sim.run_until([] { return false; }, sim.now() + d);
        drain();
    }

    /// What the stack sent: well-formed, and its text is that of the stream.
    void drain() {
        std::array<received_frame, 16> burst;
        for (std::size_t n = 0; (n = link.a().receive(burst)) != 0;)
            for (auto& f : std::span{burst}.first(n)) {
                const octets frame = f.data.view();
                const auto ethernet = wire::ethernet_view::parse(frame);
                expect(ethernet.has_value(), "what is sent is Ethernet");
                if (ethernet->type() == wire::ethertype::arp) {
                    const auto asked = wire::arp_view::parse(frame.subspan(14));
                    if (asked && asked->operation() == wire::arp_operation::request && asked->target_protocol() != ours)
                        give_arp(*asked);
                } else {
                    const auto packet = wire::ipv4_view::parse(frame.subspan(14));
                    expect(packet.has_value(), "what is sent is IPv4");
                    if (packet->protocol() == wire::ip_protocol::tcp)
                        look_at(*packet);
                }
                f.data.reset();
            }
    }
    void look_at(const wire::ipv4_view& packet) {
        const octets text = packet.payload();
        const auto segment = wire::tcp_view::parse(
            text, wire::pseudo_header_sum(packet.source(), packet.destination(), 6, static_cast<std::uint16_t>(text.size())));
        expect(segment.has_value(), "what is sent is TCP, and its checksum is right");
        expect(!segment->options().malformed, "its options are well-formed");
        if (segment->destination_port() != their_port)
            return;
        if (!user) {
            if (segment->has(wire::tcp_flags::syn)) { // which of the peer's SYNs it took
                iss = segment->sequence();
                irs = segment->acknowledgment() - 1;
            }
            return;
        }
        const std::uint32_t at = segment->sequence() - user->control().snd.iss.value - 1;
        for (std::uint32_t i = 0; i < segment->payload().size(); ++i)
            expect(segment->payload()[i] == pattern(at + i), "text that is sent is the user's, at its place");
    }

    template <class Emit>
    void give(std::size_t size, Emit emit) {
        page memory = frames.take();
        if (!memory || size > memory.room().size())
            return;
        emit(memory.room());
        received_frame frame;
        frame.data = std::move(memory).freeze(0, size); // in the device's memory, exactly as long as it is
        here.input(frame);
        frame.data.reset();
        settle();
    }
    void give_arp(const wire::arp_view& asked) {
        const auto reply = wire::arp_packet::reply(peer_mac, asked.target_protocol(), asked);
        page memory = frames.take();
        if (!memory)
            return;
        wire::ethernet_header{link.b().mac(), peer_mac, wire::ethertype::arp}.emit(memory.room());
        reply.emit(memory.room().subspan(14));
        received_frame frame;
        frame.data = std::move(memory).freeze(0, 14 + 28);
        here.input(frame);
    }
    void give_segment(wire::tcp_header header, std::size_t length) {
        const std::size_t own = header.size(), size = 14 + 20 + own + length;
        give(size, [&](mutable_octets room) {
            wire::ethernet_header{link.b().mac(), peer_mac, wire::ethertype::ipv4}.emit(room);
            wire::ipv4_header{.source = theirs,
                              .destination = ours,
                              .protocol = wire::ip_protocol::tcp,
                              .total_length = static_cast<std::uint16_t>(20 + own + length)}
                .emit(room.subspan(14));
            const mutable_octets text = room.subspan(34 + own, length);
            const std::uint32_t at = header.sequence + (has(header.flags, wire::tcp_flags::syn) ? 1u : 0u) - irs - 1;
            for (std::uint32_t i = 0; i < length; ++i)
                text[i] = pattern(at + i);
            wire::partial_sum rest = wire::pseudo_header_sum(theirs, ours, 6, static_cast<std::uint16_t>(own + length));
            rest = rest + wire::sum(text);
            header.emit(room.subspan(34, own), rest);
        });
    }

    /// A control block that RFC 9293 section 3.4 would recognise.
    void examine() {
        if (!user || user->control().state == mirage::tcp::state::closed)
            return;
        using mirage::tcp::at_or_before;
        const auto& c = user->control();
        expect(at_or_before(c.snd.una, c.snd.nxt) && at_or_before(c.snd.nxt, c.snd.max), "SND.UNA =< SND.NXT =< what was sent");
        expect(at_or_before(c.snd.max, c.snd.end + 1), "nothing was sent that is not there");
        expect(c.rcv.unread <= c.rcv.buffer, "no more is kept than was offered");
        expect(mirage::tcp::distance(c.rcv.nxt, c.rcv.advertised) <= static_cast<std::int32_t>(c.rcv.buffer),
               "no more is offered than there is room for");
        expect(c.mss >= 52, "segments carry something");
        expect(c.congestion.window() >= c.mss || c.state < mirage::tcp::state::established, "a segment may always be in flight");
        expect(here.tcp().connections() <= 16, "strangers keep nothing");
    }
};

template <class Tcp>
void play(fuzz::script& script, unsigned options) {
    world<Tcp> w;
    const std::size_t all = w.here.device().receive_pool().available();
    const auto syn = [&](std::uint32_t sequence, std::uint16_t window) {
        wire::tcp_header h{.source_port = w.their_port, .destination_port = our_port, .sequence = sequence,
                           .flags = wire::tcp_flags::syn, .window = window};
        if (options & 1)
            h.options.maximum_segment_size = script.number<std::uint16_t>();
        if (options & 2)
            h.options.window_scale = script.number<std::uint8_t>();
        if (options & 4)
            h.options.timestamps.emplace(script.number<std::uint32_t>(), 0u);
        h.options.sack_permitted = (options & 8) != 0;
        return h;
    };
    if (options & 16) // the backlog is full: what follows goes by cookies, where they are listed
        for (std::uint16_t i = 0; i < 3; ++i)
            w.give_segment({.source_port = static_cast<std::uint16_t>(9000 + i), .destination_port = our_port,
                            .flags = wire::tcp_flags::syn, .window = 100}, 0);
    w.irs = script.number<std::uint32_t>();
    w.give_segment(syn(w.irs, script.number<std::uint16_t>()), 0);
    if (!(options & 32)) { // the peer is honest until the connection stands
        wire::tcp_header ack{.source_port = w.their_port, .destination_port = our_port, .sequence = w.irs + 1,
                             .acknowledgment = w.iss + 1, .flags = wire::tcp_flags::ack, .window = script.number<std::uint16_t>()};
        if (options & 4)
            ack.options.timestamps.emplace(0u, mirage::tcp::timestamp_at(w.sim.now()));
        w.give_segment(ack, 0);
    }

    while (!script.done()) {
        const auto* const c = w.user ? &w.user->control() : nullptr;
        const auto near = [&](std::uint32_t around) -> std::uint32_t {
            switch (script.choice(8)) {
            case 0: return around + script.number<std::uint8_t>();
            case 1: return around - script.number<std::uint8_t>();
            case 2: return around + script.number<std::uint16_t>();
            case 3: return script.number<std::uint32_t>();
            default: return around;
            }
        };
        switch (script.choice(16)) {
        case 0: w.pass(std::chrono::milliseconds{script.number<std::uint8_t>()}); break;
        case 1: w.pass(std::chrono::milliseconds{script.number<std::uint16_t>()}); break;
        case 2:
            if (script.choice(8) == 0)
                w.pass(std::chrono::seconds{script.number<std::uint8_t>()});
            break;
        case 3:
            w.to_say += script.number<std::uint16_t>();
            w.more.set();
            w.settle();
            break;
        case 4:
            if (w.user)
                switch (script.choice(8)) {
                case 0: w.user->shutdown_send(); break;
                case 1: w.user->abort(); break;
                case 2: w.user->no_delay(true); break;
                case 3: w.user->keep_alive(true); break;
                case 4: w.user->user_timeout(std::chrono::seconds{script.number<std::uint8_t>()}); break;
                default: break;
                }
            w.settle();
            break;
        case 5: w.give_segment(syn(c != nullptr ? near(w.irs) : w.irs, script.number<std::uint16_t>()), 0); break;
        default: {
            const std::uint32_t expected = c != nullptr ? c->rcv.nxt.value : w.irs + 1;
            const std::uint32_t sent = c != nullptr ? (script.choice(2) ? c->snd.max.value : c->snd.una.value)
                                                    : w.iss + 1;
            wire::tcp_header h{.source_port = w.their_port, .destination_port = our_port, .sequence = near(expected),
                               .acknowledgment = near(sent), .flags = wire::tcp_flags::ack, .window = script.number<std::uint16_t>()};
            const unsigned flags = script.choice(16);
            if (flags == 1)
                h.flags = wire::tcp_flags::rst;
            else if (flags == 2)
                h.flags = wire::tcp_flags::rst | wire::tcp_flags::ack;
            else if (flags == 3)
                h.flags = wire::tcp_flags::fin | wire::tcp_flags::ack;
            else if (flags == 4)
                h.flags = wire::tcp_flags{script.number<std::uint8_t>()};
            if (options & 4 && script.choice(8) != 0)
                h.options.timestamps.emplace(c != nullptr ? near(c->timestamps.recent) : 0u,
                                             near(mirage::tcp::timestamp_at(w.sim.now())));
            if (options & 8)
                for (unsigned blocks = script.choice(4); blocks > 0; --blocks) {
                    const std::uint32_t left = near(sent);
                    h.options.sack[h.options.sack_count++] = {left, near(left + 1000)};
                }
            w.give_segment(h, script.choice(3) == 0 ? script.number<std::uint16_t>() % 1400 : 0u);
            break;
        }
        }
        w.examine();
    }
    // The user lets go, the peer is silent: everything ends by itself, and every page comes back.
    w.tasks.reset();
    w.user.reset();
    w.door.reset();
    for (int i = 0; i < 400 && w.here.tcp().connections() != 0; ++i)
        w.pass(10s);
    expect(w.here.tcp().connections() == 0, "no connection outlives its peer for ever");
    w.drain();
    expect(w.here.device().receive_pool().available() == all, "every page comes back");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::script script{fuzz::input(data, size)};
    const unsigned options = script.number<std::uint8_t>();
    if (options & 64)
        play<rich>(script, options);
    else
        play<usual>(script, options);
    return 0;
}
