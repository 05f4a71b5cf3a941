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

result<> block_file::open(engine how) noexcept {
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
    if (how == engine::best)
        (void)queue_.open();
    return {};
}

block_file::transfer::transfer(block_file& on, const std::expected<block_request, block_error>& request) noexcept
    : file_call{[](operation& self) noexcept { static_cast<transfer&>(static_cast<file_call&>(self)).done(); }},
      disk_{on}, request_{request} {
    if (!request_)
        return;
    static constexpr action actions[] = {action::read, action::write, action::flush, action::punch};
    what = actions[static_cast<std::size_t>(request_->action)];
    file = disk_.descriptor_;
    data = request_->data;
    offset = request_->sector * disk_.sector_size_;
    size = request_->count * disk_.sector_size_;
}

block_file::transfer::~transfer() {
    if (disk_.queue_)
        disk_.queue_.withdraw(*this);
}

bool block_file::transfer::await_ready() const noexcept {
    return !request_ || (what == action::flush ? disk_.read_only_ : size == 0);
}

void block_file::transfer::await_suspend(std::coroutine_handle<> h) noexcept {
    waiting_ = h;
    begin();
}

void block_file::transfer::begin() noexcept {
    if (disk_.queue_)
        disk_.queue_.begin(*this);
    else
        disk_.home_.loop().post(*this);
}

void block_file::transfer::done() noexcept {
    if (!disk_.queue_)
        make(most_at_once);
    if (goes_on())
        begin();
    else
        waiting_.resume();
}

/// Looks at the outcome of a call; whether another has to follow.
bool block_file::transfer::goes_on() noexcept {
    if (outcome == -EINTR || outcome == -EAGAIN)
        return true;
    if (what == action::flush && (outcome == -EINVAL || outcome == -EROFS))
        return false; // what cannot be flushed need not be
    if (outcome < 0 || (outcome == 0 && request_->transfers())) { // 0: the file has become shorter
        const bool cannot = outcome == -EOPNOTSUPP || outcome == -ENOSYS || outcome == -ENODEV;
        request_ = std::unexpected(
            block_error{cannot && !request_->transfers() ? errc::unsupported : errc::io, offset / disk_.sector_size_});
        return false;
    }
    const auto moved = static_cast<std::uint64_t>(outcome);
    data = static_cast<std::byte*>(data) + moved;
    offset += moved;
    size -= moved;
    return request_->transfers() && size > 0;
}

} // namespace mirage::host
