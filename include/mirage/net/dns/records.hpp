// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/check.hpp"
#include "mirage/wire/dns.hpp"
#include <array>

namespace mirage::net {

/// The data of some records of one type, in a fixed room, readable without the message that they came in.
class dns_record_set {
    static constexpr std::size_t room = 512; // octets, lengths included
    std::array<std::byte, room> data_;       // length, data, length, data ...
    std::uint16_t used_ = 0;
    std::uint8_t count_ = 0;
    bool cut_ = false;

public:
    dns_record_set() noexcept {} // what is behind used_ is never read
    dns_record_set(const dns_record_set& other) noexcept { *this = other; }
    dns_record_set& operator=(const dns_record_set& other) noexcept {
        used_ = other.used_;
        count_ = other.count_;
        cut_ = other.cut_;
        std::copy_n(other.data_.begin(), used_, data_.begin());
        return *this;
    }

    /// False: the data are malformed. Well-formed data that do not fit are left out, and cut() says so.
    bool add(wire::dns_type type, const wire::dns_data& data) noexcept {
        if (cut_ || count_ == 255)
            return true;
        const std::size_t left = room - used_;
        const auto to = mutable_octets{data_}.subspan(used_);
        const auto length = left < 2 ? std::nullopt : wire::copy_dns_data(type, data, to.subspan(2));
        if (length) {
            wire::store<std::uint16_t>(to.data(), static_cast<std::uint16_t>(*length));
            used_ = static_cast<std::uint16_t>(used_ + 2 + *length);
            ++count_;
            return true;
        }
        std::array<std::byte, room + 300> enough;
        cut_ = data.length > room || wire::copy_dns_data(type, data, enough).has_value();
        return cut_;
    }

    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    bool cut() const noexcept { return cut_; } ///< there were more than there is room for
    void clear() noexcept {
        used_ = count_ = 0;
        cut_ = false;
    }

    /// The data of record `i`, below size().
    wire::dns_data at(std::size_t i) const noexcept {
        check(i < count_, "dns_record_set: there are not so many");
        std::size_t begin = 0;
        while (i-- > 0)
            begin += 2u + wire::load<std::uint16_t>(data_.data() + begin);
        const std::size_t length = wire::load<std::uint16_t>(data_.data() + begin);
        return {octets{data_}.subspan(begin + 2, length), 0, length};
    }
};

/// The records of type T that a query gave, in the server's order.
template <wire::dns_type T>
class dns_records {
    dns_record_set set_;

public:
    using value_type = typename wire::dns_format<T>::value;

    explicit dns_records(const dns_record_set& set) noexcept : set_{set} {}

    std::size_t size() const noexcept { return set_.size(); }
    bool cut() const noexcept { return set_.cut(); } ///< there were more than there is room for
    /// Record `i`, below size(). A dns_texts refers to memory of this object.
    value_type operator[](std::size_t i) const noexcept { return *wire::dns_format<T>::read(set_.at(i)); }
};

} // namespace mirage::net
