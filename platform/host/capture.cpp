// SPDX-License-Identifier: MIT
#include "mirage/host/capture.hpp"
#include "mirage/wire/checksum.hpp"
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

namespace mirage::host {

void capture::file::write(octets data) noexcept {
    while (!data.empty()) {
        const ssize_t n = ::write(descriptor, data.data(), data.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; // a full disk ends the capture, not the appliance
        data = data.subspan(static_cast<std::size_t>(n));
    }
}

capture::~capture() {
    if (file_.descriptor >= 0)
        ::close(file_.descriptor);
}

result<> capture::open(const machine& home, std::string_view name) noexcept {
    const auto given = home.given().find(options::kind::pcap, name);
    if (!given)
        return {};
    const std::string path{*given};
    file_.descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file_.descriptor < 0) {
        complain("--pcap:" + std::string{name} + "=" + path + ": " + std::strerror(errno));
        return std::unexpected(errc::io);
    }
    writer_.emplace(octet_sink{file_});
    return {};
}

/// Finishes the checksum of what lies in copy_, and writes it.
void capture::put(std::size_t checksum_start, std::size_t checksum_offset) noexcept {
    const std::size_t at = checksum_start + checksum_offset;
    if (checksum_start != 0 && at + 2 <= copy_.size()) {
        const std::uint16_t sum = wire::checksum(octets{copy_}.subspan(checksum_start));
        copy_[at] = static_cast<std::byte>(sum >> 8);
        copy_[at + 1] = static_cast<std::byte>(sum & 0xff);
    }
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME, &t);
    writer_->frame(wall_time{std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec}}, copy_);
}

void capture::received(octets frame, std::size_t checksum_start, std::size_t checksum_offset) noexcept {
    copy_.assign(frame.begin(), frame.end());
    put(checksum_start, checksum_offset);
}

void capture::transmitted(const transmit_frame& frame) noexcept {
    copy_.assign(frame.headers.begin(), frame.headers.end());
    for (const slice& s : frame.payload)
        copy_.insert(copy_.end(), s.view().begin(), s.view().end());
    put(frame.checksum_start, frame.checksum_offset);
}

} // namespace mirage::host
