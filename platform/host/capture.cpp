// SPDX-License-Identifier: MIT
#include "mirage/host/capture.hpp"
#include <string>

namespace mirage::host {

using way = hosted::capture_file::direction;

capture::~capture() {
    if (file_)
        file_->finish();
}

result<> capture::open(const machine& home, std::string_view name) noexcept {
    const auto given = home.given().find(options::kind::pcap, name);
    if (!given)
        return {};
    const std::string path{*given};
    auto file = hosted::capture_file::open(path, "mirage", std::string{name});
    if (!file) {
        complain("--pcap:" + std::string{name} + "=" + path + ": " + file.error());
        return std::unexpected(errc::io);
    }
    file_ = std::move(*file);
    return {};
}

void capture::received(octets frame, std::size_t checksum_start, std::size_t checksum_offset) noexcept {
    file_->record(way::inbound, std::array{frame}, checksum_start, checksum_offset);
}

void capture::transmitted(const transmit_frame& frame) noexcept {
    std::array<octets, 1 + transmit_frame::max_fragments> parts{frame.headers};
    std::size_t count = 1;
    for (const slice& s : frame.payload)
        parts[count++] = s.view();
    file_->record(way::outbound, std::span{parts}.first(count), frame.checksum_start, frame.checksum_offset);
}

} // namespace mirage::host
