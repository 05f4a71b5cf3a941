// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/errc.hpp"
#include "mirage/core/octets.hpp"
#include <concepts>
#include <cstdint>
#include <expected>

namespace mirage {

/// Why a block operation failed, and at which sector.
struct block_error {
    errc code{};
    std::uint64_t sector = 0; ///< the first sector that is not done
    friend constexpr bool operator==(const block_error&, const block_error&) noexcept = default;
};

using block_result = std::expected<void, block_error>;

namespace block_requires {
template <class D>
concept geometry = requires(const D dev) {
    { dev.sectors() } noexcept -> std::same_as<std::uint64_t>;
    { dev.sector_size() } noexcept -> std::same_as<std::uint32_t>;
    { dev.read_only() } noexcept -> std::same_as<bool>;
};
/// What `co_await` on an `A` gives; the operation is an awaitable object or a task.
template <class A>
concept gives_block_result = requires(A&& a) {
    { static_cast<A&&>(a).await_resume() } -> std::same_as<block_result>;
} || requires(A&& a) {
    { static_cast<A&&>(a).operator co_await().await_resume() } -> std::same_as<block_result>;
};
template <class D>
concept read = requires(D dev, std::uint64_t sector, mutable_octets to) {
    { dev.read(sector, to) } -> gives_block_result;
};
template <class D>
concept write = requires(D dev, std::uint64_t sector, octets from) {
    { dev.write(sector, from) } -> gives_block_result;
};
template <class D>
concept flush = requires(D dev) {
    { dev.flush() } -> gives_block_result;
};
} // namespace block_requires

/// BLOCK: sectors that stay.
///
/// `dev.sectors()`, `sector_size()`  capacity in sectors; octets per sector, a power of two >= 512.
/// `co_await dev.read(s, to)`        fills `to` from sector s on. `to` is a multiple of sector_size() and stays
///                                   alive and untouched until the operation ends or its awaiter is destroyed.
/// `co_await dev.write(s, from)`     all of `from`, from sector s on; durable only after a flush().
/// `co_await dev.flush()`            every write that completed before is durable.
///
/// Errors name the first sector that is not done: invalid_argument (size not a multiple), too_large (past the
/// end: nothing was transferred), read_only, io.
template <class D>
concept block = block_requires::geometry<D> && block_requires::read<D> && block_requires::write<D>
                && block_requires::flush<D>;

} // namespace mirage
