// SPDX-License-Identifier: MIT
//
// The last words: what went wrong, where, and how it came to that. Runs in ring 3 like everything else, on the
// trap stack; uses nothing that may be broken: no heap, no device object, nothing but the console hypercall.
#include "fault.hpp"
#include "mirage/core/check.hpp"
#include "mirage/hvt/hypercall.hpp"
#include <algorithm>
#include <array>
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

/// A text that grows in place; what does not fit is left out.
class report_text {
    std::array<char, 1536> text_;
    std::size_t size_ = 0;

public:
    [[gnu::noinline]] report_text& operator<<(std::string_view s) noexcept {
        for (const char c : s)
            if (size_ < text_.size())
                text_[size_++] = c;
        return *this;
    }
    report_text& operator<<(char c) noexcept { return *this << std::string_view{&c, 1}; }
    [[gnu::noinline]] report_text& hex(std::uint64_t value, int digits = 16) noexcept {
        *this << "0x";
        for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
            *this << "0123456789abcdef"[value >> shift & 15];
        return *this;
    }
    [[gnu::noinline]] report_text& decimal(std::uint64_t value) noexcept {
        std::array<char, 20> digits;
        std::size_t at = digits.size();
        do
            digits[--at] = static_cast<char>('0' + value % 10);
        while ((value /= 10) != 0);
        return *this << std::string_view{&digits[at], digits.size() - at};
    }
    void put() const noexcept { hvt::put({text_.data(), size_}); }
};

/// The names of the exceptions, one text after the other in the order of their vectors.
constexpr char vector_names[] = "division error\0debug exception\0NMI\0breakpoint\0overflow\0"
                                          "bound exceeded\0invalid opcode\0no FPU\0double fault\0exception 9\0"
                                          "invalid TSS\0segment not present\0stack fault\0"
                                          "general protection fault\0page fault\0exception 15\0x87 error\0"
                                          "alignment check\0machine check\0SIMD error\0exception 20\0"
                                          "control protection fault";

std::string_view vector_name(std::uint64_t vector) noexcept {
    const char* name = vector_names;
    for (; vector > 0; --vector)
        name += std::string_view{name}.size() + 1;
    return name;
}

std::string_view region_name(std::uint64_t address) noexcept {
    for (const memory_region* r = memory_map; r != memory_map_end; ++r)
        if (address < r->end)
            return reinterpret_cast<const char*>(std::uintptr_t{r->name});
    return "the heap, or past the end of memory";
}

/// Says in words what a page fault's address and error code mean (Intel SDM vol. 3A, Page-Fault Exceptions).
void explain_page_fault(report_text& out, const abi::trap_registers& at) noexcept {
    const bool present = (at.error_code & 1) != 0, write = (at.error_code & 2) != 0;
    const bool fetch = (at.error_code & 16) != 0;
    const auto guard = address_of(main_stack);
    out << "  ";
    if (at.cr2 < PAGE_SIZE)
        out << "null dereference: ";
    else if (at.cr2 < guard && guard - at.cr2 <= PAGE_SIZE)
        out << "stack overflow: ";
    else if (present && fetch)
        out << "execution of data: ";
    else if (present && write)
        out << "write to read-only memory: ";
    out << (fetch ? "jump to " : write ? "write to " : "read of ");
    out.hex(at.cr2) << ", in " << region_name(at.cr2) << '\n';
}

bool is_code(std::uint64_t address) noexcept { return address >= IMAGE_BASE && address < address_of(text_end); }

/// Whether a call instruction ends at `address`: direct, or through a register or a short address.
bool follows_call(std::uint64_t address) noexcept {
    if (!is_code(address) || address < IMAGE_BASE + 8)
        return false;
    const auto* const at = reinterpret_cast<const unsigned char*>(address);
    constexpr unsigned char reg = 0x38, call = 0x10;
    return at[-5] == 0xe8 || (at[-2] == 0xff && (at[-1] & reg) == call) || (at[-3] == 0xff && (at[-2] & reg) == call);
}

/// A function that calls nothing may have no frame: then its return address is what rsp points to.
void look_below_frames(abi::fault_report& report, std::uint64_t stack) noexcept {
    const bool on_stack = stack >= address_of(main_stack) && stack < address_of(main_stack_end) && stack % 8 == 0;
    if (on_stack && follows_call(*reinterpret_cast<const std::uint64_t*>(stack)))
        report.frames[report.depth++] = *reinterpret_cast<const std::uint64_t*>(stack);
}

/// Return addresses along the chain of frame pointers, as long as it leads up the main stack.
[[gnu::noinline]] void walk(abi::fault_report& report, std::uint64_t frame) noexcept {
    const auto bottom = address_of(main_stack), top = address_of(main_stack_end);
    while (report.depth < std::size(report.frames) && frame >= bottom && frame <= top - 16 && frame % 8 == 0) {
        const auto* const words = reinterpret_cast<const std::uint64_t*>(frame);
        if (!is_code(words[1]))
            break;
        report.frames[report.depth++] = words[1];
        if (words[0] <= frame)
            break;
        frame = words[0];
    }
}

void print_backtrace(report_text& out, const abi::fault_report& report) noexcept {
    out << "backtrace:";
    for (std::size_t i = 0; i < report.depth; ++i)
        (out << " ").hex(report.frames[i], 8);
    out << '\n';
}

/// A second fault, or a panic inside the report: be brief.
void only_once() noexcept {
    if (reporting) {
        put("fault: another one while reporting the first\n");
        halt(255);
    }
    reporting = true;
}

} // namespace
} // namespace mirage::hvt

using namespace mirage::hvt;

/// Every trap ends here; trap_entry in boot.S saved the registers.
void mirage_hvt_fault(const trap_frame& frame) noexcept {
    only_once();
    const auto& at = frame.registers;
    last_report.registers = at;
    last_report.magic = abi::fault_report::magic_value;
    last_report.vector = frame.vector;
    std::ranges::copy(frame.general, last_report.general);
    constexpr std::size_t rbp = 8;
    last_report.frames[last_report.depth++] = at.rip;
    look_below_frames(last_report, at.rsp);
    walk(last_report, frame.general[rbp]);

    report_text out;
    out << "\nfault: " << vector_name(frame.vector) << " (vector ";
    out.decimal(frame.vector) << ", error code ";
    out.hex(at.error_code, 4) << ")\n";
    if (frame.vector == 14)
        explain_page_fault(out, at);
    if (frame.vector == 13 && at.error_code == 0)
        out << "  a privileged instruction, a port that is not a hypercall, or a non-canonical address\n";
    constexpr std::string_view names[] = {"r15", "r14", "r13", "r12", "r11", "r10", "r9 ", "r8 ",
                                          "rbp", "rdi", "rsi", "rdx", "rcx", "rbx", "rax"};
    (out << "  rip ").hex(at.rip) << "  rsp ";
    out.hex(at.rsp) << "  rflags ";
    out.hex(at.rflags, 8) << "  cs ";
    out.hex(at.cs, 2);
    for (std::size_t i = 0; i < std::size(names); ++i)
        (out << (i % 3 == 0 ? "\n  " : "  ") << names[14 - i] << ' ').hex(frame.general[14 - i]);
    out << '\n';
    print_backtrace(out, last_report);
    out.put();
    halt(255, &last_report);
}

void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    only_once();
    last_report.magic = abi::fault_report::magic_value;
    last_report.vector = abi::fault_report::panic_vector;
    walk(last_report, address_of(__builtin_frame_address(0)));

    report_text out;
    out << "\npanic: " << reason << "\n  at " << file << ':';
    out.decimal(line) << '\n';
    print_backtrace(out, last_report);
    out.put();
    halt(255, &last_report);
}
