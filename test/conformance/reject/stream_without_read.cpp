// SPDX-License-Identifier: MIT
// expect: \basync_read_some\b
// expect: \basync_read_stream\b
#include "mirage/async/stream.hpp"

struct stream {
    mirage::scheduler& get_executor() noexcept;
};

template <mirage::async::async_read_stream S>
class session;

using wrong = session<stream>;
