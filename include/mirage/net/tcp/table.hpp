// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/net/tcp/connection.hpp"
#include <memory>
#include <new>

namespace mirage::tcp {

/// Finds a connection by its four-tuple: chained hashing under a secret key, so that nobody can make all of his
/// connections share a chain; one entry of memory for the segment that follows its like.
template <class Connection>
class connection_table {
    using chain = intrusive_list<Connection, table_hook>;

    siphash_key key_;
    chain* chains_ = nullptr;
    std::size_t mask_ = 0;
    Connection* last_ = nullptr;

    using tuple_type = decltype(Connection::tuple);

    chain& chain_of(const tuple_type& t) noexcept { return chains_[keyed_hash(key_, t) & mask_]; }

public:
    /// Room for about `expected` connections before chains grow; more are possible.
    connection_table(std::size_t expected, siphash_key key) noexcept : key_{key} {
        std::size_t count = 16;
        while (count < expected)
            count *= 2;
        auto* const memory = ::operator new(count * sizeof(chain), std::nothrow);
        check(memory != nullptr, "tcp: no memory for the connection table");
        chains_ = static_cast<chain*>(memory);
        std::uninitialized_default_construct_n(chains_, count);
        mask_ = count - 1;
    }
    connection_table(const connection_table&) = delete;
    connection_table& operator=(const connection_table&) = delete;
    ~connection_table() {
        std::destroy_n(chains_, mask_ + 1);
        ::operator delete(chains_);
    }

    Connection* find(const tuple_type& t) noexcept {
        if (last_ != nullptr && last_->tuple == t)
            return last_;
        for (Connection& c : chain_of(t))
            if (c.tuple == t)
                return last_ = &c;
        return nullptr;
    }
    void insert(Connection& c) noexcept {
        chain_of(c.tuple).push_front(c);
    }
    void erase(Connection& c) noexcept {
        static_cast<table_hook&>(c).unlink();
        if (last_ == &c)
            last_ = nullptr;
    }
    /// Any connection; nullptr when there is none. For taking the table down.
    Connection* any() noexcept {
        for (std::size_t i = 0; i <= mask_; ++i)
            if (!chains_[i].empty())
                return &chains_[i].front();
        return nullptr;
    }
};

} // namespace mirage::tcp
