// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/sink.hpp"
#include "mirage/os/keys.hpp"
#include <algorithm>
#include <array>
#include <span>

namespace mirage::os {

/// What the command line asked for.
enum class parsed : std::uint8_t {
    run,   ///< start the application
    help,  ///< the help text was printed; nothing more to do
    failed ///< something was wrong and has been said
};

namespace detail {

/// How many letters have to be put in, taken out, replaced or swapped with their neighbour to make `b` of
/// `a`. Names of up to 31 letters; longer ones are compared by their first 31.
constexpr unsigned edit_distance(std::string_view a, std::string_view b) noexcept {
    constexpr std::size_t limit = 31;
    a = a.substr(0, limit);
    b = b.substr(0, limit);
    std::array<std::array<std::uint8_t, limit + 1>, 3> rows{};
    for (std::size_t j = 0; j <= b.size(); ++j)
        rows[0][j] = static_cast<std::uint8_t>(j);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto &now = rows[i % 3], &before = rows[(i + 2) % 3];
        now[0] = static_cast<std::uint8_t>(i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            unsigned least = std::min(before[j], now[j - 1]) + 1u;
            least = std::min(least, before[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                least = std::min(least, rows[(i + 1) % 3][j - 2] + 1u);
            now[j] = static_cast<std::uint8_t>(least);
        }
    }
    return rows[a.size() % 3][b.size()];
}

/// One line of text for the console.
class console_line : public line<320> {
    octet_sink out_;

public:
    [[gnu::noinline]] explicit console_line(octet_sink out) noexcept : out_{out} {}
    [[gnu::noinline]] ~console_line() {
        put('\n');
        out_.write(as_octets(view()));
        if (truncated())
            out_.write(as_octets("...\n"));
    }
};

} // namespace detail

/// Reads `--NAME=VALUE` words, separated by spaces, into an application's options. Allocates nothing. All of
/// it runs once: "cold" has the compiler make it small rather than fast.
class key_parser {
    std::string_view program_, summary_;
    std::span<const key_entry> keys_;
    octet_sink out_;

    [[gnu::cold]] parsed unknown(std::string_view name) const noexcept {
        const key_entry* nearest = nullptr;
        unsigned least = static_cast<unsigned>(name.size()) / 3 + 2;
        for (const key_entry& k : keys_)
            if (const unsigned d = detail::edit_distance(name, k.name); d < least) {
                least = d;
                nearest = &k;
            }
        detail::console_line l{out_};
        l << program_ << ": unknown boot key --" << name << "; ";
        if (nearest != nullptr)
            l << "did you mean --" << nearest->name << "? ";
        l << "--help lists them all";
        return parsed::failed;
    }

    [[gnu::cold]] parsed set(const key_entry& k, bool has_value, std::string_view value,
                             void* options) const noexcept {
        if (has_value || k.flag)
            if (k.set(k, options, has_value ? value : std::string_view{"true"}))
                return parsed::run;
        detail::console_line l{out_};
        l << program_ << ": --" << k.name;
        if (has_value)
            l << "=" << value.substr(0, 80) << ": expected ";
        else
            l << " needs a value: ";
        k.accepts(l, k.limits);
        return parsed::failed;
    }

    [[gnu::cold]] parsed help(const void* defaults) const noexcept {
        {
            detail::console_line l{out_};
            l << program_;
            if (!summary_.empty())
                l << ": " << summary_;
            l << "\n\nBoot keys:";
        }
        for (const key_entry& k : keys_) {
            detail::console_line l{out_};
            l << "  --" << k.name << (k.flag ? "[=" : "=") << k.placeholder << (k.flag ? "]" : "")
              << "\n      " << k.description << "; ";
            k.accepts(l, k.limits);
            l << "; default: ";
            k.show(defaults, l);
        }
        detail::console_line l{out_};
        l << "  --help\n      print this and stop";
        return parsed::help;
    }

    [[gnu::cold]] parsed word(std::string_view text, void* options, const void* defaults) const noexcept {
        if (!text.starts_with("--")) {
            detail::console_line l{out_};
            l << program_ << ": '" << text.substr(0, 80)
              << "' is not a boot key; they look like --NAME=VALUE, --help lists them";
            return parsed::failed;
        }
        if (text == "--help")
            return help(defaults);
        text.remove_prefix(2);
        const auto equals = text.find('=');
        const bool has_value = equals != std::string_view::npos;
        const auto name = text.substr(0, equals);
        for (const key_entry& k : keys_)
            if (k.name == name)
                return set(k, has_value, has_value ? text.substr(equals + 1) : std::string_view{}, options);
        return unknown(name.substr(0, 80));
    }

public:
    key_parser(std::string_view program, std::string_view summary, std::span<const key_entry> keys,
               octet_sink out) noexcept
        : program_{program}, summary_{summary}, keys_{keys}, out_{out} {}

    /// Reads all of `command_line`; of a key that is there twice, the last counts. Stops at the first error.
    /// Text values borrow from `command_line`. `options` and `defaults` are what the table was made for.
    [[gnu::cold]] parsed parse(std::string_view command_line, void* options,
                               const void* defaults) const noexcept {
        while (!command_line.empty()) {
            const auto space = std::min(command_line.find(' '), command_line.size());
            const auto text = command_line.substr(0, space);
            command_line.remove_prefix(std::min(space + 1, command_line.size()));
            if (text.empty())
                continue;
            if (const parsed p = word(text, options, defaults); p != parsed::run)
                return p;
        }
        return parsed::run;
    }
};

/// For an application without keys: every word is wrong, only --help is not.
[[gnu::cold]] inline parsed expect_no_keys(std::string_view program, std::string_view command_line,
                                           octet_sink out) noexcept {
    while (command_line.starts_with(' '))
        command_line.remove_prefix(1);
    if (command_line.empty())
        return parsed::run;
    const auto first = command_line.substr(0, std::min(command_line.find(' '), std::size_t{80}));
    const bool help = first == "--help";
    line<160> l;
    l << program << ": takes no boot keys";
    if (!help)
        l << ", but was given " << first;
    l << '\n';
    out.write(as_octets(l.view()));
    return help ? parsed::help : parsed::failed;
}

} // namespace mirage::os
