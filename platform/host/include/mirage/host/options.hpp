// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/os/device_list.hpp"
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mirage::host {

/// Puts a line on standard error. `text` has no end of line.
void complain(const std::string& text) noexcept;

/// The words of a command line, taken apart: what is for this platform (`--KIND:DEVICE=VALUE`), up to the
/// first word that is not, and the application's boot keys behind it. `--` ends the platform's part, too.
class options {
public:
    enum class kind : std::uint8_t { net, net_mac, block, block_sector_size, pcap };

private:
    struct option {
        kind what{};
        std::string_view device, value;
    };
    struct spelling {
        std::string_view prefix;
        kind what{};
    };
    static constexpr spelling spellings[] = {{"--net:", kind::net},
                                             {"--net-mac:", kind::net_mac},
                                             {"--block:", kind::block},
                                             {"--block-sector-size:", kind::block_sector_size},
                                             {"--pcap:", kind::pcap}};

    std::vector<option> given_;
    std::string keys_;

    /// Takes `word` if it is for this platform. `bad`: it is, but it is not well-formed.
    bool take(std::string_view word, bool& bad) {
        for (const auto& s : spellings) {
            if (!word.starts_with(s.prefix))
                continue;
            const auto rest = word.substr(s.prefix.size());
            const auto equals = rest.find('=');
            if (equals == 0 || equals == std::string_view::npos || equals + 1 == rest.size()) {
                complain(std::string{word} + ": expected " + std::string{s.prefix} + "DEVICE=VALUE");
                bad = true;
            } else {
                given_.push_back({s.what, rest.substr(0, equals), rest.substr(equals + 1)});
            }
            return true;
        }
        return false;
    }

public:
    /// `words` outlive this: argv without the program's name. False: a word is wrong, and that has been said.
    bool read(std::span<char* const> words) {
        bool bad = false;
        std::size_t i = 0;
        while (i < words.size() && !bad && take(words[i], bad))
            ++i;
        if (i < words.size() && std::string_view{words[i]} == "--")
            ++i;
        for (; i < words.size(); ++i) {
            keys_ += keys_.empty() ? "" : " ";
            keys_ += words[i];
        }
        return !bad;
    }

    /// The application's part, joined by single spaces.
    std::string_view keys() const noexcept { return keys_; }

    /// What was given last for this device.
    std::optional<std::string_view> find(kind what, std::string_view device) const noexcept {
        std::optional<std::string_view> value;
        for (const option& o : given_)
            if (o.what == what && o.device == device)
                value = o.value;
        return value;
    }

    /// Whether every option is for a device that the application has. False: one is not, and that has been
    /// said.
    bool fit(std::span<const os::device_entry> devices) const {
        for (const option& o : given_) {
            const bool disk = o.what == kind::block || o.what == kind::block_sector_size;
            const auto wanted = disk ? os::device_kind::block : os::device_kind::netif;
            bool known = false;
            std::string names;
            for (const os::device_entry& d : devices) {
                if (d.kind != wanted)
                    continue;
                known = known || d.name == o.device;
                names += names.empty() ? "" : ", ";
                names += d.name;
            }
            if (known)
                continue;
            const std::string what = disk ? "block device" : "network interface";
            complain(std::string{spellings[static_cast<std::size_t>(o.what)].prefix} + std::string{o.device}
                     + ": this application has no such " + what
                     + (names.empty() ? "; it uses none" : "; it has: " + names));
            return false;
        }
        return true;
    }
};

} // namespace mirage::host
