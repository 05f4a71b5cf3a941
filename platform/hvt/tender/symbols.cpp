// SPDX-License-Identifier: MIT
#include "symbols.hpp"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cxxabi.h>
#include <elf.h>
#include <optional>

namespace mirage::tender {

namespace {

template <class T>
std::optional<T> at(std::span<const std::byte> file, std::uint64_t offset) {
    if (offset > file.size() || file.size() - offset < sizeof(T))
        return {};
    T value;
    std::memcpy(&value, file.data() + offset, sizeof value);
    return value;
}

std::string demangled(const std::string& name) {
    int status = 0;
    char* const text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
    std::string result = status == 0 && text != nullptr ? text : name;
    std::free(text);
    // A template's arguments are longer than any line: the report wants to be read.
    constexpr std::size_t longest = 160;
    if (result.size() > longest)
        result.replace(longest, std::string::npos, "...");
    return result;
}

} // namespace

symbol_table::symbol_table(std::span<const std::byte> file) {
    const auto header = at<Elf64_Ehdr>(file, 0);
    if (!header || header->e_shentsize != sizeof(Elf64_Shdr))
        return;
    for (std::uint64_t i = 0; i < header->e_shnum; ++i) {
        const auto table = at<Elf64_Shdr>(file, header->e_shoff + i * sizeof(Elf64_Shdr));
        if (!table || table->sh_type != SHT_SYMTAB)
            continue;
        const auto names =
            at<Elf64_Shdr>(file, header->e_shoff + std::uint64_t{table->sh_link} * sizeof(Elf64_Shdr));
        if (!names || names->sh_offset > file.size() || file.size() - names->sh_offset < names->sh_size)
            return;
        for (std::uint64_t s = 0; s + sizeof(Elf64_Sym) <= table->sh_size; s += sizeof(Elf64_Sym)) {
            const auto entry = at<Elf64_Sym>(file, table->sh_offset + s);
            if (!entry)
                break;
            if (ELF64_ST_TYPE(entry->st_info) != STT_FUNC || entry->st_name >= names->sh_size)
                continue;
            const auto* const text =
                reinterpret_cast<const char*>(file.data() + names->sh_offset + entry->st_name);
            functions_.push_back({entry->st_value, entry->st_size,
                                  std::string{text, ::strnlen(text, names->sh_size - entry->st_name)}});
        }
    }
    std::ranges::sort(functions_, {}, &symbol::address);
}

std::string symbol_table::describe(std::uint64_t address) const {
    char number[32];
    std::snprintf(number, sizeof number, "0x%llx", static_cast<unsigned long long>(address));
    std::string text{number};
    const auto above = std::ranges::upper_bound(functions_, address, {}, &symbol::address);
    if (above == functions_.begin())
        return text;
    const symbol& s = *std::prev(above);
    if (address - s.address > std::max<std::uint64_t>(s.size, 1))
        return text;
    std::snprintf(number, sizeof number, "+0x%llx", static_cast<unsigned long long>(address - s.address));
    return text + " " + demangled(s.name) + number;
}

} // namespace mirage::tender
