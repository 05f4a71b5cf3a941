// SPDX-License-Identifier: MIT
#pragma once
#include "mirage/hvt/abi.hpp"
#include <cstring>
#include <elf.h>
#include <span>
#include <string>
#include <vector>

/// A small image that the tender accepts, in parts that a test may bend before it asks for the octets.
struct elf_file {
    Elf64_Ehdr header{.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                      .e_type = ET_EXEC,
                      .e_machine = EM_X86_64,
                      .e_version = EV_CURRENT,
                      .e_entry = 0x100000,
                      .e_phoff = sizeof(Elf64_Ehdr),
                      .e_ehsize = sizeof(Elf64_Ehdr),
                      .e_phentsize = sizeof(Elf64_Phdr)};
    std::vector<Elf64_Phdr> table{};
    mirage::hvt::abi::abi_note abi{};
    mirage::hvt::abi::manifest_note<3> mft{};
    static constexpr std::size_t text = 0, data = 1, bss = 2, abi_note = 3,
                                 mft_note = 4;   ///< indices of `table`
    static constexpr std::size_t content = 4096; ///< of text, and of data

    elf_file() {
        table = {{.p_type = PT_LOAD,
                  .p_flags = PF_R | PF_X,
                  .p_vaddr = 0x100000,
                  .p_filesz = content,
                  .p_memsz = content},
                 {.p_type = PT_LOAD,
                  .p_flags = PF_R | PF_W,
                  .p_vaddr = 0x180000,
                  .p_filesz = content,
                  .p_memsz = 0x2800},
                 {.p_type = PT_LOAD,
                  .p_flags = PF_R | PF_W,
                  .p_vaddr = 0x190000,
                  .p_filesz = 0,
                  .p_memsz = 0x1000},
                 {.p_type = PT_NOTE, .p_flags = PF_R, .p_filesz = sizeof abi, .p_memsz = sizeof abi},
                 {.p_type = PT_NOTE, .p_flags = PF_R, .p_filesz = sizeof mft, .p_memsz = sizeof mft}};
        header.e_phnum = static_cast<Elf64_Half>(table.size());
        std::uint64_t at = sizeof header + table.size() * sizeof(Elf64_Phdr);
        for (Elf64_Phdr& p : table) {
            p.p_align = p.p_type == PT_LOAD ? 4096 : 8;
            p.p_offset = at;
            at += p.p_filesz;
        }
        mft.entry[0].type = mirage::hvt::abi::device_type::reserved_first;
        mft.entry[1].type = mirage::hvt::abi::device_type::net;
        mft.entry[2].type = mirage::hvt::abi::device_type::block;
        std::strcpy(mft.entry[1].name, "service");
        std::strcpy(mft.entry[2].name, "storage");
    }

    std::vector<std::byte> octets() const {
        std::vector<std::byte> file;
        const auto append = [&file](const void* from, std::size_t size) {
            const auto* const first = static_cast<const std::byte*>(from);
            file.insert(file.end(), first, first + size);
        };
        append(&header, sizeof header);
        append(table.data(), table.size() * sizeof(Elf64_Phdr));
        file.resize(file.size() + 2 * content, std::byte{0xf4});
        append(&abi, sizeof abi);
        append(&mft, sizeof mft);
        return file;
    }
};
