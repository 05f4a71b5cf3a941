// SPDX-License-Identifier: MIT
// The composed operations ask no more of a type than its concept says: they compile with the weakest types. Nothing
// here is called, and so this object stays in its library when the tests are linked.
#include "mirage/async/archetype.hpp"
#include "mirage/async/transfer.hpp"

using namespace mirage;

namespace {
template <class T>
T& a() noexcept;
using reads = decltype(async::async_read(a<archetype::read_stream>(), a<archetype::mutable_buffer_sequence>()));
using writes = decltype(async::async_write(a<archetype::write_stream>(), a<archetype::const_buffer_sequence>()));
using reads_until =
    decltype(async::async_read_until(a<archetype::read_stream>(), a<archetype::dynamic_buffer>(), std::string_view{}));
using calls = decltype(async::async_read(a<archetype::read_stream>(), a<archetype::mutable_buffer_sequence>(),
                                         std::declval<archetype::completion_handler>()));
static_assert(std::same_as<reads, task<result<std::size_t>>> && std::same_as<writes, reads>);
static_assert(std::same_as<reads_until, reads> && std::same_as<calls, result<>>);
} // namespace
