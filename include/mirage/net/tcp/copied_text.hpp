// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include "mirage/net/tcp/slice_queue.hpp"
#include <algorithm>

namespace mirage::tcp {

/// Text that writers gave by copy: pages that all connections fill one after the other, each slice of which is kept until it is
/// acknowledged.
class copied_text {
    buffer_pool pages_;
    page filling_{};           ///< what is being appended to
    std::size_t filled_ = 0;   ///< octets of it

public:
    /// `pages` of 4096 octets, from the heap.
    explicit copied_text(std::size_t pages) noexcept : pages_{pages, 4096} {}

    const buffer_pool& pool() const noexcept { return pages_; }
    bool has_room() const noexcept { return filling_ || pages_.available() > 0; }
    /// Gives up the page that was being filled: before the pool goes.
    void finish() noexcept { filling_ = {}; }

    /// Copies as much of `data` to the end of `queue` as there is room for in it, up to `limit` octets in all, and here.
    std::size_t append(send_queue& queue, std::size_t limit, octets data, slice_node_pool& nodes) noexcept {
        std::size_t done = 0;
        while (done < data.size() && queue.size() < limit && nodes.available() > 0) {
            if (!filling_) {
                if (pages_.available() == 0)
                    break;
                filling_ = pages_.take();
                filled_ = 0;
            }
            const mutable_octets room = filling_.room().subspan(filled_);
            const std::size_t n = std::min({room.size(), data.size() - done, limit - queue.size()});
            std::copy_n(data.data() + done, n, room.data());
            (void)queue.push(filling_.freeze_part(filled_, n), nodes);
            filled_ += n;
            done += n;
            if (filled_ == filling_.room().size())
                filling_ = {};
        }
        return done;
    }
};

} // namespace mirage::tcp
