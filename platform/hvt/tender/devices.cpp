// SPDX-License-Identifier: MIT
#include "devices.hpp"
#include "mirage/hosted/tap.hpp"
#include "mirage/hosted/user_network.hpp"
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace mirage::tender {

namespace abi = hvt::abi;

void net_device::mark_gone() noexcept {
    if (!gone_.exchange(true))
        say("net:" + name_ + ": the interface is gone; the guest runs on without it");
}

outcome<> net_device::capture_to(const std::string& path) {
    auto file = hosted::capture_file::open(path, "mirage-hvt " MIRAGE_VERSION, name_);
    if (!file)
        return failure("--pcap:" + name_ + "=" + path + ": " + file.error());
    capture_ = std::move(*file);
    return {};
}

void net_device::finish_capture() {
    if (capture_)
        capture_->finish();
}

void net_device::take(bool unfinished, bool joined) noexcept {
    joined &= unfinished;
    if (!header_ || (unfinished == takes_unfinished_ && joined == takes_joined_))
        return;
    if (hosted::take_unfinished(frames_.get(), unfinished, joined, false)) { // the ring has no word for segments of IPv6
        takes_unfinished_ = unfinished;
        takes_joined_ = joined;
    }
}

void net_device::prepare(const outgoing_frame& frame, frame_parts& parts) noexcept {
    // The kernel checks these numbers, and refuses what makes no sense: they are the guest's.
    const auto& offload = frame.offload;
    if (capture_) {
        const std::span<const std::byte> whole[] = {frame.octets};
        capture_->record(hosted::capture_file::direction::outbound, whole,
                         offload.flags & offload.needs_checksum ? offload.checksum_start : 0u, offload.checksum_offset);
    }
    parts.count = 0;
    if (header_) {
        parts.header = {.flags = static_cast<std::uint8_t>(offload.flags & offload.needs_checksum),
                        .segmentation = offload.segmentation,
                        .segment_size = offload.segment_size,
                        .checksum_start = offload.checksum_start,
                        .checksum_offset = offload.checksum_offset};
        parts.part[parts.count++] = {&parts.header, sizeof parts.header};
    }
    parts.part[parts.count++] = {const_cast<std::byte*>(frame.octets.data()), frame.octets.size()};
}

void net_device::write(const outgoing_frame& frame) noexcept {
    frame_parts parts;
    prepare(frame, parts);
    if (gone_)
        return;
    ssize_t n;
    do
        n = ::writev(frames_.get(), parts.part, static_cast<int>(parts.count));
    while (n < 0 && errno == EINTR);
    sent(n < 0 ? -errno : n);
}

void net_device::sent(std::int64_t outcome) noexcept {
    if (outcome >= 0) {
        if (refusing_.load(std::memory_order_relaxed) && refusing_.exchange(false))
            say("net:" + name_ + ": the interface takes frames again; " + std::to_string(lost_.load())
                + " were lost so far");
        return;
    }
    lost_.fetch_add(1, std::memory_order_relaxed);
    if (capture_)
        capture_->lost();
    const int error = static_cast<int>(-outcome);
    switch (error) {
    case EAGAIN:
    case ENOBUFS: // its queue is full: frames are lost on links
    case EINVAL:  // not a frame: shorter than a header
    case EMSGSIZE: break;
    case EBADFD:
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED: mark_gone(); break;
    default: // EIO: the interface is down
        if (!refusing_.exchange(true))
            say("net:" + name_ + ": the interface does not take frames (" + std::strerror(error)
                + "); if it is down, set it up again: ip link set DEVICE up");
    }
}

incoming_frame net_device::read(std::span<std::byte> room) noexcept {
    if (gone_ || room.empty()) // a read of nothing would look like the end of the link
        return {};
    frame_parts parts;
    prepare(room, parts);
    ssize_t n;
    do
        n = ::readv(frames_.get(), parts.part, static_cast<int>(parts.count));
    while (n < 0 && errno == EINTR);
    return received(parts, n < 0 ? -errno : n);
}

void net_device::prepare(std::span<std::byte> room, frame_parts& parts) const noexcept {
    parts.count = 0;
    if (header_)
        parts.part[parts.count++] = {&parts.header, sizeof parts.header};
    parts.part[parts.count++] = {room.data(), room.size()};
}

incoming_frame net_device::received(const frame_parts& parts, std::int64_t outcome) noexcept {
    if (outcome == 0 || (outcome < 0 && outcome != -EAGAIN && outcome != -EIO))
        mark_gone();
    const auto length = outcome - (header_ ? std::int64_t{sizeof parts.header} : 0);
    if (length <= 0)
        return {};
    const hosted::offload_header header = header_ ? parts.header : hosted::offload_header{};
    const bool unfinished = (header.flags & header.needs_checksum) != 0;
    if (capture_) {
        const iovec& room = parts.part[parts.count - 1];
        const std::span<const std::byte> whole[] = {{static_cast<const std::byte*>(room.iov_base), static_cast<std::size_t>(length)}};
        capture_->record(hosted::capture_file::direction::inbound, whole, unfinished ? header.checksum_start : 0u, header.checksum_offset);
    }
    const bool joined = (header.segmentation & ~unsigned{header.ecn}) == header.tcp_ipv4;
    return {length, header.flags, joined ? header.segment_size : std::uint16_t{0}};
}

namespace {

template <class T>
failure wrong(const std::string& option, const T& what) {
    return failure(option + ": " + what);
}

/// The value of an option for `name`, which is taken out: what is left in the end belongs to no device.
std::string take(std::map<std::string, std::string>& from, const std::string& name) {
    auto node = from.extract(name);
    return node.empty() ? std::string{} : std::move(node.mapped());
}

/// "@3": a descriptor that another program has opened for us, and none of the standard three.
std::optional<int> adopted(const std::string& value) {
    int fd = -1;
    if (!value.starts_with("@"))
        return {};
    const auto [end, error] = std::from_chars(value.data() + 1, value.data() + value.size(), fd);
    return error == std::errc{} && end == value.data() + value.size() && fd > STDERR_FILENO
               ? std::optional{fd}
               : std::nullopt;
}

outcome<hosted::tap> open_net(const std::string& value) {
    if (value == "user" || value.starts_with("user,")) {
        auto network = hosted::user_network::parse(value);
        if (!network)
            return failure(network.error());
        auto cable = network->start(hosted::run_network_program);
        if (!cable)
            return failure(cable.error());
        return hosted::tap{std::move(*cable), hosted::user_network::mtu};
    }
    if (value.starts_with("@")) {
        const auto fd = adopted(value);
        return fd ? hosted::adopt_tap(*fd) : failure("expected an open descriptor, @3 for example");
    }
    return hosted::open_tap(value, true);
}

outcome<> attach_net(abi::manifest_entry& entry, device& to, const std::string& name, options& left) {
    const std::string value = take(left.net, name), mac_text = take(left.net_mac, name),
                      file = take(left.pcap, name);
    if (value.empty())
        return failure("the unikernel has a network device '" + name + "'. Say where it leads:\n  --net:"
                       + name + "=tap0    an existing TAP interface\n  --net:" + name
                       + "=user,hostfwd=tcp:127.0.0.1:8080-:80    user networking, no root needed");
    auto link = open_net(value);
    if (!link)
        return wrong("--net:" + name + "=" + value, link.error());
    if (!link->up)
        say("--net:" + name + "=" + value
            + ": the interface is down; nothing comes or goes before `ip link set " + link->device + " up`");
    const auto mac = mac_text.empty() ? hosted::random_mac() : hosted::parse_mac(mac_text);
    if (!mac)
        return wrong("--net-mac:" + name, mac.error());
    std::memcpy(entry.net.mac, mac->data(), mac->size());
    entry.net.mtu = static_cast<std::uint16_t>(link->mtu);
    entry.offloads = link->header;
    to.net = std::make_unique<net_device>(name, std::move(link->descriptor), link->header);
    return file.empty() ? outcome<>{} : to.net->capture_to(file);
}

outcome<> attach_block(abi::manifest_entry& entry, device& to, const std::string& name, options& left) {
    const std::string path = take(left.block, name), size_text = take(left.block_sector_size, name);
    if (path.empty())
        return failure("the unikernel has a block device '" + name
                       + "'. Say which file or disk it is: --block:" + name + "=PATH");
    const std::string option = "--block:" + name + "=" + path;
    std::uint64_t sector = 512;
    if (!size_text.empty()) {
        const auto [end, error] =
            std::from_chars(size_text.data(), size_text.data() + size_text.size(), sector);
        if (error != std::errc{} || end != size_text.data() + size_text.size() || sector < 512
            || sector > 32'768 || !std::has_single_bit(sector))
            return failure("--block-sector-size:" + name + "=" + size_text
                           + ": expected a power of two from 512 to 32768");
    }
    auto disk = std::make_unique<block_device>();
    int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        disk->read_only = true;
    }
    const int reason = errno;
    disk->file = hosted::unique_fd{file};
    if (!disk->file)
        return wrong(option, std::string{std::strerror(reason)}
                                 + (reason == ENOENT ? "; make one with: truncate -s 64M " + path : ""));
    const off_t size = ::lseek(disk->file.get(), 0, SEEK_END);
    if (size < 0)
        return wrong(option, "its size cannot be found; is it a file or a disk?");
    disk->capacity = static_cast<std::uint64_t>(size);
    if (disk->capacity < sector || disk->capacity % sector != 0)
        return wrong(option, "its size of " + std::to_string(disk->capacity)
                                 + " octets is not a whole number of sectors of " + std::to_string(sector));
    entry.capacity = disk->capacity;
    entry.block_size = static_cast<std::uint16_t>(sector);
    to.block = std::move(disk);
    return {};
}

/// An option that names a device which the manifest does not have.
outcome<> all_used(const options& left, std::span<const abi::manifest_entry> manifest) {
    const std::pair<const char*, const std::map<std::string, std::string>&> kinds[] = {
        {"--net:", left.net},
        {"--net-mac:", left.net_mac},
        {"--block:", left.block},
        {"--block-sector-size:", left.block_sector_size},
        {"--pcap:", left.pcap}};
    for (const auto& [prefix, options] : kinds) {
        if (options.empty())
            continue;
        std::string names;
        for (const abi::manifest_entry& e : manifest.subspan(1))
            names += (names.empty() ? "" : ", ") + std::string{e.name};
        return failure(prefix + options.begin()->first + ": the unikernel has no such device; it has "
                       + (names.empty() ? "none" : names));
    }
    return {};
}

} // namespace

std::vector<int> adopted_descriptors(const options& chosen) {
    std::vector<int> found;
    for (const auto& [name, value] : chosen.net)
        if (const auto fd = adopted(value))
            found.push_back(*fd);
    return found;
}

outcome<std::vector<device>> attach_devices(std::span<abi::manifest_entry> manifest, const options& chosen) {
    options left{chosen};
    std::vector<device> devices(manifest.size());
    for (std::size_t i = 1; i < manifest.size(); ++i) {
        abi::manifest_entry& entry = manifest[i];
        const std::string name{entry.name};
        outcome<> done{};
        if (entry.type == abi::device_type::net)
            done = attach_net(entry, devices[i], name, left);
        else if (entry.type == abi::device_type::block)
            done = attach_block(entry, devices[i], name, left);
        else
            done = failure("the unikernel wants a device '" + name
                           + "' of a type that this tender does not know");
        if (!done)
            return failure(done.error());
        entry.attached = true;
    }
    if (const auto good = all_used(left, manifest); !good)
        return failure(good.error());
    return devices;
}

} // namespace mirage::tender
