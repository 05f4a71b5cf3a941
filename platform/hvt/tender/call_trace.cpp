// SPDX-License-Identifier: MIT
#include "call_trace.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

namespace mirage::tender {

namespace abi = hvt::abi;

namespace {

std::uint64_t now() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

/// "0.000123": seconds, six digits or nine.
std::string seconds(std::uint64_t ns, int digits) {
    char text[48];
    std::snprintf(text, sizeof text, "%llu.%0*llu", static_cast<unsigned long long>(ns / 1'000'000'000), digits,
                  static_cast<unsigned long long>(ns % 1'000'000'000 / (digits == 6 ? 1000 : 1)));
    return text;
}

std::string hex(std::uint64_t value) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
    return text;
}

template <class T>
std::optional<T> argument(const guest_memory& memory, std::uint64_t address) {
    const auto place = memory.readable(address, sizeof(T));
    if (place.empty())
        return {};
    T value;
    std::memcpy(static_cast<void*>(&value), place.data(), sizeof value);
    return value;
}

/// The beginning of a text, with nothing in it that a terminal would obey.
std::string quoted(const guest_memory& memory, std::uint64_t address, std::uint64_t size) {
    constexpr std::uint64_t most = 48;
    const auto text = memory.readable(address, std::min(size, most));
    std::string result = "\"";
    for (const std::byte b : text) {
        const char c = static_cast<char>(b);
        result += c == '\n' ? "\\n" : c == '"' || c == '\\' ? std::string{'\\', c} : c >= ' ' && c <= '~' ? std::string{c} : ".";
    }
    return result + (size > most ? "\"..." : "\"");
}

const char* result_name(abi::status s) {
    switch (s) {
    case abi::status::ok: return "OK";
    case abi::status::again: return "AGAIN";
    case abi::status::invalid: return "EINVAL";
    case abi::status::unspecified: return "EUNSPEC";
    }
    return "?";
}

} // namespace

outcome<call_trace> call_trace::open(const std::string& path) {
    call_trace t;
    if (!path.empty()) {
        t.file_ = hosted::unique_fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666)};
        if (!t.file_)
            return failure("--trace=" + path + ": " + std::strerror(errno));
    }
    t.begin_ = now();
    return t;
}

void call_trace::enter(const guest_memory& memory, std::uint16_t port, std::uint64_t address) {
    entered_ = now();
    line_ = seconds(entered_ - begin_, 6) + " ";
    const auto transfer = [&](const char* name, const auto& call) {
        line_ += name;
        if (call)
            line_ += "(" + std::to_string(call->handle) + ", " + hex(call->data) + ", " + std::to_string(call->len);
    };
    switch (port) {
    case PORT_WALLTIME: line_ += "WALLTIME("; break;
    case PORT_PUTS:
        line_ += "PUTS(";
        if (const auto call = argument<abi::puts>(memory, address))
            line_ += quoted(memory, call->data, call->len) + ", " + std::to_string(call->len);
        break;
    case PORT_POLL:
        line_ += "POLL(";
        if (const auto call = argument<abi::poll>(memory, address))
            line_ += seconds(call->timeout_nsecs, 9) + " s";
        break;
    case PORT_BLOCK_WRITE:
    case PORT_BLOCK_READ: {
        const auto call = argument<abi::block_transfer>(memory, address);
        transfer(port == PORT_BLOCK_WRITE ? "BLOCK_WRITE" : "BLOCK_READ", call);
        line_ += call ? ", at " + std::to_string(call->offset) : "(";
        break;
    }
    case PORT_NET_WRITE:
    case PORT_NET_READ: {
        const auto call = argument<abi::net_transfer>(memory, address);
        transfer(port == PORT_NET_WRITE ? "NET_WRITE" : "NET_READ", call);
        line_ += call ? "" : "(";
        break;
    }
    case PORT_HALT:
        line_ += "HALT(";
        if (const auto call = argument<abi::halt>(memory, address))
            line_ += std::to_string(call->exit_status) + ", " + hex(call->cookie);
        break;
    default: line_ += "OUT " + hex(port) + "(" + hex(address);
    }
    line_ += ")";
}

void call_trace::leave(const guest_memory& memory, std::uint16_t port, std::uint64_t address) {
    const std::uint64_t took = now() - entered_;
    switch (port) {
    case PORT_WALLTIME:
        if (const auto call = argument<abi::walltime>(memory, address))
            line_ += " = " + seconds(call->nsecs, 9);
        break;
    case PORT_POLL:
        if (const auto call = argument<abi::poll>(memory, address))
            line_ += " = " + std::to_string(call->ret) + ", ready " + hex(call->ready_set);
        break;
    case PORT_BLOCK_WRITE:
    case PORT_BLOCK_READ:
        if (const auto call = argument<abi::block_transfer>(memory, address))
            line_ += std::string{" = "} + result_name(call->ret);
        break;
    case PORT_NET_WRITE:
    case PORT_NET_READ:
        if (const auto call = argument<abi::net_transfer>(memory, address))
            line_ += std::string{" = "} + result_name(call->ret)
                     + (port == PORT_NET_READ && call->ret == abi::status::ok ? ", " + std::to_string(call->len) : "");
        break;
    default: break;
    }
    line_ += " <" + seconds(took, 6) + ">\n";
    (void)!::write(file_ ? file_.get() : STDERR_FILENO, line_.data(), line_.size()); // a full disk ends no guest
}

} // namespace mirage::tender
