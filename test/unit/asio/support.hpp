// SPDX-License-Identifier: MIT
#pragma once
#include <utility> // Boost 1.74's Asio forgets it
#ifdef MIRAGE_ASIO_BOOST
#include <boost/asio.hpp>
#else
#include <asio.hpp>
#include <asio/experimental/deferred.hpp>
#endif
#include "../core/support.hpp"
#include "mirage/async/asio.hpp"
#include "mirage/async/memory_stream.hpp"

namespace mirage::test {

using async::asio_context;
using async::asio_stream;
using async::error_code;
using async::memory_stream;
using async::memory_wire;
namespace asio = async::asio;
#ifdef MIRAGE_ASIO_BOOST
using system_error = boost::system::system_error;
#else
using system_error = ::asio::system_error;
#endif

/// A stream in memory behind Asio's interface, and the loop that both run on.
struct asio_bench {
    scheduler loop;
    memory_wire wire{loop};
    asio_context context{loop};
    asio_stream<memory_stream> stream{context, memory_stream{wire}};

    void run() noexcept { drain(loop); }
};

/// What a handler heard.
struct outcome {
    int calls = 0;
    error_code error{};
    std::size_t count = 0;

    auto handler() {
        return [this](error_code e, std::size_t n) {
            ++calls;
            error = e;
            count = n;
        };
    }
};

} // namespace mirage::test
