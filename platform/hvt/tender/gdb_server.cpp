// SPDX-License-Identifier: MIT
#include "gdb_server.hpp"
#include <charconv>
#include <cstring>

namespace mirage::tender {

namespace {

constexpr char digits[] = "0123456789abcdef";

std::string hex(std::span<const std::byte> octets) {
    std::string text;
    text.reserve(2 * octets.size());
    for (const std::byte b : octets) {
        text += digits[std::to_integer<unsigned>(b) >> 4];
        text += digits[std::to_integer<unsigned>(b) & 15];
    }
    return text;
}

/// False where it is not exactly `to.size()` octets. "xx" leaves one as it is.
bool unhex(std::string_view text, std::span<std::byte> to) {
    if (text.size() != 2 * to.size())
        return false;
    for (std::size_t i = 0; i < to.size(); ++i) {
        unsigned value = 0;
        if (text.substr(2 * i, 2) == "xx")
            continue;
        const char* const end = text.data() + 2 * i + 2;
        if (const auto got = std::from_chars(end - 2, end, value, 16); got.ec != std::errc{} || got.ptr != end)
            return false;
        to[i] = static_cast<std::byte>(value);
    }
    return true;
}

/// Takes a hexadecimal number, and the character behind it when there is one, off `text`.
bool number(std::string_view& text, std::uint64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{})
        return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    text.remove_prefix(text.empty() ? 0 : 1);
    return true;
}

const std::string ok = "OK", bad = "E01", no_memory = "E0e", unknown;

} // namespace

/// KVM_GET_FPU does not tell MXCSR: it is not available.
std::string gdb_server::all_registers() {
    std::string text = hex(shown_.octets);
    const auto unknown_place = shown_.at(register_file::mxcsr);
    text.replace(2 * static_cast<std::size_t>(unknown_place.data() - shown_.octets), 2 * unknown_place.size(),
                 2 * unknown_place.size(), 'x');
    return text;
}

std::string gdb_server::registers_answer(const std::string& command) {
    std::string_view rest{command};
    rest.remove_prefix(1);
    std::uint64_t which = 0;
    switch (command[0]) {
    case 'g': return all_registers();
    case 'G':
        if (!unhex(rest, shown_.octets))
            return bad;
        break;
    case 'p':
        if (!number(rest, which) || which >= register_file::count)
            return bad;
        return which == register_file::mxcsr ? "xxxxxxxx" : hex(shown_.at(static_cast<unsigned>(which)));
    default:
        if (!number(rest, which) || which >= register_file::count || !unhex(rest, shown_.at(static_cast<unsigned>(which))))
            return bad;
    }
    return debugger_.set_registers(shown_) ? ok : bad;
}

std::string gdb_server::memory_answer(const std::string& command) {
    std::string_view rest{command};
    rest.remove_prefix(1);
    std::uint64_t address = 0, size = 0;
    if (!number(rest, address) || !number(rest, size) || size > gdb_link::longest / 2)
        return bad;
    std::vector<std::byte> octets(size);
    if (command[0] == 'm') {
        // As much of it as there is: gdb reads ahead.
        while (!octets.empty() && !debugger_.read(address, octets))
            octets.resize((address + octets.size() - 1) / 4096 == address / 4096
                              ? 0 : (address + octets.size() - 1) / 4096 * 4096 - address);
        return octets.empty() && size != 0 ? no_memory : hex(octets);
    }
    if (command[0] == 'X') {
        if (rest.size() != size)
            return bad;
        std::memcpy(octets.data(), rest.data(), size);
    } else if (!unhex(rest, octets)) {
        return bad;
    }
    return debugger_.write(address, octets) ? ok : no_memory;
}

/// Z and z: 0 and 1 break, 2 to 4 watch.
std::string gdb_server::points_answer(const std::string& command) {
    const bool set = command[0] == 'Z';
    std::string_view rest{command};
    rest.remove_prefix(std::min<std::size_t>(3, rest.size()));
    std::uint64_t address = 0, length = 0;
    if (command.size() < 4 || !number(rest, address) || !number(rest, length))
        return bad;
    const char kind = command[1];
    constexpr std::uint8_t execute = 0, written = 1, touched = 3;
    if (kind == '0' || (kind == '1' && !debugger_.by_processor()))
        return (set ? debugger_.plant(address) : debugger_.remove(address)) ? ok : no_memory;
    if (kind < '1' || kind > '4' || (kind > '2' && !debugger_.by_processor()) || length > 8)
        return unknown;
    const std::uint8_t what = kind == '1' ? execute : kind == '2' ? written : touched;
    const auto size = static_cast<std::uint8_t>(kind == '1' ? 1 : length);
    return (set ? debugger_.watch(address, what, size) : debugger_.unwatch(address, what, size)) ? ok : bad;
}

std::string gdb_server::query_answer(const std::string& command) const {
    if (command.starts_with("qSupported"))
        return "PacketSize=4000;qXfer:features:read+;QStartNoAckMode+;swbreak+;vContSupported+";
    constexpr std::string_view description = "qXfer:features:read:target.xml:";
    if (command.starts_with(description)) {
        std::string_view rest{command};
        rest.remove_prefix(description.size());
        std::uint64_t offset = 0, size = 0;
        const std::string text = target_description();
        if (!number(rest, offset) || !number(rest, size) || offset > text.size())
            return bad;
        size = std::min<std::uint64_t>(size, gdb_link::longest / 2);
        return (offset + size < text.size() ? "m" : "l") + text.substr(offset, size);
    }
    if (command == "qfThreadInfo")
        return "m1";
    if (command == "qsThreadInfo")
        return "l";
    if (command == "qC")
        return "QC1";
    if (command.starts_with("qAttached"))
        return "1";
    return unknown;
}

std::string gdb_server::answer(const std::string& command) {
    switch (command[0]) {
    case '?': return reason_;
    case 'g':
    case 'G':
    case 'p':
    case 'P': return registers_answer(command);
    case 'm':
    case 'M':
    case 'X': return memory_answer(command);
    case 'Z':
    case 'z': return points_answer(command);
    case 'q': return query_answer(command);
    case 'H':
    case 'T': return ok; // there is one thread
    case 'Q':
        if (command != "QStartNoAckMode")
            return unknown;
        link_.stop_acknowledging();
        return ok;
    case 'v': return command == "vCont?" ? "vCont;c;C;s;S" : unknown;
    default: return unknown;
    }
}

gdb_server::order gdb_server::converse() {
    for (;;) {
        const std::string command = link_.receive();
        if (command.empty()) {
            say("gdb is gone; the guest runs on without it");
            return order::leave;
        }
        const auto is = [&](std::string_view what) { return command.starts_with(what); };
        if (command == "\x03")
            continue; // it stands already
        if (is("D")) {
            link_.send(ok);
            return order::leave;
        }
        if (is("k") || is("vKill")) {
            if (is("v"))
                link_.send(ok);
            die("ended by gdb");
        }
        const bool step = is("s") || is("S") || is("vCont;s") || is("vCont;S");
        if (!step && !is("c") && !is("C") && !is("vCont;c") && !is("vCont;C")) {
            link_.send(answer(command));
            continue;
        }
        std::string_view rest{command}; // c and s, not C and S, may say where
        rest.remove_prefix(1);
        if (std::uint64_t where = 0; (command[0] == 'c' || command[0] == 's') && number(rest, where)) {
            shown_.set(register_file::rip, where);
            (void)debugger_.set_registers(shown_);
        }
        return step ? order::step : order::go;
    }
}

void gdb_server::stand(const stop& here) {
    shown_ = debugger_.registers();
    using enum stop::reason;
    char text[64];
    switch (here.what) {
    case step: reason_ = "T05thread:1;"; break;
    case breakpoint: reason_ = "T05swbreak:;thread:1;"; break;
    case interrupted: reason_ = "T02thread:1;"; break;
    case watchpoint:
        std::snprintf(text, sizeof text, "T05watch:%llx;thread:1;", static_cast<unsigned long long>(here.address));
        reason_ = text;
        break;
    case gave_up:
        reason_ = "T06thread:1;";
        if (const auto then = registers_of_fault(memory_, here.address, shown_)) {
            shown_ = *then;
            reason_ = "T0bthread:1;";
        }
        break;
    case broken: reason_ = "T0bthread:1;"; break;
    case ended: break;
    }
}

/// The request to stop is taken; everything else has to wait, and does not come while the guest runs.
bool gdb_server::wanted() {
    if (stop_after_call_) {
        stop_after_call_ = false;
        return true;
    }
    return !left_ && link_.pending();
}

void gdb_server::attend() {
    if (left_ || !link_.pending())
        return;
    stand({stop::reason::interrupted, 0, {}});
    if (link_.receive() != "\x03") {
        left_ = true;
        debugger_.leave();
        return;
    }
    link_.send(reason_);
    const order then = converse();
    stop_after_call_ = then == order::step;
    if (then == order::leave) {
        left_ = true;
        debugger_.leave();
    }
}

std::optional<halted> gdb_server::run(hypercalls& calls, const std::function<void(const std::string&)>& broken) {
    stand({stop::reason::step, 0, {}});
    order next = converse();
    for (;;) {
        if (next == order::leave || left_) {
            debugger_.leave();
            link_.close();
            return {};
        }
        const stop here = debugger_.resume(next == order::step, calls, [this] { return left_ || wanted(); });
        if (left_)
            continue;
        if (here.what == stop::reason::interrupted && link_.pending() && link_.receive().empty()) {
            say("gdb is gone; the guest runs on without it");
            left_ = true;
            continue;
        }
        stand(here);
        const bool over = calls.end().has_value();
        if (here.what != stop::reason::ended) {
            link_.send(reason_);
            next = converse();
        }
        if (here.what == stop::reason::broken) {
            link_.send("W01");
            broken(here.why);
        }
        if (over) {
            char text[16];
            std::snprintf(text, sizeof text, "W%02x", static_cast<unsigned>(calls.end()->status) & 255u);
            link_.send(text);
            return calls.end();
        }
    }
}

} // namespace mirage::tender
