#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An appliance that does what IPv6 routers say: radvd and dnsmasq, and Linux as a neighbour in a multicast group."""

import ipaddress
import os
import socket

from interop import check, in_text, main
from testnet import Skip, require_root, subjects
from testnet.capture import count
from testnet.wait import wait_until

LEASED = subjects.App("leased6", "test/interop/leased6")
ROUTER, PREFIX, GROUP = "2001:db8:6::1", "2001:db8:6::", "ff05::1:7"


def attach(lab, case, *tools):
    """A network with IPv6 for the appliance; the subject itself is started by start()."""
    if case.target is None:
        raise Skip("the reference has no DHCPv6 client of ours")
    if case.target.user_networking:
        raise Skip("user networking has a router of its own")
    require_root("tcpdump", "tshark", *tools)
    subjects.available(LEASED, case.target, case.build)
    running = subjects.attach_bridged(lab, LEASED)
    running.client.run("sysctl", "-qw", f"net.ipv6.conf.{running.device}.disable_ipv6=0",
                       f"net.ipv6.conf.{running.device}.accept_dad=0", f"net.ipv6.conf.{running.device}.forwarding=1",
                       "net.ipv6.conf.all.forwarding=1")
    running.client.ip("link", "set", running.device, "down")
    running.client.ip("link", "set", running.device, "up")
    running.client.ip("-6", "addr", "replace", f"{ROUTER}/64", "dev", running.device, "nodad")
    return running


def start(case, running):
    words = subjects.command(LEASED, case.target, case.build)
    running.process = running.server.start(*(word for word in words if not word.startswith("--ipv4")))
    return running.process


def advertise(lab, running, flags):
    """radvd, which speaks every few seconds. RFC 4861 section 6.2"""
    path = os.path.join(lab.directory, "radvd.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"interface {running.device} {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; {flags}\n"
                   f"  prefix {PREFIX}/64 {{ AdvOnLink on; AdvAutonomous on; }}; }};\n")
    return running.client.start("radvd", "--nodaemon", "--logmethod", "stderr", "--config", path,
                                "--pidfile", os.path.join(lab.directory, "radvd.pid"))


def serve(lab, running, *options):
    """dnsmasq as a DHCPv6 server, without advertisements of its own."""
    process = running.client.start(
        "dnsmasq", "--no-daemon", "--log-dhcp", "--conf-file=/dev/null", "--port=0", "--user=root",
        f"--interface={running.device}", "--bind-interfaces", f"--dhcp-leasefile={lab.directory}/leases",
        f"--pid-file={lab.directory}/dnsmasq.pid", f"--dhcp-option=option6:dns-server,[{ROUTER}]", *options)
    process.wait_for_log("DHCPv6, ", 5)
    return process


def echoes(running, address, group=False):
    """Whether what is sent to port 7 of `address` comes back; also from whom."""
    with running.client.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        with running.client.entered():
            index = socket.if_nametoindex(running.device)
        if group:
            client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        try:
            client.sendto(b"anyone?", (address, 7))
            return client.recvfrom(100)[1][0]
        except (TimeoutError, OSError):
            return None


def leases_an_address(lab, case):
    """RFC 8415 section 18.2: M flag; Solicit, and a Reply at once; the address is used, and answers."""
    running = attach(lab, case, "dnsmasq", "radvd")
    with case.judged(running) as capture:
        server = serve(lab, running, f"--dhcp-range={PREFIX}50,{PREFIX}50,64,2m")
        advertise(lab, running, "AdvManagedFlag on;")
        subject = start(case, running)
        subject.wait_for_log(f"leased {PREFIX}50", 20)
        subject.wait_for_log(f"name server {ROUTER}", 5)
        wait_until(lambda: echoes(running, f"{PREFIX}50") == f"{PREFIX}50", 10, "an answer from the leased address")
        in_text("DHCPREPLY", server.log(), "the server's log")
    check(count(capture.path, "dhcpv6.msgtype == 1 && dhcpv6.option.type == 14") >= 1, "no rapid commit in the capture")
    running.stop()


def declines_what_somebody_has(lab, case):
    """RFC 8415 section 18.2.8: another host of the link has the address that the server gives."""
    running = attach(lab, case, "dnsmasq", "radvd")
    running.switch.run("sysctl", "-qw", "net.ipv6.conf.bridge.disable_ipv6=0", "net.ipv6.conf.bridge.accept_dad=0")
    running.switch.ip("link", "set", "bridge", "down")
    running.switch.ip("link", "set", "bridge", "up")
    running.switch.ip("-6", "addr", "replace", f"{PREFIX}60/64", "dev", "bridge", "nodad")
    with case.judged(running):
        server = serve(lab, running, f"--dhcp-range={PREFIX}60,{PREFIX}60,64,2m")
        advertise(lab, running, "AdvManagedFlag on;")
        subject = start(case, running)
        server.wait_for_log("DHCPDECLINE", 20)
        subject.wait_for_log("lease lost", 5)
    running.stop()


def asks_for_names_alone(lab, case):
    """RFC 8415 section 18.2.6: O flag; an Information-request."""
    running = attach(lab, case, "dnsmasq", "radvd")
    with case.judged(running) as capture:
        serve(lab, running, f"--dhcp-range={PREFIX},static")
        advertise(lab, running, "AdvOtherConfigFlag on;")
        subject = start(case, running)
        subject.wait_for_log("informed", 20)
        subject.wait_for_log(f"name server {ROUTER}", 5)
    check(count(capture.path, "dhcpv6.msgtype == 11") >= 1, "no Information-request in the capture")
    check(count(capture.path, "dhcpv6.msgtype == 1") == 0, "a Solicit in the capture")
    running.stop()


def hears_a_group(lab, case):
    """RFC 3810: what Linux sends to a group reaches the appliance that has joined it, which has reported that."""
    running = attach(lab, case, "radvd")
    with case.judged(running) as capture:
        advertise(lab, running, "")
        start(case, running)
        wait_until(lambda: echoes(running, GROUP, group=True), 20, "an answer from the group")
        check(echoes(running, "ff05::1:8", group=True) is None, "an answer from another group")
        source = echoes(running, GROUP, group=True)
    check(count(capture.path, f"icmpv6.type == 143 && icmpv6.mldr.mar.multicast_address == {GROUP}") >= 1,
          "no report in the capture")
    check(source and ipaddress.ip_address(source) in ipaddress.ip_network(PREFIX + "/64"), f"the answer is from {source}")
    probes = "icmpv6.type == 135 && ipv6.src == ::"  # RFC 8981: for a stable and a temporary address of the prefix
    check(count(capture.path, f"{probes} && icmpv6.nd.ns.target_address == {PREFIX}/64") >= 2,
          "no temporary address")
    running.stop()


if __name__ == "__main__":
    main(leases_an_address, declines_what_somebody_has, asks_for_names_alone, hears_a_group)
