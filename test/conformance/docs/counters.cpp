// SPDX-License-Identifier: MIT
// Prints the table of docs/observability.md: all that the library can export, from the structs themselves.
#include "mirage/app/http/counters.hpp"
#include "mirage/core/pool_statistics.hpp"
#include "mirage/core/statistics.hpp"
#include "mirage/device/memory/link.hpp"
#include "mirage/device/memory/seeded_random.hpp"
#include "mirage/device/memory/virtual_clock.hpp"
#include "mirage/net/dhcp.hpp"
#include "mirage/net/dhcpv6.hpp"
#include "mirage/net/dns.hpp"
#include "mirage/net/igmp.hpp"
#include "mirage/net/mld.hpp"
#include "mirage/net/sntp.hpp"
#include "mirage/net/stack.hpp"
#include "mirage/net/vlan.hpp"
#include "mirage/xen/blkfront.hpp"
#include "mirage/xen/netfront/receiver.hpp"
#include "mirage/xen/netfront/transmitter.hpp"
#include <cstdio>
#include <string>

using namespace mirage;

namespace {

template <statistics_struct S>
void show(const char* where) {
    (void)statistics_text<S>; // which holds the table to its rules
    const auto table = S::table();
    std::string_view help;
    for (std::size_t word = 0; word < table.rows.size(); ++word)
        for (const statistic& row : table.rows) {
            if (row.word != word)
                continue;
            if (!row.help.empty())
                help = row.help;
            std::string name{table.prefix};
            name += row.name;
            name += row.goes_down ? "" : "_total";
            if (!row.labels.empty())
                name.append("{").append(row.labels).append("}");
            std::printf("| %s | `%s` | %.*s |\n", where, name.c_str(), static_cast<int>(help.size()), help.data());
        }
}

} // namespace

int main() {
    show<net::stack_statistics>("the stack");
    show<pool_statistics<"net_receive_pool_">>("frames of the interface");
    show<xen::receiver_statistics>("the interface; on hvt `dropped` alone");
    show<xen::transmitter_statistics>("the interface, on Xen");
    show<net::vlan_statistics>("`net::vlan`");
    show<net::ipv4_statistics>("`net::ipv4`");
    show<net::neighbours<net::waiting_packet>::counters>("`net::ipv4`, ARP");
    show<net::reassembly<4>::counters>("`net::ipv4`, reassembly");
    show<net::icmp_statistics>("`net::icmp`");
    show<net::igmp_statistics>("`net::igmp`");
    show<net::ipv6_statistics>("`net::ipv6`");
    show<net::ndp_statistics>("`net::ipv6`, Neighbour Discovery");
    show<net::ndp_cache<slice>::counters>("`net::ipv6`, its neighbours");
    show<net::reassembly<4, net::ipv6_fragments>::counters>("`net::ipv6`, reassembly");
    show<net::mld_statistics>("`net::mld`");
    show<net::udp_statistics>("`net::udp`");
    show<net::tcp_statistics>("`net::tcp`");
    show<pool_statistics<"tcp_copies_">>("`net::tcp`, memory of what is copied");
    show<net::dhcp_statistics>("`net::dhcp`");
    show<net::dhcpv6_statistics>("`net::dhcpv6`");
    show<net::dns_statistics>("`net::dns`");
    show<net::sntp_statistics>("`net::sntp`");
    show<http::counters>("`http::server`");
    show<xen::blkfront_statistics>("a disk, on Xen");
}
