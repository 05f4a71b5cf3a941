// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/core/buffer.hpp"
#include "mirage/core/intrusive_list.hpp"
#include "mirage/device/netif.hpp"
#include "mirage/net/tcp/segment.hpp"
#include <algorithm>
#include <array>
#include <memory>
#include <new>

namespace mirage::tcp {

/// One slice on a queue of a connection.
struct slice_node : list_hook {
    slice data{};
    sequence seq{}; ///< of the first octet, where the queue is one of sequence numbers
};

/// All nodes of a stack: reserved once, so that a flood of tiny segments ends in a dry pool and not in the heap.
class slice_node_pool {
    intrusive_list<slice_node> free_;
    slice_node* nodes_ = nullptr;
    std::size_t available_ = 0, size_ = 0;

public:
    explicit slice_node_pool(std::size_t count) noexcept {
        auto* const memory = ::operator new(count * sizeof(slice_node), std::nothrow);
        if (memory == nullptr)
            return;
        nodes_ = static_cast<slice_node*>(memory);
        for (std::size_t i = 0; i < count; ++i)
            free_.push_back(*std::construct_at(nodes_ + i));
        size_ = available_ = count;
    }
    slice_node_pool(const slice_node_pool&) = delete;
    slice_node_pool& operator=(const slice_node_pool&) = delete;
    ~slice_node_pool() {
        std::destroy_n(nodes_, size_);
        ::operator delete(nodes_);
    }

    std::size_t available() const noexcept { return available_; }
    std::size_t size() const noexcept { return size_; }

    /// nullptr when none is left.
    slice_node* take(slice data, sequence seq = {}) noexcept {
        slice_node* const node = free_.pop_front();
        if (node == nullptr)
            return nullptr;
        --available_;
        node->data = std::move(data);
        node->seq = seq;
        return node;
    }
    void give_back(slice_node& node) noexcept {
        node.data.reset();
        free_.push_front(node);
        ++available_;
    }
    void give_back(intrusive_list<slice_node>& nodes) noexcept {
        while (slice_node* const node = nodes.pop_front())
            give_back(*node);
    }
};

/// The parts of one outgoing frame: only those that are there are made and destroyed.
class fragments {
    union {
        std::array<slice, transmit_frame::max_fragments> parts_;
    };
    std::size_t count_ = 0;

public:
    fragments() noexcept {}
    fragments(const fragments&) = delete;
    fragments& operator=(const fragments&) = delete;
    ~fragments() { std::destroy_n(parts_.data(), count_); }

    bool full() const noexcept { return count_ == parts_.size(); }
    /// Returns the octets of `part`.
    std::size_t push(slice&& part) noexcept {
        return std::construct_at(parts_.data() + count_++, std::move(part))->size();
    }
    /// Drops what lies behind the first `length` octets.
    void truncate(std::size_t length) noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            parts_[i].remove_suffix(parts_[i].size() - std::min(length, parts_[i].size()));
            length -= parts_[i].size();
        }
    }
    std::span<const slice> view() const noexcept { return {parts_.data(), count_}; }
};

/// What the user wrote and the peer has not acknowledged. Offset 0 is SND.UNA.
class send_queue {
    intrusive_list<slice_node> slices_;
    std::size_t size_ = 0;
    slice_node* cursor_ = nullptr; ///< where the last gather ended: sending goes forward, so the next begins there
    std::size_t cursor_offset_ = 0; ///< offset of the cursor's first octet in the queue

public:
    std::size_t size() const noexcept { return size_; } ///< octets
    bool empty() const noexcept { return size_ == 0; }

    /// False, and nothing happens, when the pool is dry.
    bool push(slice&& data, slice_node_pool& pool) noexcept {
        if (pool.available() == 0)
            return false;
        const std::size_t n = data.size();
        slices_.push_back(*pool.take(std::move(data)));
        size_ += n;
        return true;
    }

    /// Lets the first `n` octets go.
    void pop(std::size_t n, slice_node_pool& pool) noexcept {
        n = std::min(n, size_);
        size_ -= n;
        std::size_t left = n;
        while (left > 0) {
            slice_node& first = slices_.front();
            if (first.data.size() > left) {
                first.data.remove_prefix(left);
                break;
            }
            left -= first.data.size();
            if (cursor_ == &first)
                cursor_ = nullptr;
            pool.give_back(first);
        }
        if (cursor_ != nullptr) {
            if (cursor_offset_ >= n)
                cursor_offset_ -= n;
            else // the cursor's slice lost its front: it now begins at offset 0
                cursor_offset_ = 0;
        }
    }

    /// Appends shares of the octets [offset, offset + length) to `out`, as many slices as fit. Returns the octets
    /// that they hold.
    std::size_t gather(std::size_t offset, std::size_t length, fragments& out) noexcept {
        slice_node* node = cursor_;
        std::size_t begin = cursor_offset_;
        if (node == nullptr || begin > offset) {
            node = slices_.empty() ? nullptr : &slices_.front();
            begin = 0;
        }
        while (node != nullptr && begin + node->data.size() <= offset) {
            begin += node->data.size();
            node = slices_.next(*node);
        }
        std::size_t done = 0;
        while (node != nullptr && done < length && !out.full()) {
            cursor_ = node;
            cursor_offset_ = begin;
            done += out.push(node->data.share(offset + done - begin, length - done));
            begin += node->data.size();
            node = slices_.next(*node);
        }
        return done;
    }

    void clear(slice_node_pool& pool) noexcept {
        pool.give_back(slices_);
        size_ = 0;
        cursor_ = nullptr;
    }
};

/// Text that came and that the user has not taken: in order, and ahead of a hole. RFC 9293 section 3.10.7.4
class receive_queue {
    intrusive_list<slice_node> ready_;
    intrusive_list<slice_node> early_; ///< sorted by sequence number, not overlapping
    std::size_t pinned_ = 0;           ///< octets of memory that both keep

public:
    bool has_text() const noexcept { return !ready_.empty(); }
    bool has_early() const noexcept { return !early_.empty(); }
    std::size_t pinned() const noexcept { return pinned_; }

    /// Appends text that follows all before it. False when the pool is dry.
    bool push(slice&& data, slice_node_pool& pool) noexcept {
        const std::size_t memory = data.pinned();
        slice_node* const node = pool.take(std::move(data));
        if (node == nullptr)
            return false;
        pinned_ += memory;
        ready_.push_back(*node);
        return true;
    }

    /// Keeps text that lies ahead of `nxt`; what is known already is cut off it. False when the pool is dry.
    bool keep(sequence seq, slice&& data, slice_node_pool& pool) noexcept {
        // Usually it belongs at the end: look from there.
        slice_node* previous = nullptr;
        if (!early_.empty() && at_or_before(early_.back().seq, seq)) {
            previous = &early_.back();
        } else {
            for (slice_node& node : early_) {
                if (after(node.seq, seq))
                    break;
                previous = &node;
            }
        }
        if (previous != nullptr) {
            const auto overlap = distance(seq, previous->seq + static_cast<std::uint32_t>(previous->data.size()));
            if (overlap > 0) {
                seq += static_cast<std::uint32_t>(overlap);
                data.remove_prefix(static_cast<std::size_t>(overlap));
            }
        }
        for (;;) { // cut off, or swallow, what follows
            slice_node* const following = previous != nullptr ? early_.next(*previous)
                                          : early_.empty()    ? nullptr
                                                              : &early_.front();
            if (data.empty())
                return true;
            if (following == nullptr)
                break;
            const sequence end = seq + static_cast<std::uint32_t>(data.size());
            if (at_or_before(end, following->seq))
                break;
            const sequence following_end = following->seq + static_cast<std::uint32_t>(following->data.size());
            if (before(end, following_end)) {
                data.remove_suffix(octets_between(following->seq, end));
                continue;
            }
            pinned_ -= following->data.pinned();
            pool.give_back(*following);
        }
        const std::size_t memory = data.pinned();
        slice_node* const node = pool.take(std::move(data), seq);
        if (node == nullptr)
            return false;
        pinned_ += memory;
        if (previous == nullptr)
            early_.push_front(*node);
        else
            early_.insert_after(*previous, *node);
        return true;
    }

    /// What lies ahead of a hole, for an acknowledgement to say: first what `latest` is part of, then the others. Returns how
    /// many blocks there are in `out`. RFC 2018 section 4
    std::size_t early_blocks(sequence latest, std::span<sack_block> out) noexcept {
        std::size_t count = 0;
        bool found = out.empty();
        for (auto node = early_.begin(); node != early_.end();) {
            sack_block block{node->seq, node->seq};
            for (; node != early_.end() && node->seq == block.right; ++node)
                block.right += static_cast<std::uint32_t>(node->data.size());
            if (!found && at_or_before(block.left, latest) && before(latest, block.right)) {
                found = true;
                std::copy_backward(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(std::min(count, out.size() - 1)),
                                   out.begin() + static_cast<std::ptrdiff_t>(std::min(count + 1, out.size())));
                out[0] = block;
                count = std::min(count + 1, out.size());
            } else if (count < out.size()) {
                out[count++] = block;
            }
        }
        return count;
    }

    /// Moves what has become in order, given RCV.NXT. Returns the octets that joined.
    std::uint32_t join(sequence nxt, slice_node_pool& pool) noexcept {
        std::uint32_t joined = 0;
        while (!early_.empty()) {
            slice_node& node = early_.front();
            if (after(node.seq, nxt))
                break;
            const auto known = octets_between(node.seq, nxt);
            if (known >= node.data.size()) {
                pinned_ -= node.data.pinned();
                pool.give_back(node);
                continue;
            }
            node.data.remove_prefix(known);
            const auto n = static_cast<std::uint32_t>(node.data.size());
            nxt += n;
            joined += n;
            ready_.push_back(node);
        }
        return joined;
    }

    /// The oldest slice; empty when there is none.
    slice pop(slice_node_pool& pool) noexcept {
        slice_node* const node = ready_.pop_front();
        if (node == nullptr)
            return {};
        slice data = std::move(node->data);
        pinned_ -= data.pinned();
        pool.give_back(*node);
        return data;
    }

    /// Copies up to out.size() octets to `out` and lets them go. Returns how many.
    std::size_t read(mutable_octets out, slice_node_pool& pool) noexcept {
        std::size_t done = 0;
        while (done < out.size() && !ready_.empty()) {
            slice_node& node = ready_.front();
            const std::size_t n = std::min(node.data.size(), out.size() - done);
            std::copy_n(node.data.data(), n, out.data() + done);
            done += n;
            if (n == node.data.size()) {
                pinned_ -= node.data.pinned();
                pool.give_back(node);
            } else {
                node.data.remove_prefix(n);
            }
        }
        return done;
    }

    /// Behind the last octet that lies ahead of a hole; there is one.
    sequence early_end() noexcept {
        slice_node& last = early_.back();
        return last.seq + static_cast<std::uint32_t>(last.data.size());
    }
    /// Gives up what lies ahead of a hole: the peer will send it again.
    void drop_early(slice_node_pool& pool) noexcept {
        for (slice_node& node : early_)
            pinned_ -= node.data.pinned();
        pool.give_back(early_);
    }
    void clear(slice_node_pool& pool) noexcept {
        pool.give_back(ready_);
        pool.give_back(early_);
        pinned_ = 0;
    }
};

} // namespace mirage::tcp
