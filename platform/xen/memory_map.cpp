// SPDX-License-Identifier: MIT
//
// Who has which memory, and the page tables that see to it. Runs once, on the tables of boot.S.
#include "memory_map.hpp"
#include "mirage/xen/hypercall.hpp"
#include <algorithm>

extern "C" {
extern const char text_end[], rodata_end[], data_end[], main_stack[], main_stack_end[], trap_stack[],
    trap_stack_end[];
}

namespace mirage::xen {
namespace {

constexpr std::uint64_t gib = 1 << 30;
constexpr std::uint64_t most_memory = ENTRIES_PER_TABLE * gib; ///< what one table of the second level maps
constexpr std::uint64_t least_heap = 0x8000;                       ///< a domain that leaves less does not start

constexpr std::uint64_t up(std::uint64_t address, std::uint64_t unit) noexcept {
    return (address + unit - 1) / unit * unit;
}

/// The low memory in ascending order: each region begins where the one before ends.
struct region {
    std::uint64_t end = 0, entry = 0; ///< entry: the attributes of its pages; 0 for what is not mapped
    const char* name = nullptr;
};
constinit std::array<region, 13> memory_map{};

/// The end of what the domain builder put behind the image: start information, command line, modules.
std::uint64_t end_of_boot_data(const hvm_start_info& start) noexcept {
    std::uint64_t end = address_of(&start + 1);
    const auto include = [&](std::uint64_t begin, std::uint64_t size) {
        if (begin != 0)
            end = std::max(end, begin + size);
    };
    include(start.memmap_paddr, start.memmap_entries * sizeof(hvm_memmap_table_entry));
    include(start.modlist_paddr, start.nr_modules * sizeof(hvm_modlist_entry));
    if (start.cmdline_paddr != 0)
        include(start.cmdline_paddr, std::string_view{reinterpret_cast<const char*>(start.cmdline_paddr)}.size() + 1);
    const auto* const modules = reinterpret_cast<const hvm_modlist_entry*>(start.modlist_paddr);
    for (std::uint32_t i = 0; i < start.nr_modules; ++i) {
        include(modules[i].paddr, modules[i].size);
        if (modules[i].cmdline_paddr != 0)
            include(modules[i].cmdline_paddr,
                    std::string_view{reinterpret_cast<const char*>(modules[i].cmdline_paddr)}.size() + 1);
    }
    return up(std::max(end, address_of(trap_stack_end)), PAGE_SIZE);
}

/// The page tables under construction, in a range that was found to be large enough.
class table_builder {
    std::uint64_t next_;
    std::uint64_t* const top_ = fresh();
    std::uint64_t* const second_ = child(top_[0]);

    std::uint64_t* fresh() noexcept {
        auto* const table = reinterpret_cast<std::uint64_t*>(next_);
        next_ += PAGE_SIZE;
        std::fill_n(table, ENTRIES_PER_TABLE, 0);
        return table;
    }
    std::uint64_t* child(std::uint64_t& entry) noexcept {
        if (entry == 0)
            entry = address_of(fresh()) | PTE_TABLE;
        return reinterpret_cast<std::uint64_t*>(entry - PTE_TABLE);
    }
    /// The entry for the 2 MiB around `address`.
    std::uint64_t& directory_entry(std::uint64_t address) noexcept {
        return child(second_[address / gib])[address / LARGE_PAGE_SIZE % ENTRIES_PER_TABLE];
    }

public:
    explicit table_builder(std::uint64_t begin) noexcept : next_{begin} {}

    /// Maps the 2 MiB pages that hold any of [begin, end), as data.
    void map_large(std::uint64_t begin, std::uint64_t end) noexcept {
        for (std::uint64_t at = begin / LARGE_PAGE_SIZE * LARGE_PAGE_SIZE; at < end; at += LARGE_PAGE_SIZE)
            directory_entry(at) = at | PTE_WRITE | PTE_LARGE | PTE_NX;
    }

    /// Maps one page; nothing has mapped the 2 MiB around it as one.
    void map_small(std::uint64_t address, std::uint64_t frame, std::uint64_t attributes) noexcept {
        child(directory_entry(address))[address / PAGE_SIZE % ENTRIES_PER_TABLE] = frame * PAGE_SIZE | attributes;
    }

    /// From here on only what they map is there: not they themselves.
    void use() const noexcept { asm volatile("mov %0, %%cr3" ::"r"(address_of(top_)) : "memory"); }
};

void describe_low_memory(std::uint64_t boot_end, std::uint64_t tables_end, std::uint64_t low_end) noexcept {
    memory_map = {{
        {NULL_GUARD_END, 0, "the null page or other low memory"},
        {STORE_RING_ADDRESS + PAGE_SIZE, 0, "a page shared with Xen"}, // to frames of their own: map_shared()
        {IMAGE_BASE, 0, "low memory"},
        {address_of(text_end), PTE_READ, "program text"},
        {address_of(rodata_end), PTE_READ | PTE_NX, "read-only data"},
        {address_of(data_end), PTE_WRITE | PTE_NX, "data"},
        {address_of(main_stack), 0, "the guard page below the main stack"},
        {address_of(main_stack_end), PTE_WRITE | PTE_NX, "the main stack"},
        {address_of(trap_stack), 0, "the guard page below the trap stack"},
        {address_of(trap_stack_end), PTE_WRITE | PTE_NX, "the trap stack"},
        {boot_end, PTE_READ | PTE_NX, "boot information (read-only)"},
        {tables_end, 0, "the page tables (unmapped)"},
        {low_end, PTE_WRITE | PTE_NX, "the heap"},
    }};
}

void map_shared(table_builder& tables, const special_frames& special) noexcept {
    const auto map = [&](std::uint64_t address, std::uint64_t frame) {
        if (frame != 0)
            tables.map_small(address, frame, PTE_WRITE | PTE_NX);
    };
    map(SHARED_INFO_ADDRESS, SHARED_INFO_ADDRESS / PAGE_SIZE);
    map(CONSOLE_RING_ADDRESS, special.console);
    map(STORE_RING_ADDRESS, special.store);
}

/// RAM in whole pages, as far as it can be mapped; empty for anything else.
memory_range ram_of(const hvm_memmap_table_entry& given) noexcept {
    if (given.type != XEN_HVM_MEMMAP_TYPE_RAM)
        return {};
    const std::uint64_t end = std::min(given.addr + given.size, most_memory);
    return {std::min(up(given.addr, PAGE_SIZE), end), end / PAGE_SIZE * PAGE_SIZE};
}

} // namespace

const char* map_memory(const hvm_start_info& start, const special_frames& special,
                       std::span<memory_range>& room) noexcept {
    const std::span map{reinterpret_cast<const hvm_memmap_table_entry*>(start.memmap_paddr), start.memmap_entries};

    // How many tables it takes; they lie behind what the domain builder put behind the image, and what is in their
    // 2 MiB pages, too, is mapped in small ones.
    std::uint64_t low_end = 0, directories = 0, counted = 0;
    for (const auto& given : map) {
        const memory_range ram = ram_of(given);
        if (ram.begin <= IMAGE_BASE && ram.end > IMAGE_BASE)
            low_end = ram.end;
        for (std::uint64_t at = std::max(ram.begin / gib, counted); at < up(ram.end, gib) / gib; ++at, ++directories)
            counted = at + 1;
    }
    const std::uint64_t boot_end = end_of_boot_data(start);
    const auto end_with = [&](std::uint64_t small) { return boot_end + (2 + directories + small) * PAGE_SIZE; };
    std::uint64_t small = 1;
    while (end_with(small) > small * LARGE_PAGE_SIZE)
        ++small;
    const std::uint64_t tables_end = end_with(small);
    if (low_end < tables_end + least_heap)
        return "xen: too little memory for this image: give the domain more\n";
    const std::uint64_t small_end = std::min(small * LARGE_PAGE_SIZE, low_end);

    describe_low_memory(boot_end, tables_end, small_end);
    table_builder tables{boot_end};
    std::uint64_t page = 0;
    for (const region& r : memory_map)
        for (; page < r.end; page += PAGE_SIZE)
            if (r.entry != 0)
                tables.map_small(page, page / PAGE_SIZE, r.entry);
    map_shared(tables, special);

    std::size_t count = 0;
    for (const auto& given : map) {
        memory_range ram = ram_of(given);
        tables.map_large(std::max(ram.begin, small * LARGE_PAGE_SIZE), ram.end);
        if (ram.begin <= IMAGE_BASE)
            ram.begin = tables_end;
        if (ram.begin < ram.end && count < room.size())
            room[count++] = ram;
    }
    room = room.first(count);
    tables.use();
    return nullptr;
}

std::string_view region_name(std::uint64_t address) noexcept {
    for (const region& r : memory_map)
        if (address < r.end)
            return r.name;
    return "the heap, or past the end of memory";
}

} // namespace mirage::xen
