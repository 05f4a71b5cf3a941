// SPDX-License-Identifier: MIT
#pragma once
#include <cstdint>
#include <cstring>
#include <mirage/mirage.hpp>
#include <optional>

/// Consecutive sectors.
struct extent {
    std::uint64_t sector = 0, count = 0;
};

/// What sectors hold: a sequence of words that differs from sector to sector, and from key to key.
class pattern {
    static constexpr std::uint64_t step = 0x9e3779b97f4a7c15; // 2^64 divided by the golden ratio

    std::uint64_t key_;
    std::uint32_t sector_size_;

    static constexpr std::uint64_t mix(std::uint64_t x) noexcept {
        x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9;
        return x ^ x >> 29;
    }

    /// Calls `each(octet offset, word)` for every word of the extent; false as soon as that is.
    template <class Each>
    bool words(extent where, Each each) const noexcept {
        for (std::uint64_t s = 0; s < where.count; ++s) {
            std::uint64_t word = mix(key_ + (where.sector + s) * step);
            for (std::uint32_t at = 0; at < sector_size_; at += sizeof word, word += step)
                if (!each(s * sector_size_ + at, word))
                    return false;
        }
        return true;
    }

public:
    constexpr pattern(std::uint64_t key, std::uint32_t sector_size) noexcept : key_{key}, sector_size_{sector_size} {}

    void fill(extent where, mirage::mutable_octets out) const noexcept {
        (void)words(where, [&](std::uint64_t at, std::uint64_t word) noexcept {
            std::memcpy(out.data() + at, &word, sizeof word);
            return true;
        });
    }

    /// The first sector that holds something else.
    std::optional<std::uint64_t> differs(extent where, mirage::octets in) const noexcept {
        std::uint64_t first = 0;
        const bool same = words(where, [&](std::uint64_t at, std::uint64_t word) noexcept {
            first = where.sector + at / sector_size_;
            return std::memcmp(in.data() + at, &word, sizeof word) == 0;
        });
        return same ? std::nullopt : std::optional{first};
    }
};

/// All of an area, a chunk after the other.
class in_order {
    std::uint64_t next_ = 0, end_, chunk_;

public:
    in_order(std::uint64_t sectors, std::uint64_t chunk) noexcept : end_{sectors}, chunk_{chunk} {}
    std::optional<extent> next() noexcept {
        if (next_ == end_)
            return std::nullopt;
        const extent e{next_, end_ - next_ < chunk_ ? end_ - next_ : chunk_};
        next_ += e.count;
        return e;
    }
};

/// So many places of an area, up to a chunk long, always the same for one seed.
class at_random {
    std::uint64_t state_, sectors_, chunk_, left_;

    /// splitmix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014), below `limit`.
    std::uint64_t number(std::uint64_t limit) noexcept {
        std::uint64_t x = state_ += 0x9e3779b97f4a7c15;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return (x ^ x >> 31) % limit;
    }

public:
    at_random(std::uint64_t seed, std::uint64_t sectors, std::uint64_t chunk, std::uint64_t count) noexcept
        : state_{seed}, sectors_{sectors}, chunk_{chunk}, left_{count} {}
    std::optional<extent> next() noexcept {
        if (left_ == 0)
            return std::nullopt;
        --left_;
        const std::uint64_t at = number(sectors_), most = sectors_ - at < chunk_ ? sectors_ - at : chunk_;
        return extent{at, 1 + number(most)};
    }
};
