// SPDX-License-Identifier: MIT
#include "memory.hpp"
#include <algorithm>
#include <cerrno>
#include <sys/mman.h>

namespace mirage::tender {

outcome<guest_memory> guest_memory::reserve(std::uint64_t size, bool with_ring) {
    constexpr std::uint64_t ring_room = 2 << 20, most = std::uint64_t{4} << 30;
    guest_memory m;
    m.total_ = std::min(size + (with_ring ? ring_room : 0), most);
    m.size_ = m.total_ - (with_ring ? ring_room : 0);
    // Shared, as the ABI says; touched by nobody before the guest does, so that what it does not use costs
    // nothing.
    void* const at =
        ::mmap(nullptr, m.total_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return failure("no room for " + std::to_string(m.total_ >> 20)
                       + " MiB of guest memory: " + std::strerror(errno) + "; try a smaller --mem=");
    m.base_ = static_cast<std::byte*>(at);
    return m;
}

outcome<> guest_memory::protect(std::uint64_t start, std::uint64_t end, bool writable) {
    if (writable)
        return {};
    if (::mprotect(base_ + start, end - start, PROT_READ) != 0)
        return failure(std::string{"guest memory cannot be protected: "} + std::strerror(errno));
    read_only_.push_back({start, end});
    return {};
}

bool guest_memory::poke(std::uint64_t address, std::span<const std::byte> octets) const noexcept {
    if (readable(address, octets.size()).empty())
        return false;
    constexpr std::uint64_t page = 4096;
    const std::uint64_t start = address / page * page, end = (address + octets.size() + page - 1) / page * page;
    bool kept = false;
    for (const range& r : read_only_)
        kept |= start < r.end && r.start < end;
    if (kept && ::mprotect(base_ + start, end - start, PROT_READ | PROT_WRITE) != 0)
        return false;
    std::memcpy(base_ + address, octets.data(), octets.size());
    // Segments are whole pages; octets that are written in one piece lie in one.
    return !kept || ::mprotect(base_ + start, end - start, PROT_READ) == 0;
}

} // namespace mirage::tender
