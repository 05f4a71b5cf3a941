// SPDX-License-Identifier: MIT
#include "mirage/host/block.hpp"
#include "mirage/os/key_value.hpp"
#include <bit>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mirage::host {

block_file::~block_file() {
    if (descriptor_ >= 0)
        ::close(descriptor_);
}

result<> block_file::open() noexcept {
    const std::string device{name_};
    const auto given = home_.given().find(options::kind::block, name_);
    if (!given) {
        complain("This application has a block device '" + device + "': add --block:" + device
                 + "=FILE before its keys (`truncate -s 64M disk.img` makes an empty one).");
        return std::unexpected(errc::not_found);
    }
    const std::string path{*given};
    if (const auto text = home_.given().find(options::kind::block_sector_size, name_)) {
        const auto size = os::key_value<std::uint32_t>::parse(*text, {512, 1u << 20});
        if (!size || !std::has_single_bit(*size)) {
            complain("--block-sector-size:" + device + "=" + std::string{*text}
                     + ": expected a power of two from 512 to 1048576");
            return std::unexpected(errc::invalid_argument);
        }
        sector_size_ = *size;
    }
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor_ < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        read_only_ = true;
    }
    struct stat about {};
    if (descriptor_ < 0 || ::fstat(descriptor_, &about) != 0) {
        complain("--block:" + device + "=" + path + ": " + std::strerror(errno));
        return std::unexpected(errc::io);
    }
    std::uint64_t size = static_cast<std::uint64_t>(about.st_size);
    if (S_ISBLK(about.st_mode) ? ::ioctl(descriptor_, BLKGETSIZE64, &size) != 0 : !S_ISREG(about.st_mode)) {
        complain("--block:" + device + "=" + path + ": is neither a file nor a disk");
        return std::unexpected(errc::unsupported);
    }
    sectors_ = size / sector_size_;
    if (sectors_ == 0 || size % sector_size_ != 0) {
        complain("--block:" + device + "=" + path + ": its " + std::to_string(size)
                 + " octets are not a whole number of sectors of " + std::to_string(sector_size_));
        return std::unexpected(errc::invalid_argument);
    }
    return {};
}

block_result block_file::range(std::uint64_t sector, std::size_t size) const noexcept {
    if (size % sector_size_ != 0)
        return std::unexpected(block_error{errc::invalid_argument, sector});
    const std::uint64_t count = size / sector_size_;
    if (sector > sectors_ || count > sectors_ - sector)
        return std::unexpected(block_error{errc::too_large, sector});
    return {};
}

block_result block_file::read_now(std::uint64_t sector, mutable_octets to) const noexcept {
    if (const auto good = range(sector, to.size()); !good)
        return good;
    for (std::size_t done = 0; done < to.size();) {
        const ssize_t n = ::pread(descriptor_, to.data() + done, to.size() - done,
                                  static_cast<off_t>(sector * sector_size_ + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) // 0: the file has become shorter
            return std::unexpected(block_error{errc::io, sector + done / sector_size_});
        done += static_cast<std::size_t>(n);
    }
    return {};
}

block_result block_file::write_now(std::uint64_t sector, octets from) const noexcept {
    if (const auto good = range(sector, from.size()); !good)
        return good;
    if (read_only_)
        return std::unexpected(block_error{errc::read_only, sector});
    for (std::size_t done = 0; done < from.size();) {
        const ssize_t n = ::pwrite(descriptor_, from.data() + done, from.size() - done,
                                   static_cast<off_t>(sector * sector_size_ + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return std::unexpected(block_error{errc::io, sector + done / sector_size_});
        done += static_cast<std::size_t>(n);
    }
    return {};
}

block_result block_file::flush_now() const noexcept {
    while (!read_only_ && ::fdatasync(descriptor_) != 0)
        if (errno != EINTR)
            return std::unexpected(block_error{errc::io, 0});
    return {};
}

} // namespace mirage::host
