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
template <class D>
concept queue_depth = requires(const D dev) {
    { dev.queue_depth() } noexcept -> std::same_as<std::uint32_t>;
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
template <class D>
concept discard = requires(D dev, std::uint64_t sector, std::uint64_t count) {
    { dev.discard(sector, count) } -> gives_block_result;
};
} // namespace block_requires

/// BLOCK: sectors that stay.
///
/// `dev.sectors()`, `sector_size()`  capacity in sectors; octets per sector, a power of two >= 512. The size of a
///                                   sector never changes; the capacity may, where a disk can be made larger while it
///                                   is in use.
/// `dev.read_only()`                 whether every write fails.
/// `dev.queue_depth()`               how many operations the device has under way at the same time, at least 1. More
///                                   may be begun: they wait for their turn, and cost no memory but their own.
/// `co_await dev.read(s, to)`        fills `to` from sector s on. `to` is a multiple of sector_size(), of any length up
///                                   to the whole disk, and stays alive and untouched until the operation ends or its
///                                   awaiter is destroyed.
/// `co_await dev.write(s, from)`     all of `from`, from sector s on; durable only after a flush().
/// `co_await dev.flush()`            every write that ended before this began is durable. When it fails, none is that
///                                   ended after the last flush that did not.
///
/// An operation begins when it is awaited. Operations under way at the same time are done in any order, and those on
/// the same sectors leave each sector as one of them would. A task that does nothing but transfer does not keep others
/// from running: whatever is moved takes a turn of the loop. Memory may begin anywhere; where it begins at a page (4096
/// octets), a device that can moves whole pages without a copy.
///
/// Destroying the awaiter gives the operation up: its memory is the caller's again, and the sectors of a write that was
/// under way hold the old or the new.
///
/// Errors name the first sector that is not done; all before it are. invalid_argument: not whole sectors, nothing was
/// done. too_large: past the end, nothing was done. read_only: a write, nothing was done. io: the device fails at this
/// sector. closed: the disk was taken away. unsupported: the device cannot do this (flush, discard).
template <class D>
concept block = block_requires::geometry<D> && block_requires::queue_depth<D> && block_requires::read<D>
                && block_requires::write<D> && block_requires::flush<D>;

/// A BLOCK that can be told what is not needed any more.
///
/// `co_await dev.discard(s, n)`      n sectors from s on hold anything from now on, until they are written again: the
///                                   device may use their room elsewhere. errc::unsupported when it cannot.
template <class D>
concept discarding_block = block<D> && block_requires::discard<D>;

} // namespace mirage
