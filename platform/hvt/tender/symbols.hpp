// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mirage::tender {

/// The functions of an image, by its .symtab; none when it was stripped or is damaged.
class symbol_table {
    struct symbol {
        std::uint64_t address = 0, size = 0;
        std::string name{};
    };
    std::vector<symbol> functions_; ///< sorted by address

public:
    explicit symbol_table(std::span<const std::byte> file);

    /// "0x100123 mirage::net::stack<...>::input(...)+0x23"; only the number when no function is there.
    std::string describe(std::uint64_t address) const;
};

} // namespace mirage::tender
