// SPDX-License-Identifier: MIT
//
// What compilers call behind the scenes, and <cstring> with it: memcpy, memmove, memset, memcmp, bcmp, memchr,
// strlen. Built with -fno-builtin and -fno-tree-loop-distribute-patterns, so that none becomes a call of itself.
// Moves are unaligned SSE2 pairs that overlap where the length is no multiple: no loop below 65 octets.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <emmintrin.h>

namespace {

using octet = unsigned char;

template <class T>
inline T load(const octet* from) noexcept {
    T value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}
template <class T>
inline void store(octet* to, T value) noexcept {
    __builtin_memcpy(to, &value, sizeof value);
}

/// Both ends of at least sizeof(T) and at most 2 * sizeof(T) octets. All loads come before the first store.
template <class T>
inline void move_ends(octet* to, const octet* from, std::size_t n) noexcept {
    const T first = load<T>(from), last = load<T>(from + n - sizeof(T));
    store(to, first);
    store(to + n - sizeof(T), last);
}

struct block {
    __m128i part[2];
};

} // namespace

extern "C" {

void* memmove(void* destination, const void* source, std::size_t n) noexcept {
    auto* to = static_cast<octet*>(destination);
    const auto* from = static_cast<const octet*>(source);
    if (n <= 16) {
        if (n >= 8)
            move_ends<std::uint64_t>(to, from, n);
        else if (n >= 4)
            move_ends<std::uint32_t>(to, from, n);
        else if (n >= 2)
            move_ends<std::uint16_t>(to, from, n);
        else if (n == 1)
            *to = *from;
        return destination;
    }
    if (n <= 32)
        return move_ends<__m128i>(to, from, n), destination;
    if (n <= 64)
        return move_ends<block>(to, from, n), destination;
    // Each turn loads 32 octets before it stores them, so the direction alone settles overlap; the octets at the
    // far end are loaded first, because the loop may have overwritten them when their turn comes.
    if (reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from) >= n) {
        const block last = load<block>(from + n - 32);
        octet* const end = to + n - 32;
        for (; to < end; to += 32, from += 32)
            store(to, load<block>(from));
        store(end, last);
    } else {
        const block first = load<block>(from);
        for (; n > 32; n -= 32)
            store(to + n - 32, load<block>(from + n - 32));
        store(to, first);
    }
    return destination;
}

void* memcpy(void* destination, const void* source, std::size_t n) noexcept
    __attribute__((alias("memmove")));

void* memset(void* destination, int value, std::size_t n) noexcept {
    auto* to = static_cast<octet*>(destination);
    const std::uint64_t word = 0x0101010101010101u * static_cast<octet>(value);
    if (n < 16) {
        if (n >= 8) {
            store(to, word);
            store(to + n - 8, word);
        } else if (n >= 4) {
            store(to, static_cast<std::uint32_t>(word));
            store(to + n - 4, static_cast<std::uint32_t>(word));
        } else {
            for (; n > 0; --n)
                *to++ = static_cast<octet>(value);
        }
        return destination;
    }
    const __m128i wide = _mm_set1_epi64x(static_cast<long long>(word));
    octet* const end = to + n - 16;
    for (; to < end; to += 16)
        store(to, wide);
    store(end, wide);
    return destination;
}

int memcmp(const void* left, const void* right, std::size_t n) noexcept {
    const auto *a = static_cast<const octet*>(left), *b = static_cast<const octet*>(right);
    for (; n >= 8; n -= 8, a += 8, b += 8) {
        const auto x = load<std::uint64_t>(a), y = load<std::uint64_t>(b);
        if (x != y)
            return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
    }
    for (; n > 0; --n, ++a, ++b)
        if (*a != *b)
            return *a - *b;
    return 0;
}

int bcmp(const void* left, const void* right, std::size_t n) noexcept __attribute__((alias("memcmp")));

void* memchr(const void* memory, int value, std::size_t n) noexcept {
    const auto* at = static_cast<const octet*>(memory);
    const __m128i wanted = _mm_set1_epi8(static_cast<char>(value));
    for (; n >= 16; n -= 16, at += 16) {
        const auto found = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(load<__m128i>(at), wanted)));
        if (found != 0)
            return const_cast<octet*>(at + std::countr_zero(found));
    }
    for (; n > 0; --n, ++at)
        if (*at == static_cast<octet>(value))
            return const_cast<octet*>(at);
    return nullptr;
}

std::size_t strlen(const char* text) noexcept {
    std::size_t n = 0;
    while (text[n] != '\0')
        ++n;
    return n;
}

} // extern "C"
