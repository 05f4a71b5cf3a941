// SPDX-License-Identifier: MIT
#include "frame_capture.hpp"
#include "mirage/wire/checksum.hpp"
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace mirage::tender {

std::expected<std::unique_ptr<frame_capture>, std::string> frame_capture::open(const std::string& path) {
    hosted::unique_fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666)};
    // pcap savefile format: magic, version 2.4, zone, accuracy, longest frame, LINKTYPE_ETHERNET
    constexpr std::uint32_t header[6] = {0xa1b2c3d4, 0x00040002, 0, 0, 65'535 + 14, 1};
    if (!file || ::write(file.get(), header, sizeof header) != sizeof header)
        return std::unexpected(std::string{std::strerror(errno)});
    return std::unique_ptr<frame_capture>{new frame_capture{std::move(file)}};
}

void frame_capture::record(std::span<const std::byte> frame, std::size_t checksum_start,
                           std::size_t checksum_offset) {
    const std::lock_guard lock{recording_};
    const std::size_t at = checksum_start + checksum_offset;
    if (checksum_start != 0 && at + 2 <= frame.size()) {
        copy_.assign(frame.begin(), frame.end());
        const std::uint16_t sum = wire::checksum(octets{copy_}.subspan(checksum_start));
        copy_[at] = static_cast<std::byte>(sum >> 8);
        copy_[at + 1] = static_cast<std::byte>(sum & 0xff);
        frame = copy_;
    }
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const auto size = static_cast<std::uint32_t>(frame.size());
    std::uint32_t header[4] = {static_cast<std::uint32_t>(now.tv_sec), static_cast<std::uint32_t>(now.tv_nsec / 1000),
                               size, size};
    const iovec parts[2] = {{header, sizeof header}, {const_cast<std::byte*>(frame.data()), frame.size()}};
    (void)!::writev(file_.get(), parts, 2); // a full disk ends the capture, not the guest
}

} // namespace mirage::tender
