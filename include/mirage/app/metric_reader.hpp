// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/line.hpp"
#include "mirage/core/statistics.hpp"

namespace mirage {

/// Reads a statistics_text word by word, and puts together what the Prometheus text format, version 0.0.4, has of each.
/// `Full`: with HELP, and with labels of the whole struct.
template <bool Full>
class metric_reader {
    const char* at_;
    unsigned word_ = ~0u, words_;
    std::string_view prefix_, labels_{};
    line<80> name_{};
    line<400> line_{};

    [[gnu::noinline]] std::string_view field() noexcept {
        const std::string_view text{at_};
        at_ += text.size() + 1;
        return text;
    }

public:
    explicit metric_reader(const char* text) noexcept
        : at_{text + 1}, words_{static_cast<unsigned char>(*text)}, prefix_{field()} {}

    /// To the next word, which is the first at first; false behind the last. With a name of its own it begins with
    /// HELP and TYPE.
    bool next() noexcept {
        if (++word_ == words_)
            return false;
        const char kind = *at_++;
        if (kind != statistic::same_name) {
            const bool grows = kind == statistic::grows;
            name_.clear();
            name_ << prefix_ << field() << (grows ? "_total" : "");
            if constexpr (Full)
                line_ << "# HELP " << name_.view() << ' ' << field() << '\n';
            line_ << "# TYPE " << name_.view() << (grows ? " counter\n" : " gauge\n");
        }
        labels_ = field();
        return true;
    }

    unsigned word() const noexcept { return word_; }

    /// The series itself.
    void show(std::uint64_t value, std::string_view own = {}) noexcept {
        line_ << name_.view();
        if constexpr (Full) {
            if (!labels_.empty() || !own.empty())
                line_ << '{' << own << (labels_.empty() || own.empty() ? "" : ",") << labels_ << '}';
        } else if (!labels_.empty()) {
            line_ << '{' << labels_ << '}';
        }
        line_ << ' ' << static_cast<std::int64_t>(value) << '\n';
    }

    std::string_view text() const noexcept { return line_.view(); }
    void begin_line() noexcept { line_.clear(); }
};

} // namespace mirage
