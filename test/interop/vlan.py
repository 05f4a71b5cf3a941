#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A subject in VLAN 7 against Linux (IEEE 802.1Q): every frame of both carries the tag, and without it nobody answers."""

import hashlib
import os
import subprocess

from interop import HERE, MIB, Skip, equal, main
from testnet import Capture, judge, subjects
from testnet.capture import count
from testnet.subjects import CLIENT, PREFIX, App

TAGGED = App("tagged", "test/interop/appliance")


def kernel_has_vlans(lab):
    probe = lab.namespace("probe")
    return probe.run("ip", "link", "add", "link", "lo", "name", "vlan7", "type", "vlan", "id", 7, check=False).returncode == 0


def transfers_in_a_vlan(lab, case):
    if case.target is None:
        raise Skip("the Linux reference is in no VLAN")
    case.needs("curl", "ping")
    subjects.available(TAGGED, case.target, case.build)
    tagger = None if kernel_has_vlans(lab) else [os.path.join(HERE, "tagging_cable.py"), 7]
    running = subjects.attach_bridged(lab, TAGGED, cable=tagger)
    client, device = running.client, running.device
    if tagger is None:
        client.ip("link", "add", "link", device, "name", "vlan7", "type", "vlan", "id", 7)
        client.ip("addr", "del", f"{CLIENT}/{PREFIX}", "dev", device)
        device = "vlan7"
        client.ip("addr", "add", f"{CLIENT}/{PREFIX}", "dev", device)
        client.run("sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1", check=False)
    client.ip("link", "set", device, "mtu", 1496, "up")  # the tag takes its room from the packet: see mirage::net::vlan
    running.start(subjects.command(TAGGED, case.target, case.build))
    path, digest = case.stream_file(lab, 4 * MIB)
    capture = Capture(running.switch, "port", os.path.join(lab.directory, "tagged.pcap"))
    for size in (56, 1468, 1469, 3000):  # 1468 octets just fit; more comes in fragments (RFC 791 section 3.2)
        client.run("ping", "-c", 2, "-i", 0.2, "-W", 2, "-s", size, running.address)
    down = subprocess.run([*client.exec_prefix(), "curl", "-sSf", "--max-time", "120",
                           f"{running.url}/test/{4 * MIB}"], capture_output=True, check=True).stdout
    equal(hashlib.sha256(down).hexdigest(), digest, "SHA-256 down")
    up = client.run("curl", "-sSf", "--max-time", 120, "-T", path, running.url + "/upload").stdout.strip()
    equal(up, digest, "SHA-256 up")
    print(f"  tshark: {judge(capture.stop())} packets, none malformed, no wrong checksum", flush=True)
    equal(count(capture.path, "ip && !(vlan.id == 7)"), 0, "packets without the tag")
    equal(count(capture.path, f"ip.src == {running.address} && !(vlan.priority == 5)"), 0, "packets of another priority")
    running.stop()


def nobody_answers_without_the_tag(lab, case):
    """Beside the VLAN, on the same cable, there is only silence; in it there are answers before and after."""
    if case.target is None:
        raise Skip("the Linux reference is in no VLAN")
    subjects.available(TAGGED, case.target, case.build)
    running = subjects.attach_bridged(lab, TAGGED, cable=[os.path.join(HERE, "tagging_cable.py"), 7])
    running.client.ip("link", "set", running.device, "mtu", 1496)
    running.start(subjects.command(TAGGED, case.target, case.build))
    beside = running.switch  # the bridge itself is a station, and its frames have no tag
    beside.ip("addr", "add", f"10.0.0.3/{PREFIX}", "dev", "bridge")
    equal(beside.can_connect(running.address, running.port, 1), False, "an answer to frames without the tag")
    equal(running.client.can_connect(running.address, running.port, 5), True, "an answer in the VLAN")
    running.stop()


if __name__ == "__main__":
    main(transfers_in_a_vlan, nobody_answers_without_the_tag)
