// SPDX-License-Identifier: MIT
#pragma once
#include "message.hpp"
#include "mirage/hosted/unique_fd.hpp"
#include <string>
#include <string_view>

namespace mirage::tender {

/// The wire to gdb: packets of its remote serial protocol (GDB manual, "Remote Protocol", Overview) over a socket.
class gdb_link {
    hosted::unique_fd socket_;
    std::string received_{}; ///< not looked at yet
    bool acknowledges_ = true;

    explicit gdb_link(hosted::unique_fd socket) noexcept : socket_{std::move(socket)} {}
    bool fill();
    bool write(std::string_view octets) const;

public:
    /// The longest packet, in either direction, without its frame.
    static constexpr std::size_t longest = 16'384;

    /// Waits for gdb at `where`: ADDRESS:PORT of this machine's loopback (port 0: any that is free; it is said), or the
    /// path of a Unix socket, which has a slash in it and does not exist yet.
    static outcome<gdb_link> wait_at(const std::string& where);

    int descriptor() const noexcept { return socket_.get(); }
    bool open() const noexcept { return static_cast<bool>(socket_); }
    /// Gdb has sent something, or is gone.
    bool pending() const noexcept;
    /// The content of the next packet; "\x03" is a request to stop. Empty: gdb is gone.
    std::string receive();
    void send(std::string_view content);
    void stop_acknowledging() noexcept { acknowledges_ = false; }
    void close() noexcept { socket_ = {}; }
};

} // namespace mirage::tender
