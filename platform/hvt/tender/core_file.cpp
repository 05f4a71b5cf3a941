// SPDX-License-Identifier: MIT
#include "core_file.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <unistd.h>
#include <vector>

namespace mirage::tender {

namespace {

constexpr std::uint64_t page = 4096;

struct head {
    Elf64_Ehdr file{};
    Elf64_Phdr note{}, memory{};
    struct {
        Elf64_Nhdr about{};
        char name[8] = "CORE";
        std::byte status[sizeof(elf_prstatus)]{}; // 4 octets off its own alignment
    } registers{};
};

head make_head(std::uint64_t memory_size, const register_file& r, int signal) {
    head h;
    std::memcpy(h.file.e_ident, ELFMAG, SELFMAG);
    h.file.e_ident[EI_CLASS] = ELFCLASS64;
    h.file.e_ident[EI_DATA] = ELFDATA2LSB;
    h.file.e_ident[EI_VERSION] = EV_CURRENT;
    h.file.e_type = ET_CORE;
    h.file.e_machine = EM_X86_64;
    h.file.e_version = EV_CURRENT;
    h.file.e_phoff = offsetof(head, note);
    h.file.e_ehsize = sizeof(Elf64_Ehdr);
    h.file.e_phentsize = sizeof(Elf64_Phdr);
    h.file.e_phnum = 2;
    h.note.p_type = PT_NOTE;
    h.note.p_offset = offsetof(head, registers);
    h.note.p_filesz = sizeof h.registers;
    h.note.p_align = 4;
    h.memory.p_type = PT_LOAD;
    h.memory.p_flags = PF_R | PF_W | PF_X;
    h.memory.p_offset = page;
    h.memory.p_filesz = h.memory.p_memsz = memory_size;
    h.memory.p_align = page;
    static_assert(sizeof(head) <= page);
    h.registers.about = {5, sizeof(elf_prstatus), NT_PRSTATUS};
    elf_prstatus s{};
    s.pr_info.si_signo = signal;
    s.pr_cursig = static_cast<short>(signal);
    s.pr_pid = 1;
    using enum register_file::number;
    // struct user_regs_struct; what is behind rdi is orig_rax, which no guest has
    constexpr unsigned none = register_file::count;
    constexpr unsigned order[] = {r15, r14, r13, r12, rbp, rbx,  r11, r10,    r9,  r8, rax,     rcx,     rdx, rsi,
                                  rdi, none, rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs};
    static_assert(std::size(order) == ELF_NGREG);
    for (std::size_t i = 0; i < std::size(order); ++i)
        s.pr_reg[i] = order[i] == none ? ~std::uint64_t{0} : r.get(order[i]);
    std::memcpy(h.registers.status, &s, sizeof s);
    return h;
}

bool put(int file, const void* from, std::uint64_t size, std::uint64_t at) {
    const auto* octets = static_cast<const char*>(from);
    while (size > 0) {
        const ssize_t n = ::pwrite(file, octets, size, static_cast<off_t>(at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        octets += n, at += static_cast<std::uint64_t>(n), size -= static_cast<std::uint64_t>(n);
    }
    return true;
}

/// Pages that were never touched are holes, and so are those of zeros only.
bool put_memory(int file, const guest_memory& memory) {
    static constexpr std::byte zeros[page]{};
    const std::uint64_t pages = memory.size() / page;
    std::vector<unsigned char> touched(pages);
    if (::mincore(memory.base(), memory.size(), touched.data()) != 0)
        std::ranges::fill(touched, std::uint8_t{1});
    for (std::uint64_t i = 0; i < pages; ++i) {
        const std::byte* const from = memory.base() + i * page;
        const bool last = i + 1 == pages; // gives the file its length
        if (((touched[i] & 1) != 0 && std::memcmp(from, zeros, page) != 0) || last)
            if (!put(file, from, page, page + i * page))
                return false;
    }
    return true;
}

} // namespace

outcome<core_file> core_file::prepare(const std::string& folder) {
    core_file c;
    c.name_ = "core.mirage-hvt." + std::to_string(::getpid());
    c.path_ = folder + "/" + c.name_;
    c.folder_ = hosted::unique_fd{::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (c.folder_)
        c.file_ = hosted::unique_fd{::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600)};
    if (!c.file_)
        return failure("--dumpcore=" + folder + ": " + std::strerror(errno)
                       + (errno == EOPNOTSUPP ? "; its file system has no files without names: take another" : ""));
    return c;
}

void core_file::write(const guest_memory& memory, const register_file& registers, int signal) const {
    const head h = make_head(memory.size(), registers, signal);
    const std::string link = "/proc/self/fd/" + std::to_string(file_.get());
    if (put(file_.get(), &h, sizeof h, 0) && put_memory(file_.get(), memory)
        && ::linkat(AT_FDCWD, link.c_str(), folder_.get(), name_.c_str(), AT_SYMLINK_FOLLOW) == 0)
        say("its memory and registers are in " + path_ + " (look with: gdb IMAGE " + path_ + ")");
    else
        say("--dumpcore: " + path_ + ": " + std::strerror(errno));
}

} // namespace mirage::tender
