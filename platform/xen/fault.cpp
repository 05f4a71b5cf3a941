// SPDX-License-Identifier: MIT
//
// The last words: what went wrong, where, and how it came to that. Runs on the trap stack; uses nothing that may be
// broken: no heap, no device object, nothing but the console's ring.
#include "memory_map.hpp"
#include "mirage/core/check.hpp"
#include "mirage/runtime/fault_report.hpp"
#include "mirage/xen/machine.hpp"
#include <array>
#include <string_view>

namespace mirage::xen {

/// What trap_entry (boot.S) leaves on the trap stack.
struct trap_frame {
    std::uint64_t vector;
    std::uint64_t general[15]; ///< r15 first, rax last
    std::uint64_t cr2, error_code, rip, cs, rflags, rsp, ss;
};

} // namespace mirage::xen

extern "C" {
extern const char main_stack[], main_stack_end[], text_end[];
[[noreturn]] void mirage_xen_fault(const mirage::xen::trap_frame& frame) noexcept;
}

namespace mirage::xen {
namespace {

constinit bool reporting = false;

/// Ends the domain once the report has been read; nobody reads: to Xen's own log instead.
[[noreturn]] void end_with(std::string_view text) noexcept {
    console_ring& console = this_machine.console();
    console.write(text);
    if (!console.drain())
        emergency_write(text);
    shut_down(SHUTDOWN_crash);
}

/// A second fault, or a panic inside the report: be brief.
void only_once() noexcept {
    if (reporting) {
        emergency_write("fault: another one while reporting the first\n");
        shut_down(SHUTDOWN_crash);
    }
    reporting = true;
}

/// Where the linker put what a backtrace reads.
struct image {
    static std::uint64_t code_begin() noexcept { return IMAGE_BASE; }
    static std::uint64_t code_end() noexcept { return address_of(text_end); }
    static std::uint64_t stack_begin() noexcept { return address_of(main_stack); }
    static std::uint64_t stack_end() noexcept { return address_of(main_stack_end); }
};

} // namespace
} // namespace mirage::xen

using namespace mirage::xen;
using namespace mirage::runtime;

/// Every trap ends here; trap_entry in boot.S saved the registers.
void mirage_xen_fault(const trap_frame& at) noexcept {
    only_once();
    report_text out;
    out << "\nfault: " << vector_name(at.vector) << " (vector ";
    out.decimal(at.vector) << ", error code ";
    out.hex(at.error_code, 4) << ")\n";
    if (at.vector == 14)
        explain_page_fault(out, at.cr2, at.error_code, address_of(main_stack), region_name(at.cr2));
    if (at.vector == 13 && at.error_code == 0)
        out << "  a non-canonical address, or an instruction or port that Xen does not let the domain use\n";
    print_registers(out, at, at.general);
    std::array<std::uint64_t, 16> frames;
    backtrace<image> trace{frames};
    trace.from_fault(at.rip, at.rsp);
    constexpr std::size_t rbp = 8;
    trace.from_frame(at.general[rbp]);
    trace.print(out);
    end_with(out.view());
}

void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    only_once();
    report_text out;
    out << "\npanic: " << reason << "\n  at " << file << ':';
    out.decimal(line) << '\n';
    std::array<std::uint64_t, 16> frames;
    backtrace<image> trace{frames};
    trace.from_frame(address_of(__builtin_frame_address(0)));
    trace.print(out);
    end_with(out.view());
}
