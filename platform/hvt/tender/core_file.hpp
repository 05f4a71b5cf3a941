// SPDX-License-Identifier: MIT
#pragma once
#include "memory.hpp"
#include "mirage/hosted/unique_fd.hpp"
#include "registers.hpp"
#include <string>

namespace mirage::tender {

/// An ELF core of a guest: its memory as one segment, identity mapped, and its registers in an NT_PRSTATUS note. The
/// file is opened before the sandbox, and gets its name when there is something in it.
class core_file {
    hosted::unique_fd folder_, file_;
    std::string path_, name_;

public:
    /// Finds out whether `folder` takes a file.
    static outcome<core_file> prepare(const std::string& folder);

    /// Writes what the guest has touched (the file is sparse), and says where. `signal`: what it died of.
    void write(const guest_memory& memory, const register_file& registers, int signal) const;
};

} // namespace mirage::tender
