// SPDX-License-Identifier: MIT
#include "mirage/host/link_watch.hpp"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mirage::host {

link_watch::~link_watch() {
    if (descriptor >= 0)
        ::close(descriptor);
}

void link_watch::open(machine& home, std::string_view device) noexcept {
    index_ = ::if_nametoindex(std::string{device}.c_str());
    descriptor = ::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    sockaddr_nl links{};
    links.nl_family = AF_NETLINK;
    links.nl_groups = RTMGRP_LINK;
    if (descriptor >= 0 && ::bind(descriptor, reinterpret_cast<const sockaddr*>(&links), sizeof links) == 0)
        (void)home.watch(*this);
}

/// Takes all messages. Never says that there is input: nobody waits for any.
bool link_watch::read() noexcept {
    alignas(nlmsghdr) std::array<char, 16'384> room;
    for (;;) {
        const ssize_t n = ::recv(descriptor, room.data(), room.size(), 0);
        if (n <= 0)
            return false;
        auto left = static_cast<unsigned>(n);
        for (auto* m = reinterpret_cast<const nlmsghdr*>(room.data()); NLMSG_OK(m, left);
             m = NLMSG_NEXT(m, left)) {
            if (m->nlmsg_type != RTM_NEWLINK || m->nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg)))
                continue;
            const auto* const link = static_cast<const ifinfomsg*>(NLMSG_DATA(m));
            if (static_cast<unsigned>(link->ifi_index) == index_)
                changed_(who_, (link->ifi_flags & IFF_UP) != 0);
        }
    }
}

} // namespace mirage::host
