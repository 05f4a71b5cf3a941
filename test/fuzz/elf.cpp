// SPDX-License-Identifier: MIT
// An image that the tender accepts can be loaded: nothing of it lies outside of the file or of the guest's
// memory.
#include "../../platform/hvt/tender/elf.cpp"
#include "support/fuzz.hpp"

using namespace mirage;
using fuzz::expect;

namespace {

void check_segments(const tender::image& unikernel, std::size_t file, std::uint64_t memory) {
    std::uint64_t previous = IMAGE_BASE;
    for (const tender::segment& s : unikernel.segments) {
        expect(s.file_offset <= file && s.file_size <= file - s.file_offset, "the content is in the file");
        expect(s.file_size > 0 && s.file_size <= s.memory_size, "a segment holds what the file has for it");
        expect(s.start % 4096 == 0 && s.end % 4096 == 0, "whole pages");
        expect(s.start <= s.address && s.memory_size <= s.end - s.address, "the segment is in its pages");
        expect(s.start >= previous && s.start < s.end && s.end <= memory,
               "in order, and in the guest's memory");
        previous = s.end;
    }
    expect(unikernel.kernel_end == previous, "kernel_end is the last one's end");
}

void check_devices(const tender::image& unikernel) {
    const auto& entries = unikernel.devices;
    expect(!entries.empty() && entries.size() <= hvt::abi::manifest_max_entries,
           "a handle fits a 64-bit set");
    expect(entries[0].type == hvt::abi::device_type::reserved_first && entries[0].name[0] == 0,
           "entry 0 is reserved");
    for (const auto& e : entries)
        expect(e.name[sizeof e.name - 1] == 0 && !e.attached, "names end, and nothing is attached yet");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto file = fuzz::input(data, size);
    constexpr std::uint64_t least = 2 << 20, most = std::uint64_t{4} << 30;
    const auto in_most = tender::image::parse(file, most);
    const auto in_least = tender::image::parse(file, least);
    expect(in_most || !in_most.error().empty(), "every error is said");
    expect(in_most || !in_least, "more memory never hurts");
    if (in_most) {
        check_segments(*in_most, size, most);
        check_devices(*in_most);
        expect(in_most->entry >= IMAGE_BASE && in_most->entry < most,
               "the entry point is in the guest's memory");
        expect(in_least.has_value() == (in_most->kernel_end <= least && in_most->entry < least),
               "memory decides the rest");
    }
    if (in_least)
        check_segments(*in_least, size, least);
    return 0;
}
