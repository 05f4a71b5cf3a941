// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "common.hpp"

namespace mirage::bench {

/// Follows one HTTP/1.1 response through the octets of a connection: status 200 and a Content-Length are asked
/// for (RFC 9112 section 6.3), the content is counted and not kept.
class http_response {
public:
    enum class progress { partial, complete, wrong };

    /// Where the next octets are to be read to.
    std::span<char> room() {
        return in_content_ ? std::span{memory_} : std::span{memory_}.subspan(held_);
    }

    /// Takes the `count` octets that were read into room().
    progress take(std::size_t count) {
        octets_ += count;
        if (in_content_)
            return content(count);
        held_ += count;
        const std::string_view head{memory_.data(), held_};
        const auto end = head.find("\r\n\r\n");
        if (end == head.npos)
            return held_ == memory_.size() ? progress::wrong : progress::partial;
        if (!head.starts_with("HTTP/1.1 200 ") || !find_length(head.substr(0, end + 2)))
            return progress::wrong;
        in_content_ = true;
        return content(held_ - (end + 4));
    }

    /// Ready for the next response of the same connection.
    void restart() {
        in_content_ = false;
        held_ = 0;
        missing_ = 0;
    }

    std::uint64_t octets() const { return octets_; }

private:
    bool find_length(std::string_view head) {
        for (std::size_t line = head.find("\r\n") + 2; line < head.size(); line = head.find("\r\n", line) + 2) {
            constexpr std::string_view name = "content-length:";
            if (head.size() - line < name.size())
                return false;
            bool same = true;
            for (std::size_t i = 0; i < name.size(); ++i)
                same = same && (head[line + i] == name[i] || head[line + i] + 32 == name[i]);
            if (!same)
                continue;
            auto value = head.substr(line + name.size());
            value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
            return std::from_chars(value.data(), value.data() + value.size(), missing_).ec == std::errc{};
        }
        return false;
    }

    progress content(std::size_t count) {
        if (count > missing_)
            return progress::wrong;
        missing_ -= count;
        return missing_ == 0 ? progress::complete : progress::partial;
    }

    std::array<char, 16384> memory_;
    std::size_t held_ = 0;
    std::size_t missing_ = 0;
    bool in_content_ = false;
    std::uint64_t octets_ = 0;
};

} // namespace mirage::bench
