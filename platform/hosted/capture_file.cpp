// SPDX-License-Identifier: MIT
#include "mirage/hosted/capture_file.hpp"
#include "mirage/wire/checksum.hpp"
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

namespace mirage::hosted {

namespace {

// draft-ietf-opsawg-pcapng: block types and options
constexpr std::uint32_t section_header = 0x0a0d0d0a, interface_description = 1, interface_statistics = 5, enhanced_packet = 6;
constexpr std::uint16_t end_of_options = 0, shb_userappl = 4, if_name = 2, if_tsresol = 9, epb_flags = 2, isb_ifrecv = 4,
                        isb_ifdrop = 5;

} // namespace

void capture_file::put(std::span<const std::byte> octets) {
    block_.insert(block_.end(), octets.begin(), octets.end());
    block_.resize((block_.size() + 3) / 4 * 4);
}

template <class T>
void capture_file::put_number(T value) {
    const auto octets = std::as_bytes(std::span{&value, 1});
    block_.insert(block_.end(), octets.begin(), octets.end());
}

void capture_file::put_option(std::uint16_t code, std::span<const std::byte> value) {
    put_number(code);
    put_number(static_cast<std::uint16_t>(value.size()));
    put(value);
}

void capture_file::put_time() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const auto ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
    put_number(static_cast<std::uint32_t>(ns >> 32));
    put_number(static_cast<std::uint32_t>(ns));
}

/// A block is its type, its length, what it says, and its length again.
void capture_file::begin(std::uint32_t type) {
    block_.clear();
    put_number(type);
    put_number(std::uint32_t{0});
}

void capture_file::end() {
    const auto size = static_cast<std::uint32_t>(block_.size() + sizeof(std::uint32_t));
    put_number(size);
    std::memcpy(block_.data() + sizeof size, &size, sizeof size);
    ssize_t n;
    do
        n = ::write(file_.get(), block_.data(), block_.size()); // a full disk ends the capture, not the guest
    while (n < 0 && errno == EINTR);
}

std::expected<std::unique_ptr<capture_file>, std::string> capture_file::open(const std::string& path, const std::string& program,
                                                                             const std::string& name) {
    unique_fd descriptor{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666)};
    if (!descriptor)
        return std::unexpected(std::string{std::strerror(errno)});
    std::unique_ptr<capture_file> file{new capture_file{std::move(descriptor)}};
    file->begin(section_header);
    file->put_number(std::uint32_t{0x1a2b3c4d}); // tells the order of octets
    file->put_number(std::uint32_t{1});          // version 1.0
    file->put_number(~std::uint64_t{0});         // a section of any length
    file->put_option(shb_userappl, std::as_bytes(std::span{program}));
    file->put_option(end_of_options, {});
    file->end();
    file->begin(interface_description);
    file->put_number(std::uint32_t{1}); // LINKTYPE_ETHERNET
    file->put_number(std::uint32_t{0}); // frames of any length
    file->put_option(if_name, std::as_bytes(std::span{name}));
    constexpr std::byte nanoseconds{9};
    file->put_option(if_tsresol, {&nanoseconds, 1});
    file->put_option(end_of_options, {});
    file->end();
    return file;
}

void capture_file::record(direction way, std::span<const std::span<const std::byte>> parts, std::size_t checksum_start,
                          std::size_t checksum_offset) {
    const std::lock_guard lock{recording_};
    begin(enhanced_packet);
    put_number(std::uint32_t{0}); // the interface
    put_time();
    std::size_t size = 0;
    for (const auto part : parts)
        size += part.size();
    put_number(static_cast<std::uint32_t>(size));
    put_number(static_cast<std::uint32_t>(size));
    const std::size_t start = block_.size();
    for (const auto part : parts)
        block_.insert(block_.end(), part.begin(), part.end());
    if (const std::size_t at = checksum_start + checksum_offset; checksum_start != 0 && at + 2 <= size) {
        const std::uint16_t sum = wire::checksum(std::span<const std::byte>{block_}.subspan(start + checksum_start));
        block_[start + at] = static_cast<std::byte>(sum >> 8);
        block_[start + at + 1] = static_cast<std::byte>(sum & 0xff);
    }
    put({});
    put_option(epb_flags, std::as_bytes(std::span{&way, 1}));
    put_option(end_of_options, {});
    end();
    seen_ += way == direction::inbound ? 1 : 0;
}

void capture_file::put_statistics() {
    begin(interface_statistics);
    put_number(std::uint32_t{0});
    put_time();
    put_option(isb_ifrecv, std::as_bytes(std::span{&seen_, 1}));
    put_option(isb_ifdrop, std::as_bytes(std::span{&lost_, 1}));
    put_option(end_of_options, {});
    end();
}

void capture_file::lost() {
    const std::lock_guard lock{recording_};
    ++lost_;
    put_statistics();
}

void capture_file::finish() {
    const std::lock_guard lock{recording_};
    put_statistics();
}

} // namespace mirage::hosted
