// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/device/block.hpp"
#include "mirage/device/clock.hpp"
#include "mirage/device/console.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/device/random.hpp"
#include <coroutine>

/// The weakest type that models each device concept: what the concept demands and nothing else, neither copied nor
/// moved nor made by default. A template that compiles with them asks no more of a device than the concept says.
/// For compilation only: the operations are declared, not defined.
namespace mirage::archetype {

/// Neither copied, moved nor default-constructed, and no address to be had by accident.
class device {
public:
    device() = delete;
    device(const device&) = delete;
    device& operator=(const device&) = delete;
    void operator&() const = delete;

protected:
    ~device() = default;
};

struct console : device {
    void write(octets) noexcept;
};

struct clock : device {
    instant now() const noexcept;
    wall_time wall() const noexcept;
};

struct random_source : device {
    void fill(mutable_octets) noexcept;
};

/// What block operations return at least: something to await, not something to keep.
class block_operation {
public:
    block_operation(const block_operation&) = delete;
    block_operation& operator=(const block_operation&) = delete;
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<>) noexcept;
    block_result await_resume() noexcept;
};

struct block : device {
    std::uint64_t sectors() const noexcept;
    std::uint32_t sector_size() const noexcept;
    bool read_only() const noexcept;
    std::uint32_t queue_depth() const noexcept;
    block_operation read(std::uint64_t, mutable_octets) noexcept;
    block_operation write(std::uint64_t, octets) noexcept;
    block_operation flush() noexcept;
};

struct discarding_block : block {
    block_operation discard(std::uint64_t, std::uint64_t) noexcept;
};

struct netif : device {
    static constexpr offload capabilities{};
    mac_address mac() const noexcept;
    std::size_t mtu() const noexcept;
    offload offloads() const noexcept;
    std::size_t receive(std::span<received_frame>) noexcept;
    result<> transmit(const transmit_frame&) noexcept;
    void flush() noexcept;
    event& readable() noexcept;
    const buffer_pool& receive_pool() const noexcept;
};

static_assert(mirage::console<console>);
static_assert(mirage::clock<clock>);
static_assert(mirage::random_source<random_source>);
static_assert(mirage::block<block>);
static_assert(!mirage::discarding_block<block>);
static_assert(mirage::discarding_block<discarding_block>);
static_assert(mirage::netif<netif>);

} // namespace mirage::archetype
