// SPDX-License-Identifier: MIT
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>

namespace mirage::runtime {

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
    std::string_view view() const noexcept { return {text_.data(), size_}; }
};

/// The name of the exception with this vector, at most 21.
[[gnu::always_inline]] inline std::string_view vector_name(std::uint64_t vector) noexcept {
    // One text after the other, in the order of the vectors.
    // NOLINTNEXTLINE(bugprone-string-literal-with-embedded-nul): "\0x87 error" is a NUL and the x87's name
    const char* name = "division error\0debug exception\0NMI\0breakpoint\0overflow\0"
                       "bound exceeded\0invalid opcode\0no FPU\0double fault\0exception 9\0"
                       "invalid TSS\0segment not present\0stack fault\0"
                       "general protection fault\0page fault\0exception 15\0x87 error\0"
                       "alignment check\0machine check\0SIMD error\0exception 20\0"
                       "control protection fault";
    for (; vector > 0; --vector)
        name += std::string_view{name}.size() + 1;
    return name;
}

/// Says in words what a page fault's address and error code mean (Intel SDM vol. 3A, Page-Fault Exceptions).
/// `guard`: where the page below the main stack ends.
[[gnu::always_inline]] inline void explain_page_fault(report_text& out, std::uint64_t address, std::uint64_t error_code, std::uint64_t guard,
                               std::string_view region) noexcept {
    constexpr std::uint64_t page = 4096;
    const bool present = (error_code & 1) != 0, write = (error_code & 2) != 0, fetch = (error_code & 16) != 0;
    out << "  ";
    if (address < page)
        out << "null dereference: ";
    else if (address < guard && guard - address <= page)
        out << "stack overflow: ";
    else if (present && fetch)
        out << "execution of data: ";
    else if (present && write)
        out << "write to read-only memory: ";
    out << (fetch ? "jump to " : write ? "write to " : "read of ");
    out.hex(address) << ", in " << region << '\n';
}

/// The registers, three in a line. `at` has rip, rsp, rflags and cs; `general` the others, r15 first and rax last.
template <class Registers>
[[gnu::always_inline]] inline void print_registers(report_text& out, const Registers& at, std::span<const std::uint64_t, 15> general) noexcept {
    constexpr std::string_view names[] = {"r15", "r14", "r13", "r12", "r11", "r10", "r9 ", "r8 ",
                                          "rbp", "rdi", "rsi", "rdx", "rcx", "rbx", "rax"};
    (out << "  rip ").hex(at.rip) << "  rsp ";
    out.hex(at.rsp) << "  rflags ";
    out.hex(at.rflags, 8) << "  cs ";
    out.hex(at.cs, 2);
    for (std::size_t i = 0; i < std::size(names); ++i)
        (out << (i % 3 == 0 ? "\n  " : "  ") << names[14 - i] << ' ').hex(general[14 - i]);
    out << '\n';
}

/// Return addresses, found without unwind tables: along the chain of frame pointers, as long as it leads up the stack.
/// Reads no memory but code and stack; `Image` says where they are: code_begin(), code_end(), stack_begin() and
/// stack_end(), addresses that the linker knows.
template <class Image>
class backtrace {
    std::span<std::uint64_t> frames_;
    std::size_t depth_ = 0;

    static bool is_code(std::uint64_t address) noexcept {
        return address >= Image::code_begin() && address < Image::code_end();
    }

    /// Whether a call instruction ends at `address`: direct, or through a register or a short address.
    static bool follows_call(std::uint64_t address) noexcept {
        if (!is_code(address) || address < Image::code_begin() + 8)
            return false;
        const auto* const at = reinterpret_cast<const unsigned char*>(address);
        constexpr unsigned char reg = 0x38, call = 0x10;
        return at[-5] == 0xe8 || (at[-2] == 0xff && (at[-1] & reg) == call)
               || (at[-3] == 0xff && (at[-2] & reg) == call);
    }

    void add(std::uint64_t address) noexcept {
        if (depth_ < frames_.size())
            frames_[depth_++] = address;
    }

public:
    /// Writes what it finds into `frames`.
    explicit backtrace(std::span<std::uint64_t> frames) noexcept : frames_{frames} {}

    /// From where a fault happened: the instruction itself, and what rsp points to, because a function that calls
    /// nothing may have no frame.
    [[gnu::always_inline]] void from_fault(std::uint64_t rip, std::uint64_t rsp) noexcept {
        add(rip);
        const bool on_stack = rsp >= Image::stack_begin() && rsp < Image::stack_end() && rsp % 8 == 0;
        if (on_stack && follows_call(*reinterpret_cast<const std::uint64_t*>(rsp)))
            add(*reinterpret_cast<const std::uint64_t*>(rsp));
    }

    [[gnu::noinline]] void from_frame(std::uint64_t frame) noexcept {
        while (depth_ < frames_.size() && frame >= Image::stack_begin() && frame <= Image::stack_end() - 16 && frame % 8 == 0) {
            const auto* const words = reinterpret_cast<const std::uint64_t*>(frame);
            if (!is_code(words[1]))
                break;
            add(words[1]);
            if (words[0] <= frame)
                break;
            frame = words[0];
        }
    }

    std::size_t depth() const noexcept { return depth_; }

    void print(report_text& out) const noexcept {
        out << "backtrace:";
        for (std::size_t i = 0; i < depth_; ++i)
            (out << " ").hex(frames_[i], 8);
        out << '\n';
    }
};

} // namespace mirage::runtime
