// SPDX-License-Identifier: MIT
// What the tender recognises as an instruction of ring 0: octets by the Intel SDM, vol. 2.
#include "instruction.hpp"
#include <doctest/doctest.h>
#include <string>
#include <vector>

using namespace mirage::tender;
using enum operation;

namespace {

struct fixture {
    kvm_regs r{};
    kvm_sregs s{};

    fixture() {
        for (unsigned i = 0; i < 16; ++i)
            general_register(r, i) = 0x1000 * (i + 1);
        r.rip = 0x100000;
        s.fs.base = 0x40000000;
        s.gs.base = 0x50000000;
    }

    std::optional<instruction> decode(std::string_view octets) const {
        return decode_privileged(std::as_bytes(std::span{octets}), r, s);
    }
};

template <std::size_t N>
std::string_view octets(const char (&text)[N]) {
    return {text, N - 1};
}

} // namespace

TEST_CASE("each instruction, by its opcode") {
    static constexpr struct {
        std::string_view code;
        operation what;
        unsigned width;
    } table[] = {
        {{"\x0f\x01\x10", 3}, load_gdt, 4},
        {{"\x0f\x01\x18", 3}, load_idt, 4},
        {{"\x0f\x00\xd8", 3}, load_task, 4},
        {{"\x8e\xd0", 2}, load_segment, 4},
        {{"\x48\xcb", 2}, far_return, 8},
        {{"\xcb", 1}, far_return, 4},
        {{"\x66\xcb", 2}, far_return, 2},
        {{"\xca\x10\x00", 3}, far_return, 4},
        {{"\xff\x28", 2}, far_jump, 4},
        {{"\x48\xff\x28", 3}, far_jump, 8},
        {{"\xcd\x80", 2}, interrupt, 4},
        {{"\x48\xcf", 2}, interrupt_return, 8},
        {{"\x0f\x20\xd8", 3}, read_control, 8},
        {{"\x0f\x22\xd8", 3}, write_control, 8},
        {{"\x44\x0f\x20\xc0", 4}, read_control, 8},
        {{"\x0f\x32", 2}, read_model_specific, 4},
        {{"\x0f\x30", 2}, write_model_specific, 4},
        {{"\x0f\x01\xd1", 3}, write_extended_control, 4},
        {{"\x0f\x06", 2}, clear_task_switched, 4},
        {{"\x0f\x01\xf8", 3}, swap_gs, 4},
        {{"\xfa", 1}, clear_interrupts, 4},
        {{"\xfb", 1}, set_interrupts, 4},
        {{"\xf4", 1}, halt, 4},
        {{"\x0f\x01\x38", 3}, invalidate, 4},
        {{"\x0f\x08", 2}, invalidate, 4},
        {{"\x0f\x09", 2}, invalidate, 4},
        {{"\xec", 1}, port_in, 1},
        {{"\xe5\x70", 2}, port_in, 4},
        {{"\x66\xef", 2}, port_out, 2},
        {{"\xf3\x6e", 2}, port_out, 1},
        {{"\x0f\x33", 2}, other, 4},
        {{"\x0f\x23\xc0", 3}, other, 4},
        {{"\x0f\x01\xf0", 3}, other, 4},
        {{"\x0f\x00\x10", 3}, other, 4},
    };
    const fixture f;
    for (const auto& row : table) {
        const auto i = f.decode(row.code);
        REQUIRE_MESSAGE(i, "row ", &row - table);
        CHECK_MESSAGE(i->what == row.what, "row ", &row - table);
        CHECK_MESSAGE(i->width == row.width, "row ", &row - table);
        CHECK_MESSAGE(i->length == row.code.size(), "row ", &row - table);
    }
}

TEST_CASE("what ring 3 may do is not taken") {
    const fixture f;
    for (const std::string_view code :
         {octets("\x90"), octets("\x0f\x0b"), octets("\x0f\x05"), octets("\x8b\x00"), octets("\xff\xd0"), octets("\xff\xe8"),
          octets("\x0f\x01\x00"), octets("\x0f\x01\x08"), octets("\x0f\x01\xd0"), octets("\x0f\x00\xc8"), octets("\xcc"),
          octets("\x0f\xa2"), octets("\x66\x0f\xfe\xc0"), octets("\xc5\xf8\x77")})
        CHECK_FALSE(f.decode(code));
}

TEST_CASE("where operands are (64-bit addressing forms)") {
    static constexpr struct {
        std::string_view code;
        std::uint64_t address;
    } table[] = {
        {{"\x0f\x01\x10", 3}, 0x1000},                                         // (%rax)
        {{"\x41\x0f\x01\x10", 4}, 0x9000},                                     // (%r8)
        {{"\x0f\x01\x50\x10", 4}, 0x1010},                                     // 16(%rax)
        {{"\x0f\x01\x55\xf0", 4}, 0x5ff0},                                     // -16(%rbp)
        {{"\x0f\x01\x90\x00\x00\x00\x80", 7}, 0x1000 - std::uint64_t{0x80000000}}, // a displacement has a sign
        {{"\x0f\x01\x15\x01\x00\x00\x00", 7}, 0x100008},                       // 1(%rip)
        {{"\x0f\x01\x14\x25\x78\x56\x34\x12", 8}, 0x12345678},                 // absolute
        {{"\x0f\x01\x14\x24", 4}, 0x5000},                                     // (%rsp)
        {{"\x0f\x01\x14\x98", 4}, 0x1000 + 4 * 0x4000},                        // (%rax,%rbx,4)
        {{"\x42\x0f\x01\x14\x20", 5}, 0x1000 + 0xd000},                        // (%rax,%r12)
        {{"\x0f\x01\x14\x5d\x10\x00\x00\x00", 8}, 2 * 0x4000 + 0x10},          // 16(,%rbx,2)
        {{"\x64\x0f\x01\x10", 4}, 0x40001000},                                 // %fs:(%rax)
        {{"\x65\x0f\x01\x10", 4}, 0x50001000},                                 // %gs:(%rax)
    };
    const fixture f;
    for (const auto& row : table) {
        const auto i = f.decode(row.code);
        REQUIRE_MESSAGE(i, "row ", &row - table);
        CHECK(i->in_memory);
        CHECK_MESSAGE(i->address == row.address, "row ", &row - table);
        CHECK_MESSAGE(i->length == row.code.size(), "row ", &row - table);
    }
    fixture wide;
    wide.r.rax = 0xffffffff'00002000;
    CHECK(wide.decode(octets("\x67\x0f\x01\x10"))->address == 0x2000); // (%eax)
}

TEST_CASE("which registers") {
    const fixture f;
    CHECK(f.decode(octets("\x44\x0f\x20\xc3"))->reg == 8); // %cr8 to %rbx
    CHECK(f.decode(octets("\x44\x0f\x20\xc3"))->rm == 3);
    CHECK(f.decode(octets("\x41\x0f\x22\xdc"))->reg == 3); // %r12 to %cr3
    CHECK(f.decode(octets("\x41\x0f\x22\xdc"))->rm == 12);
    CHECK(f.decode(octets("\x8e\xe1"))->reg == 4); // %ecx to %fs
    CHECK(f.decode(octets("\x8e\xe1"))->rm == 1);
    CHECK_FALSE(f.decode(octets("\x8e\xe1"))->in_memory);
    CHECK(f.decode(octets("\xcd\x30"))->immediate == 0x30);
    CHECK(f.decode(octets("\xca\x34\x12"))->immediate == 0x1234);
    CHECK(f.decode(octets("\xe6\x70"))->immediate == 0x70);
    CHECK(f.decode(octets("\xee"))->immediate == 0x3000); // %dx
}

TEST_CASE("prefixes: REX counts before the opcode only") {
    const fixture f;
    CHECK(f.decode(octets("\x66\x48\xcb"))->width == 8);
    CHECK(f.decode(octets("\xf0\xf4"))->length == 2);
    CHECK(f.decode(octets("\x48\x66\xcb"))->width == 2);
}

TEST_CASE("no more than 15 octets, and none behind the last") {
    const fixture f;
    const std::string_view lgdt = octets("\x0f\x01\x14\x25\x78\x56\x34\x12");
    for (std::size_t size = 0; size < lgdt.size(); ++size) {
        const std::vector<char> exactly(lgdt.begin(), lgdt.begin() + static_cast<std::ptrdiff_t>(size));
        CHECK_FALSE(f.decode({exactly.data(), exactly.size()}));
    }
    const std::string most = std::string(14, '\x66') + '\xf4', more = std::string(15, '\x66') + '\xf4';
    CHECK(f.decode(most)->length == 15);
    CHECK_FALSE(f.decode(more));
    CHECK_FALSE(f.decode(std::string(1000, '\x66')));
}
