// SPDX-License-Identifier: MIT
#pragma once
#include "debugger.hpp"
#include "gdb_link.hpp"
#include <functional>

namespace mirage::tender {

/// Gdb's remote serial protocol, served from a debugger (GDB manual, "Packets" and "Stop Reply Packets").
class gdb_server {
    debugger& debugger_;
    gdb_link link_;
    enum class order : std::uint8_t { go, step, leave };
    register_file shown_{};
    const guest_memory& memory_;
    bool left_ = false, stop_after_call_ = false;
    std::string reason_ = "S05"; ///< the stop reply

    std::string answer(const std::string& command);
    std::string all_registers();
    std::string registers_answer(const std::string& command);
    std::string memory_answer(const std::string& command);
    std::string points_answer(const std::string& command);
    std::string query_answer(const std::string& command) const;
    order converse();
    void stand(const stop& here);
    bool wanted();

public:
    gdb_server(debugger& d, const guest_memory& memory, gdb_link link) noexcept
        : debugger_{d}, link_{std::move(link)}, memory_{memory} {}

    /// Runs the guest as gdb says, from before its first instruction. How it ended; nothing: gdb has left, and the
    /// guest is to run on. A guest that cannot go on is given to `broken`, which does not return.
    std::optional<halted> run(hypercalls& calls, const std::function<void(const std::string&)>& broken);

    /// Gdb has something to say while the guest waits in a call.
    void attend();
    int descriptor() const noexcept { return link_.descriptor(); }
};

} // namespace mirage::tender
