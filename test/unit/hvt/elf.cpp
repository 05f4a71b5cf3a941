// SPDX-License-Identifier: MIT
// What the loader accepts and what it refuses, by the rules of the hvt ABI, version 2.
#include "elf.hpp"
#include "elf_file.hpp"
#include <doctest/doctest.h>

using namespace mirage;
using tender::image;

namespace {

constexpr std::uint64_t MiB = 1 << 20, memory = 16 * MiB;

image accepted(const elf_file& file, std::uint64_t size = memory) {
    auto got = image::parse(file.octets(), size);
    REQUIRE_MESSAGE(got, (got ? std::string{} : got.error()));
    return *got;
}

struct bend {
    const char* what;
    void (*change)(elf_file&);
    const char* said; ///< a part of the message
};

void refuses(std::span<const bend> table) {
    for (const bend& b : table) {
        elf_file file;
        b.change(file);
        const auto got = image::parse(file.octets(), memory);
        CHECK_MESSAGE(!got, b.what);
        if (!got)
            CHECK_MESSAGE(got.error().find(b.said) != std::string::npos, b.what, ": ", got.error());
    }
}

} // namespace

TEST_CASE("a good image, as it is") {
    const image i = accepted(elf_file{});
    CHECK(i.entry == 0x100000);
    REQUIRE(i.segments.size() == 2); // what has no file content is left out
    CHECK(i.segments[0].start == 0x100000);
    CHECK(i.segments[0].end == 0x101000);
    CHECK_FALSE(i.segments[0].writable);
    CHECK(i.segments[1].address == 0x180000);
    CHECK(i.segments[1].memory_size == 0x2800);
    CHECK(i.segments[1].end == 0x183000);
    CHECK(i.segments[1].writable);
    CHECK(i.kernel_end == 0x183000);
    REQUIRE(i.devices.size() == 3);
    CHECK(std::string{i.devices[1].name} == "service");
    CHECK(i.devices[2].type == hvt::abi::device_type::block);
}

TEST_CASE("what the contract leaves open is accepted") {
    elf_file file;
    SUBCASE("any OSABI") {
        file.header.e_ident[EI_OSABI] = 255;
    }
    SUBCASE("p_paddr") {
        file.table[elf_file::text].p_paddr = 0x1234;
    }
    SUBCASE("any section headers") {
        file.header.e_shoff = ~0ull, file.header.e_shnum = 65535;
    }
    SUBCASE("an image of data only") {
        file.table[elf_file::text].p_flags = PF_R;
    }
    SUBCASE("a bss anywhere: it is not loaded") {
        file.table[elf_file::bss].p_vaddr = 0, file.table[elf_file::bss].p_memsz = ~0ull;
    }
    SUBCASE("other program headers") {
        file.table[elf_file::bss].p_type = PT_TLS;
    }
    SUBCASE("an interpreter that is nowhere") {
        file.table[elf_file::bss].p_type = PT_INTERP, file.table[elf_file::bss].p_offset = ~0ull;
    }
    SUBCASE("a short note of somebody else") {
        file.table[elf_file::bss].p_type = PT_NOTE;
        file.table[elf_file::bss].p_offset = 0;
        file.table[elf_file::bss].p_filesz = 12;
    }
    SUBCASE("segments that touch") {
        file.table[elf_file::data].p_vaddr = 0x101000;
    }
    SUBCASE("unknown types: whether they can be attached is decided later") {
        file.mft.entry[1].type = static_cast<hvt::abi::device_type>(9);
    }
    (void)accepted(file);
}

TEST_CASE("Solo5's own are known by their interpreter") {
    elf_file file;
    CHECK_FALSE(accepted(file).is_solo5s);
    Elf64_Phdr& p = file.table[elf_file::bss];
    const auto named = [&](const char* name, std::uint64_t size) {
        p.p_type = PT_INTERP;
        p.p_offset = file.table[elf_file::text].p_offset;
        p.p_filesz = size;
        auto octets = file.octets();
        std::memcpy(octets.data() + p.p_offset, name, std::strlen(name) + 1);
        const auto got = image::parse(octets, memory);
        REQUIRE(got);
        return got->is_solo5s;
    };
    CHECK(named("/nonexistent/solo5/", 20));
    CHECK(named("/nonexistent/solo5/", 24)); // in the room of 24 octets that Solo5 gives it
    CHECK_FALSE(named("/nonexistent/solo5/", 19));
    CHECK_FALSE(named("/nonexistent/solo5/x", 24));
    CHECK_FALSE(named("/nonexistent/mirage/", 24));
    CHECK_FALSE(named("/nonexistent/solo5/", ~0ull));
}

TEST_CASE("memory: the last segment ends where it does, or before") {
    const elf_file file;
    CHECK(image::parse(file.octets(), 0x183000));
    CHECK_FALSE(image::parse(file.octets(), 0x182fff));
    elf_file high;
    high.header.e_entry = memory - 1;
    CHECK(image::parse(high.octets(), memory));
    high.header.e_entry = memory;
    CHECK_FALSE(image::parse(high.octets(), memory));
}

TEST_CASE("the header") {
    static constexpr bend table[] = {
        {"magic", [](elf_file& f) { f.header.e_ident[0] = 0; }, "not an ELF file"},
        {"32 bits", [](elf_file& f) { f.header.e_ident[EI_CLASS] = ELFCLASS32; }, "64-bit little-endian"},
        {"big-endian", [](elf_file& f) { f.header.e_ident[EI_DATA] = ELFDATA2MSB; }, "64-bit little-endian"},
        {"version", [](elf_file& f) { f.header.e_version = 2; }, "64-bit little-endian"},
        {"PIE", [](elf_file& f) { f.header.e_type = ET_DYN; }, "position-independent"},
        {"object", [](elf_file& f) { f.header.e_type = ET_REL; }, "not an executable"},
        {"core", [](elf_file& f) { f.header.e_type = ET_CORE; }, "not an executable"},
        {"aarch64", [](elf_file& f) { f.header.e_machine = EM_AARCH64; }, "another machine (e_machine 183)"},
        {"e_ehsize", [](elf_file& f) { f.header.e_ehsize = 52; }, "header is damaged"},
        {"e_phentsize", [](elf_file& f) { f.header.e_phentsize = 57; }, "header is damaged"},
        {"e_phnum 0", [](elf_file& f) { f.header.e_phnum = 0; }, "header is damaged"},
        {"e_phnum", [](elf_file& f) { f.header.e_phnum = 65535; }, ""},
        {"e_phoff at the end", [](elf_file& f) { f.header.e_phoff = ~0ull; }, ""},
        {"e_phoff wraps", [](elf_file& f) { f.header.e_phoff = ~0ull - 55; }, ""},
        {"entry below", [](elf_file& f) { f.header.e_entry = IMAGE_BASE - 1; }, "entry point"},
        {"entry 0", [](elf_file& f) { f.header.e_entry = 0; }, "entry point"},
        {"entry far", [](elf_file& f) { f.header.e_entry = ~0ull; }, "entry point"},
    };
    refuses(table);
}

TEST_CASE("segments") {
    static constexpr auto data = [](elf_file& f) -> Elf64_Phdr& { return f.table[elf_file::data]; };
    static constexpr bend table[] = {
        {"low", [](elf_file& f) { f.table[elf_file::text].p_vaddr = 0xff000; }, "below 1 MiB"},
        {"low when rounded", [](elf_file& f) { f.table[elf_file::text].p_align = 2 * MiB; }, "below 1 MiB"},
        {"descending", [](elf_file& f) { std::swap(f.table[0], f.table[1]); }, "out of order"},
        {"overlap", [](elf_file& f) { data(f).p_vaddr = 0x100800; }, "overlaps"},
        {"overlap when rounded", [](elf_file& f) { data(f).p_align = 0x100000; }, "overlaps"},
        {"W and X", [](elf_file& f) { data(f).p_flags = PF_R | PF_W | PF_X; },
         "both writable and executable"},
        {"shrinks", [](elf_file& f) { data(f).p_memsz = elf_file::content - 1; }, "smaller in memory"},
        {"alignment 0", [](elf_file& f) { data(f).p_align = 0; }, "not a power of two"},
        {"alignment 12288", [](elf_file& f) { data(f).p_align = 12288; }, "not a power of two"},
        {"alignment 16", [](elf_file& f) { data(f).p_align = 16; }, "less than a page"},
        {"alignment of all", [](elf_file& f) { data(f).p_align = 1ull << 63; }, "segment at 0x180000"},
        {"end wraps", [](elf_file& f) { data(f).p_memsz = ~0ull; }, "beyond the address space"},
        {"end wraps when rounded", [](elf_file& f) { data(f).p_memsz = ~0ull - 0x180000; },
         "beyond the address space"},
        {"address", [](elf_file& f) { data(f).p_vaddr = ~0ull - 4095; }, "beyond the address space"},
        {"offset", [](elf_file& f) { data(f).p_offset = ~0ull; }, "truncated"},
        {"offset and size wrap", [](elf_file& f) { data(f).p_offset = ~0ull - 100; }, "truncated"},
        {"size", [](elf_file& f) { data(f).p_filesz = data(f).p_memsz = ~0ull; }, "truncated"},
        {"memory", [](elf_file& f) { data(f).p_memsz = memory; }, "give it more with --mem=20"},
        {"more than there can be", [](elf_file& f) { data(f).p_memsz = 1ull << 32; }, "at most 4096 MiB"},
    };
    refuses(table);
    elf_file none;
    none.table[elf_file::text].p_filesz = none.table[elf_file::data].p_filesz = 0;
    const auto got = image::parse(none.octets(), memory);
    REQUIRE_FALSE(got);
    CHECK(got.error() == "the file has nothing to load");
}

TEST_CASE("the advice about memory is right") {
    elf_file file;
    file.table[elf_file::data].p_memsz = memory;
    const auto got = image::parse(file.octets(), memory);
    REQUIRE_FALSE(got);
    const auto at = got.error().find("--mem=");
    REQUIRE(at != std::string::npos);
    CHECK(image::parse(file.octets(), std::strtoull(got.error().c_str() + at + 6, nullptr, 10) * MiB));
}

TEST_CASE("notes") {
    static constexpr bend table[] = {
        {"no ABI1", [](elf_file& f) { f.table[elf_file::abi_note].p_type = PT_NULL; }, "no ABI1 note"},
        {"no MFT1", [](elf_file& f) { f.table[elf_file::mft_note].p_type = PT_NULL; }, "no manifest"},
        {"another's", [](elf_file& f) { f.abi.header.name[0] = 's'; }, "no ABI1 note"},
        {"name_size", [](elf_file& f) { f.abi.header.name_size = 7; }, "no ABI1 note"},
        {"another type", [](elf_file& f) { f.abi.header.type = 1; }, "no ABI1 note"},
        {"tiny", [](elf_file& f) { f.table[elf_file::abi_note].p_filesz = 11; },
         "a note of the file is damaged"},
        {"outside", [](elf_file& f) { f.table[elf_file::abi_note].p_offset = ~0ull; }, "truncated"},
        {"partly outside", [](elf_file& f) { f.table[elf_file::mft_note].p_filesz += 1; }, "truncated"},
        {"payload 0", [](elf_file& f) { f.abi.header.payload_size = 0; }, "damaged"},
        {"payload larger than its header", [](elf_file& f) { f.abi.header.payload_size = 17; }, "damaged"},
        {"payload of a u32's size", [](elf_file& f) { f.mft.header.payload_size = ~0u; }, "damaged"},
        {"ABI1 of 15 octets", [](elf_file& f) { f.abi.header.payload_size = 15; }, "ABI1 note is damaged"},
        {"manifest in its padding", [](elf_file& f) { f.mft.header.payload_size = 3; }, "damaged"},
        {"manifest without entries", [](elf_file& f) { f.mft.header.payload_size = 11; },
         "manifest (MFT1 note) is damaged"},
        {"target 0", [](elf_file& f) { f.abi.target = 0; }, "built for the target ?"},
        {"spt", [](elf_file& f) { f.abi.target = 2; }, "built for the target spt"},
        {"xen", [](elf_file& f) { f.abi.target = 6; }, "built for the target xen"},
        {"target 7", [](elf_file& f) { f.abi.target = 7; }, "built for the target ?"},
        {"hvt 1", [](elf_file& f) { f.abi.version = 1; }, "built for version 1 of the hvt ABI"},
        {"hvt 3", [](elf_file& f) { f.abi.version = 3; }, "built for version 3 of the hvt ABI"},
    };
    refuses(table);
}

TEST_CASE("the manifest") {
    static constexpr bend table[] = {
        {"version", [](elf_file& f) { f.mft.head.version = 2; }, "version 2"},
        {"no entry", [](elf_file& f) { f.mft.head.entries = 0; }, "number of entries"},
        {"one less", [](elf_file& f) { f.mft.head.entries = 2; }, "number of entries"},
        {"one more", [](elf_file& f) { f.mft.head.entries = 4; }, "number of entries"},
        {"65", [](elf_file& f) { f.mft.head.entries = 65; }, "number of entries"},
        {"all", [](elf_file& f) { f.mft.head.entries = ~0u; }, "number of entries"},
        {"a count whose size wraps", [](elf_file& f) { f.mft.head.entries = 3u + (1u << 29); },
         "number of entries"},
        {"entry 0 is a device", [](elf_file& f) { f.mft.entry[0].type = hvt::abi::device_type::net; },
         "reserved entry"},
        {"entry 0 has a name", [](elf_file& f) { f.mft.entry[0].name[0] = 'a'; }, "reserved entry"},
        {"a name does not end", [](elf_file& f) { std::memset(f.mft.entry[2].name, 'a', 68); },
         "entry 2 of the manifest"},
        {"attached", [](elf_file& f) { f.mft.entry[1].attached = true; }, "entry 1 of the manifest"},
    };
    refuses(table);
}

TEST_CASE("a file that ends anywhere is refused, without a step outside") {
    const auto whole = elf_file{}.octets();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const std::vector<std::byte> part{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)};
        const auto got = image::parse(part, memory);
        CHECK_MESSAGE(!got, size);
        if (!got)
            CHECK_FALSE(got.error().empty());
    }
}

TEST_CASE("every octet of the headers and notes, with every bit turned: an answer, and memory is kept to") {
    const auto whole = elf_file{}.octets();
    const std::size_t headers = sizeof(Elf64_Ehdr) + 5 * sizeof(Elf64_Phdr);
    std::size_t refused = 0;
    for (std::size_t at = 0; at < whole.size();
         at = at + 1 == headers ? headers + 2 * elf_file::content : at + 1)
        for (unsigned bit = 0; bit < 8; ++bit) {
            auto file = whole;
            file[at] ^= std::byte{static_cast<unsigned char>(1u << bit)};
            const auto got = image::parse(file, memory);
            refused += got ? 0 : 1;
            if (!got)
                continue;
            for (const tender::segment& s : got->segments) {
                const bool fits = s.file_offset + s.file_size <= file.size() && s.start >= IMAGE_BASE
                                  && s.end <= memory && s.address + s.file_size <= s.end;
                CHECK_MESSAGE(fits, "octet ", at, ", bit ", bit);
            }
        }
    CHECK(refused > 1000);
}
