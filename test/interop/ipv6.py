#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""IPv6 against Linux: addresses, ping, transfers each way, and tshark on every frame."""

import dataclasses
import hashlib
import os
import socket
import struct
import subprocess

from interop import MIB, Skip, check, ended_well, equal, main
from testnet import Capture, subjects, wait_until
from testnet.capture import count
from testnet.subjects import App

CLIENT, SUBJECT = "2001:db8:7::1", "2001:db8:7::2"
DUAL = App("transfer6", "test/interop/appliance", (f"--ipv6={SUBJECT}/64",))
ADVERTISED = "2001:db8:8:9::"


def start(lab, case, app, cable=None):
    """The subject with both families, at the end of a cable that has IPv6 on."""
    case.needs_frames()
    case.needs("curl", "ping")
    running = case.start(lab, app, cable=cable)
    running.client.run("sysctl", "-qw", f"net.ipv6.conf.{running.device}.disable_ipv6=0",
                       f"net.ipv6.conf.{running.device}.accept_dad=0")
    running.client.ip("link", "set", running.device, "down")
    running.client.ip("link", "set", running.device, "up")
    running.client.ip("-6", "addr", "replace", f"{CLIENT}/64", "dev", running.device, "nodad")
    running.client.ip("addr", "replace", f"{subjects.CLIENT}/{subjects.PREFIX}", "dev", running.device)
    if case.target is None:  # the reference: Linux has to be given what the subject finds in its keys
        server = running.server
        server.run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0", "net.ipv6.conf.eth0.accept_dad=0")
        server.ip("link", "set", "eth0", "down")
        server.ip("link", "set", "eth0", "up")
        server.ip("addr", "replace", f"{subjects.SUBJECT}/{subjects.PREFIX}", "dev", "eth0")
        server.ip("-6", "addr", "replace", f"{SUBJECT}/64", "dev", "eth0", "nodad")
    wait_until(lambda: pings(running, SUBJECT), 20, "an answer over IPv6")
    return running


def pings(running, address, *options):
    return running.client.run("ping", "-6", "-c", 1, "-W", 1, *options, address, check=False).returncode == 0


def link_local(running):
    """The subject's link-local address, from the neighbour that answers for everybody."""
    done = running.client.run("ping", "-6", "-c", 2, "-W", 1, f"ff02::1%{running.device}", check=False).stdout
    own = running.client.run("ip", "-6", "-o", "addr", "show", "dev", running.device, "scope", "link").stdout
    for word in done.replace(",", " ").split():
        address = word.rstrip(":").split("%")[0]
        if address.startswith("fe80:") and address not in own:
            return address
    raise AssertionError(f"nobody answered on the link:\n{done}")


def ping_of_every_size(lab, case):
    """RFC 4443 section 4.2; 3000 octets do not fit a frame: both ways come in fragments (RFC 8200 section 4.5)."""
    running = start(lab, case, DUAL)
    with case.judged(running) as capture:
        for size in (0, 1, 56, 1452, 1453, 3000):
            running.client.run("ping", "-6", "-c", 3, "-i", 0.2, "-W", 2, "-s", size, SUBJECT)
        check(pings(running, f"{link_local(running)}%{running.device}"), "no answer from the link-local address")
    check(count(capture.path, "ipv6.fraghdr && ipv6.src == " + SUBJECT) >= 9, "the long replies are not in fragments")
    ended_well(running)


def transfers_each_way(lab, case):
    if case.target is None:
        raise Skip("the Linux reference serves IPv4")
    running = start(lab, case, DUAL)
    path, digest = case.stream_file(lab, 10 * MIB)
    local = link_local(running)
    with case.judged(running):
        for host in (f"[{SUBJECT}]", f"[{local}%25{running.device}]", subjects.SUBJECT):
            url = f"http://{host}:80"
            down = subprocess.run([*running.client.exec_prefix(), "curl", "-gsSf", "--max-time", "120",
                                   f"{url}/test/{10 * MIB}"], capture_output=True, check=True).stdout
            equal(hashlib.sha256(down).hexdigest(), digest, f"SHA-256 down from {host}")
            up = running.client.run("curl", "-gsSf", "--max-time", 120, "-T", path, url + "/upload").stdout.strip()
            equal(up, digest, f"SHA-256 up to {host}")
    ended_well(running)


def large_segments_where_the_device_cuts_them(lab, case):
    """TAP with a vnet header segments IPv6 and finishes its checksums (virtio 1.2, section 5.1.6.2); plain TAP is given frames."""
    if case.target is None or case.target.user_networking:
        raise Skip("there is no TAP interface of the subject's")
    running = start(lab, case, DUAL)
    capture = Capture(running.server, subjects.TAP, os.path.join(lab.directory, "tap.pcap"))
    running.client.run("curl", "-gsSf", "--max-time", 60, "-o", os.devnull, f"http://[{SUBJECT}]:80/test/{4 * MIB}")
    capture.stop()
    large = count(capture.path, f"ipv6.src == {SUBJECT} && frame.len > 3000")
    if case.target.device.endswith(",vnet"):
        check(large > 50, f"{large} large frames in 4 MiB")
    else:
        equal(large, 0, "frames that are too large")
    ended_well(running)


def transfers_over_a_bad_cable(lab, case):
    """1 % loss, 5 ms of delay in each direction, 1 % reordered: every octet arrives in its place."""
    if case.target is None:
        raise Skip("the Linux reference serves IPv4")
    running = start(lab, case, DUAL, cable=[case.program("test/interop", "impaired_link"), "--loss", 1, "--delay", 5,
                                            "--reorder", 1, "--duplicate", 0.1, "--seed", 7])
    path, digest = case.stream_file(lab, 2 * MIB)
    url = f"http://[{SUBJECT}]:80"
    with case.judged(running):
        down = subprocess.run([*running.client.exec_prefix(), "curl", "-gsSf", "--max-time", "120",
                               f"{url}/test/{2 * MIB}"], capture_output=True, check=True).stdout
        equal(hashlib.sha256(down).hexdigest(), digest, "SHA-256 down")
        up = running.client.run("curl", "-gsSf", "--max-time", 120, "-T", path, url + "/upload").stdout.strip()
        equal(up, digest, "SHA-256 up")
    ended_well(running)


def nobody_listens(lab, case):
    """A closed TCP port is refused at once; an unknown protocol is reported (RFC 4443 sections 3.1 and 3.4)."""
    if case.target is None:
        raise Skip("the Linux reference filters nothing")
    running = start(lab, case, DUAL)
    with case.judged(running) as capture:
        with running.client.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.settimeout(5)
            equal(probe.connect_ex((SUBJECT, 81)), 111, "connecting to a closed port")
        with running.client.socket(socket.AF_INET6, socket.SOCK_RAW, 253) as raw:
            raw.sendto(b"12345678", (SUBJECT, 0))
        check(pings(running, SUBJECT), "no answer afterwards")
    equal(count(capture.path, f"icmpv6.type == 4 && icmpv6.code == 1 && ipv6.src == {SUBJECT}"), 1, "parameter problems")
    ended_well(running)


def a_neighbour_is_solicited_and_answered(lab, case):
    """RFC 4861 section 7.2: Linux asks for us and gets an answer; it forgets us, and finds us again."""
    running = start(lab, case, DUAL)
    with case.judged(running) as capture:
        running.client.run("ip", "-6", "neigh", "flush", "dev", running.device, check=False)
        check(pings(running, SUBJECT), "no answer after the neighbour was forgotten")
    check(count(capture.path, f"icmpv6.type == 136 && icmpv6.nd.na.target_address == {SUBJECT}"
                              " && icmpv6.nd.na.flag.s == 1") >= 1, "no solicited advertisement in the capture")
    ended_well(running)


def router_advertisement(mac):
    """What a router says every few seconds: itself for half an hour, and one prefix. RFC 4861 section 4.2"""
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    message += b"\x01\x01" + mac
    message += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 86400, 14400, 0) + socket.inet_pton(socket.AF_INET6, ADVERTISED)
    return message


def an_address_from_a_router(lab, case):
    """RFC 4862: the subject forms an address from an advertised prefix, checks it, and serves there."""
    if case.target is None:
        raise Skip("the Linux reference is not configured by routers")
    app = dataclasses.replace(DUAL, keys=("--ipv6=auto", "--ipv6-secret=interop"))
    case.needs_frames()
    case.needs("curl", "ping")
    running = case.start(lab, app)
    running.client.run("sysctl", "-qw", f"net.ipv6.conf.{running.device}.disable_ipv6=0",
                       f"net.ipv6.conf.{running.device}.accept_dad=0", f"net.ipv6.conf.{running.device}.forwarding=1")
    running.client.ip("link", "set", running.device, "down")
    running.client.ip("link", "set", running.device, "up")
    running.client.ip("addr", "replace", f"{subjects.CLIENT}/{subjects.PREFIX}", "dev", running.device)
    running.client.ip("-6", "addr", "replace", f"{ADVERTISED}1/64", "dev", running.device, "nodad")
    with running.client.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as router:
        words = running.client.run("ip", "-o", "link", "show", running.device).stdout.split()
        mac = bytes.fromhex(words[words.index("link/ether") + 1].replace(":", ""))
        with running.client.entered():
            index = socket.if_nametoindex(running.device)
        router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)

        def address():
            """The subject's global address, as Linux learns it from Duplicate Address Detection or traffic."""
            router.sendto(router_advertisement(mac), ("ff02::1", 0, 0, index))
            done = running.client.run("ping", "-6", "-c", 2, "-i", 0.3, "-W", 1, "-I", f"{ADVERTISED}1",
                                      f"ff02::1%{running.device}", check=False).stdout
            for word in done.replace(",", " ").split():
                found = word.rstrip(":").split("%")[0]
                if found.startswith("2001:db8:8:9:") and found != f"{ADVERTISED}1":
                    return found
            return None

        with case.judged(running):
            wait_until(address, 30, "an address of the advertised prefix")
            found = address()
            print(f"  it calls itself {found}", flush=True)
            running.client.run("curl", "-gsSf", "--max-time", 20, "-o", os.devnull, f"http://[{found}]:80/test/100000")
    ended_well(running)


if __name__ == "__main__":
    main(ping_of_every_size, transfers_each_way, large_segments_where_the_device_cuts_them, transfers_over_a_bad_cable, nobody_listens,
         a_neighbour_is_solicited_and_answered, an_address_from_a_router)
