// SPDX-License-Identifier: MIT
#include "elf.hpp"
#include <algorithm>
#include <bit>
#include <cstring>
#include <elf.h>
#include <optional>

namespace mirage::tender {

namespace {

namespace abi = hvt::abi;

/// A structure at `offset` of the file, copied out; nothing where the file ends before it does.
template <class T>
std::optional<T> at(std::span<const std::byte> file, std::uint64_t offset) {
    if (offset > file.size() || file.size() - offset < sizeof(T))
        return {};
    T value;
    std::memcpy(static_cast<void*>(&value), file.data() + offset, sizeof value);
    return value;
}

constexpr std::uint64_t most_memory = std::uint64_t{4} << 30;
constexpr std::string_view truncated = "the file is truncated: build or copy it again";

outcome<> check_header(const Elf64_Ehdr& h, std::uint64_t memory) {
    if (std::memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
        return failure("not an ELF file: name a unikernel built for hvt (NAME.hvt)");
    if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_version != EV_CURRENT)
        return failure("not a 64-bit little-endian ELF file");
    if (h.e_type != ET_EXEC)
        return failure(h.e_type == ET_DYN
                           ? "a position-independent program (ET_DYN), not a unikernel: hvt images are "
                             "linked to a fixed address (ET_EXEC)"
                           : "not an executable");
    if (h.e_machine != EM_X86_64)
        return failure("built for another machine (e_machine " + std::to_string(h.e_machine)
                       + "), and this one is x86_64");
    if (h.e_ehsize != sizeof(Elf64_Ehdr) || h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum == 0)
        return failure("the ELF header is damaged");
    if (h.e_entry < IMAGE_BASE || h.e_entry >= memory)
        return failure("the entry point lies outside of the guest's memory");
    return {};
}

/// One PT_LOAD by the rules of the ABI; nothing for one without file content, which is left out altogether.
outcome<std::optional<segment>> check_segment(const Elf64_Phdr& p, std::uint64_t file_size,
                                              std::uint64_t previous_end, std::uint64_t memory) {
    if (p.p_filesz == 0)
        return std::nullopt;
    const auto fail = [&p](const std::string& what) {
        char where[40];
        std::snprintf(where, sizeof where, "segment at 0x%llx: ", static_cast<unsigned long long>(p.p_vaddr));
        return failure(where + what);
    };
    if (p.p_offset > file_size || file_size - p.p_offset < p.p_filesz)
        return failure(std::string{truncated});
    if (p.p_memsz < p.p_filesz)
        return fail("smaller in memory than in the file");
    if (!std::has_single_bit(p.p_align))
        return fail("its alignment is not a power of two");
    if ((p.p_flags & PF_W) != 0 && (p.p_flags & PF_X) != 0)
        return fail("both writable and executable, which hvt refuses: link text and data apart");
    segment s{
        .address = p.p_vaddr, .file_size = p.p_filesz, .memory_size = p.p_memsz, .file_offset = p.p_offset};
    std::uint64_t top = 0;
    s.start = p.p_vaddr & ~(p.p_align - 1);
    if (__builtin_add_overflow(p.p_vaddr, p.p_memsz, &top)
        || __builtin_add_overflow(top, p.p_align - 1, &top))
        return fail("reaches beyond the address space");
    s.end = top & ~(p.p_align - 1);
    if (s.start % 4096 != 0 || s.end % 4096 != 0)
        return fail("aligned to less than a page: link with -z max-page-size=0x1000");
    if (s.start < IMAGE_BASE)
        return fail("below 1 MiB, which belongs to the tender");
    if (s.start < previous_end)
        return fail("overlaps the segment before it, or is out of order");
    if (s.end > most_memory)
        return fail("does not fit: hvt guests have at most 4096 MiB");
    if (s.end > memory)
        return fail("does not fit: the image needs more than the guest's " + std::to_string(memory >> 20)
                    + " MiB; give it more with --mem=" + std::to_string(((s.end >> 20) + 3) / 2 * 2));
    s.writable = (p.p_flags & PF_W) != 0;
    return s;
}

outcome<> check_abi(std::span<const std::byte> payload) {
    std::uint32_t words[2];
    if (payload.size() < 16)
        return failure("the ABI1 note is damaged");
    std::memcpy(words, payload.data(), sizeof words);
    constexpr const char* targets[] = {"?", "hvt", "spt", "virtio", "muen", "genode", "xen"};
    if (words[0] != 1)
        return failure(std::string{"built for the target "} + (words[0] < 7 ? targets[words[0]] : "?")
                       + ", and this is a tender for hvt");
    if (words[1] != 2)
        return failure("built for version " + std::to_string(words[1])
                       + " of the hvt ABI, and this tender knows version 2");
    return {};
}

outcome<std::vector<abi::manifest_entry>> check_manifest(std::span<const std::byte> payload) {
    constexpr std::size_t head = sizeof(abi::manifest), size = sizeof(abi::manifest_entry);
    abi::manifest m;
    if (payload.size() < head)
        return failure("the manifest (MFT1 note) is damaged");
    std::memcpy(&m, payload.data(), head);
    if (m.version != abi::manifest_version)
        return failure("the manifest has version " + std::to_string(m.version)
                       + ", and this tender knows version 1");
    if (m.entries == 0 || m.entries > abi::manifest_max_entries || payload.size() != head + m.entries * size)
        return failure("the manifest's size does not fit its number of entries");
    std::vector<abi::manifest_entry> entries(m.entries);
    for (std::size_t i = 0; i < m.entries; ++i) {
        abi::manifest_entry& e = entries[i];
        std::memcpy(static_cast<void*>(&e), payload.data() + head + i * size, size);
        // A bool of the file may hold anything: look at the octet.
        if (e.name[67] != 0
            || payload[head + i * size + offsetof(abi::manifest_entry, attached)] != std::byte{0})
            return failure("entry " + std::to_string(i) + " of the manifest is damaged");
    }
    if (entries[0].type != abi::device_type::reserved_first || entries[0].name[0] != 0)
        return failure("the manifest does not begin with its reserved entry");
    return entries;
}

/// The payload of the Solo5 note that begins a PT_NOTE; empty when it is another note.
outcome<std::span<const std::byte>> note_payload(std::span<const std::byte> file, const Elf64_Phdr& p,
                                                 std::uint32_t& type) {
    type = 0;
    if (p.p_filesz < 12)
        return failure("a note of the file is damaged");
    if (p.p_filesz < sizeof(abi::note_header))
        return std::span<const std::byte>{};
    const auto header = at<abi::note_header>(file, p.p_offset);
    if (!header || file.size() - p.p_offset < p.p_filesz)
        return failure(std::string{truncated});
    if (header->name_size != 6 || std::memcmp(header->name, "Solo5", 6) != 0)
        return std::span<const std::byte>{};
    if (header->payload_size == 0 || p.p_filesz - sizeof(abi::note_header) < header->payload_size)
        return failure("a Solo5 note of the file is damaged");
    type = header->type;
    const std::size_t gap = type == abi::note_manifest ? 4 : 0; // aligned to 8
    if (header->payload_size < gap)
        return failure("a Solo5 note of the file is damaged");
    return file.subspan(p.p_offset + sizeof(abi::note_header) + gap, header->payload_size - gap);
}

/// Images name an interpreter that is not there, so that no kernel takes them for programs: each maker another.
bool names_interpreter(std::span<const std::byte> file, const Elf64_Phdr& p, std::string_view name) {
    return p.p_offset <= file.size() && p.p_filesz > name.size() && p.p_filesz <= file.size() - p.p_offset
           && std::memcmp(file.data() + p.p_offset, name.data(), name.size()) == 0
           && file[p.p_offset + name.size()] == std::byte{0};
}

} // namespace

outcome<image> image::parse(std::span<const std::byte> file, std::uint64_t memory) {
    const auto header = at<Elf64_Ehdr>(file, 0);
    if (!header)
        return failure(file.empty() ? "the file is empty" : std::string{truncated});
    if (const auto good = check_header(*header, memory); !good)
        return failure(good.error());

    image found;
    found.entry = header->e_entry;
    bool has_abi = false;
    for (std::uint64_t i = 0; i < header->e_phnum; ++i) {
        std::uint64_t offset = 0;
        if (__builtin_add_overflow(header->e_phoff, i * sizeof(Elf64_Phdr), &offset))
            return failure("the ELF header is damaged");
        const auto p = at<Elf64_Phdr>(file, offset);
        if (!p)
            return failure(std::string{truncated});
        if (p->p_type == PT_LOAD) {
            const auto s = check_segment(*p, file.size(), found.kernel_end, memory);
            if (!s)
                return failure(s.error());
            if (*s) {
                found.kernel_end = (*s)->end;
                found.segments.push_back(**s);
            }
        } else if (p->p_type == PT_INTERP) {
            found.is_solo5s = names_interpreter(file, *p, "/nonexistent/solo5/");
        } else if (p->p_type == PT_NOTE) {
            std::uint32_t type = 0;
            const auto payload = note_payload(file, *p, type);
            if (!payload)
                return failure(payload.error());
            if (type == abi::note_abi && !has_abi) {
                if (const auto good = check_abi(*payload); !good)
                    return failure(good.error());
                has_abi = true;
            } else if (type == abi::note_manifest && found.devices.empty()) {
                auto devices = check_manifest(*payload);
                if (!devices)
                    return failure(devices.error());
                found.devices = std::move(*devices);
            }
        }
    }
    if (!has_abi)
        return failure("no ABI1 note: this is not a Solo5 unikernel");
    if (found.devices.empty())
        return failure("no manifest (MFT1 note): this is not a Solo5 unikernel");
    if (found.segments.empty())
        return failure("the file has nothing to load");
    return found;
}

} // namespace mirage::tender
