// SPDX-License-Identifier: MIT
//
// The last words: what went wrong, where, and how it came to that. Runs in ring 3 like everything else, on the
// trap stack; uses nothing that may be broken: no heap, no device object, nothing but the console hypercall.
#include "fault.hpp"
#include "mirage/core/check.hpp"
#include "mirage/hvt/console.hpp"
#include "mirage/hvt/hypercall.hpp"
#include "mirage/runtime/fault_report.hpp"
#include <algorithm>
#include <string_view>

extern "C" {
extern const mirage::hvt::memory_region memory_map[], memory_map_end[];
extern const char main_stack[], main_stack_end[], trap_stack[], text_end[];
[[noreturn]] void mirage_hvt_fault(const mirage::hvt::trap_frame& frame) noexcept;
}

namespace mirage::hvt {
namespace {

constinit abi::fault_report last_report{.magic = 0}; // zero, so that it is not in the file
constinit bool reporting = false;

std::string_view region_name(std::uint64_t address) noexcept {
    for (const memory_region* r = memory_map; r != memory_map_end; ++r)
        if (address < r->end)
            return reinterpret_cast<const char*>(std::uintptr_t{r->name});
    return "the heap, or past the end of memory";
}

constexpr auto& frames = last_report.frames;

/// Where the linker put what a backtrace reads.
struct image {
    static std::uint64_t code_begin() noexcept { return IMAGE_BASE; }
    static std::uint64_t code_end() noexcept { return address_of(text_end); }
    static std::uint64_t stack_begin() noexcept { return address_of(main_stack); }
    static std::uint64_t stack_end() noexcept { return address_of(main_stack_end); }
};

/// The report for people on the console, and the one for the tender.
[[noreturn]] void end_with(runtime::report_text& out, const runtime::backtrace<image>& trace) noexcept {
    last_report.magic = abi::fault_report::magic_value;
    last_report.depth = trace.depth();
    trace.print(out);
    put(out.view());
    halt(255, &last_report);
}

/// A second fault, or a panic inside the report: be brief.
void only_once() noexcept {
    if (reporting) {
        put("fault: another one while reporting the first\n");
        halt(255);
    }
    reporting = true;
    this_console.flush();
}

} // namespace
} // namespace mirage::hvt

using namespace mirage::hvt;
using namespace mirage::runtime;

/// Every trap ends here; trap_entry in boot.S saved the registers. What is only for the last words lies behind all other
/// text (link.ld), so that it is not in the pages that a good start touches.
[[gnu::section(".last_words_text")]] void mirage_hvt_fault(const trap_frame& frame) noexcept {
    only_once();
    const auto& at = frame.registers;
    last_report.registers = at;
    last_report.vector = frame.vector;
    std::ranges::copy(frame.general, last_report.general);

    report_text out;
    out << "\nfault: " << vector_name(frame.vector) << " (vector ";
    out.decimal(frame.vector) << ", error code ";
    out.hex(at.error_code, 4) << ")\n";
    if (frame.vector == 14)
        explain_page_fault(out, at.cr2, at.error_code, address_of(main_stack), region_name(at.cr2));
    if (frame.vector == 13 && at.error_code == 0)
        out << "  a privileged instruction, a port that is not a hypercall, or a non-canonical address\n";
    print_registers(out, at, frame.general);
    backtrace<image> trace{frames};
    trace.from_fault(at.rip, at.rsp);
    constexpr std::size_t rbp = 8;
    trace.from_frame(frame.general[rbp]);
    end_with(out, trace);
}

[[gnu::section(".last_words_text")]] void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    only_once();
    last_report.vector = abi::fault_report::panic_vector;

    report_text out;
    out << "\npanic: " << reason << "\n  at " << file << ':';
    out.decimal(line) << '\n';
    backtrace<image> trace{frames};
    trace.from_frame(address_of(__builtin_frame_address(0)));
    end_with(out, trace);
}
