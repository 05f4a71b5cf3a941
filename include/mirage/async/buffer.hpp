// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/octets.hpp"
#include <algorithm>
#include <concepts>
#include <iterator>
#include <span>

namespace mirage::async {

/// Asio's ConstBufferSequence: octets themselves, or what can be walked both ways over elements that convert to
/// octets. Copies are cheap and name the same memory, which the caller keeps until the operation completes.
template <class B>
concept const_buffer_sequence =
    std::copy_constructible<B> && (std::same_as<B, octets> || std::same_as<B, mutable_octets> ||
                                   (std::ranges::bidirectional_range<const B> &&
                                    std::convertible_to<std::ranges::range_reference_t<const B>, octets>));

/// Asio's MutableBufferSequence: the same for octets to write.
template <class B>
concept mutable_buffer_sequence =
    std::copy_constructible<B> &&
    (std::same_as<B, mutable_octets> ||
     (std::ranges::bidirectional_range<const B> &&
      std::convertible_to<std::ranges::range_reference_t<const B>, mutable_octets>));

/// Asio's DynamicBuffer_v2: a copyable handle to octets that grow at the end and are consumed at the front.
///
/// `size() <= capacity() <= max_size()`. `grow(n)` adds n octets at the end (size() + n <= max_size()), `shrink(n)`
/// takes up to n off there, `consume(n)` up to n off the front. `data(position, n)` names at most n octets from
/// `position` on; it is good until the next call that is not const.
template <class D>
concept dynamic_buffer = std::copy_constructible<D> && requires(D d, const D c, std::size_t n) {
    { c.size() } -> std::same_as<std::size_t>;
    { c.max_size() } -> std::same_as<std::size_t>;
    { c.capacity() } -> std::same_as<std::size_t>;
    { d.data(n, n) } -> mutable_buffer_sequence;
    { c.data(n, n) } -> const_buffer_sequence;
    d.grow(n);
    d.shrink(n);
    d.consume(n);
};

/// The first of the octets of `sequence` from `position` on that lie together; empty at its end.
template <class Octets, class B>
    requires const_buffer_sequence<B> || mutable_buffer_sequence<B>
constexpr Octets piece_at(const B& sequence, std::size_t position) noexcept {
    if constexpr (std::same_as<B, octets> || std::same_as<B, mutable_octets>) {
        const Octets all = sequence;
        return all.subspan(std::min(position, all.size()));
    } else {
        for (auto at = std::ranges::begin(sequence); at != std::ranges::end(sequence); ++at) {
            const Octets all = *at;
            if (position < all.size())
                return all.subspan(position);
            position -= all.size();
        }
        return {};
    }
}

/// Octets in memory of fixed size, and how many of it are in use.
struct octet_store {
    mutable_octets memory{};
    std::size_t size = 0;
};

/// Asio's dynamic_buffer over an octet_store, which outlives it.
class dynamic_octets {
    octet_store* store_;

public:
    explicit constexpr dynamic_octets(octet_store& store) noexcept : store_{&store} {}

    constexpr std::size_t size() const noexcept { return store_->size; }
    constexpr std::size_t max_size() const noexcept { return store_->memory.size(); }
    constexpr std::size_t capacity() const noexcept { return store_->memory.size(); }
    constexpr mutable_octets data(std::size_t position, std::size_t n) noexcept {
        const auto used = store_->memory.first(store_->size).subspan(std::min(position, store_->size));
        return used.first(std::min(n, used.size()));
    }
    constexpr octets data(std::size_t position, std::size_t n) const noexcept {
        return dynamic_octets{*store_}.data(position, n);
    }
    constexpr void grow(std::size_t n) noexcept { store_->size = std::min(store_->size + n, max_size()); }
    constexpr void shrink(std::size_t n) noexcept { store_->size -= std::min(n, store_->size); }
    constexpr void consume(std::size_t n) noexcept {
        const auto used = data(0, store_->size);
        std::ranges::copy(used.subspan(std::min(n, used.size())), used.begin());
        shrink(n);
    }
};
static_assert(dynamic_buffer<dynamic_octets>);

} // namespace mirage::async
