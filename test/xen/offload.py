# SPDX-License-Identifier: MIT
"""tshark as the judge over a capture from a vif, where frames are not as a wire would carry them.

A sender with checksum offload leaves the sum of the pseudo-header in the checksum field for whoever comes last to fill
in (linux/Documentation/networking/checksum-offloads.rst); segmentation offload makes frames longer than the MTU. Both
are right on a vif: the first is verified here, the second is nothing that tshark minds."""

import dataclasses
import ipaddress
import subprocess

from testnet.capture import TSHARK, WRONG, JudgeError

_FIELDS = ["frame.number", "eth.src", "ip.src", "ip.dst", "ip.proto", "ip.len", "ip.hdr_len", "ipv6.src", "ipv6.dst", "ipv6.nxt",
           "ipv6.plen", "tcp.checksum", "udp.checksum"]


@dataclasses.dataclass
class Verdict:
    packets: int = 0
    partial: int = 0         # left to be filled in, rightly
    partial_of_guest: int = 0
    long: int = 0            # longer than a wire's frame: segmentation offload
    long_of_guest: int = 0

    def __str__(self):
        return (f"tshark: {self.packets} packets, none malformed, no wrong checksum; {self.partial} with a checksum to be "
                f"filled in ({self.partial_of_guest} of them the guest's), {self.long} longer than 1514 octets "
                f"({self.long_of_guest} the guest's)")


def folded(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo_header_sum(source, destination, protocol, length):
    """RFC 9293 section 3.1, RFC 8200 section 8.1: addresses, protocol and length, not complemented."""
    octets = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    words = [octets[i] << 8 | octets[i + 1] for i in range(0, len(octets), 2)]
    return folded(sum(words) + protocol + length)


def judge(path, guest_mac):
    """Returns a Verdict, or raises JudgeError with tshark's own words."""
    verdict = Verdict()
    verdict.packets = len(_tshark(path, "frame", "frame.number"))
    verdict.long = len(_tshark(path, "frame.len > 1514", "frame.number"))
    verdict.long_of_guest = len(_tshark(path, f"frame.len > 1514 && eth.src == {guest_mac}", "frame.number"))
    bad = []
    for row in _tshark(path, WRONG, *_FIELDS):
        number, source_mac, *ipv4, source, destination, protocol, length, tcp, udp = row
        header = 0
        if not source:
            source, destination, protocol, length, header = ipv4
        found = tcp or udp
        if found and protocol in ("6", "17") and int(found, 16) == pseudo_header_sum(
                source, destination, int(protocol), int(length) - int(header)):
            verdict.partial += 1
            verdict.partial_of_guest += source_mac == guest_mac
        else:
            bad.append(number)
    if bad:
        listing = subprocess.run([*TSHARK, "-r", path, "-Y", "frame.number in {" + ",".join(bad[:10]) + "}"],
                                 capture_output=True, text=True).stdout
        raise JudgeError(f"{len(bad)} bad packets of {verdict.packets}:\n{listing}")
    # malformed is malformed, whatever the checksum
    malformed = _tshark(path, "_ws.malformed || ip.bogus_ip_length || tcp.bogus_header_length || tcp.option.len.invalid",
                        "frame.number")
    if malformed:
        raise JudgeError(f"malformed packets: {[row[0] for row in malformed[:10]]}")
    return verdict


def _tshark(path, display_filter, *fields):
    words = [*TSHARK, "-r", path, "-Y", display_filter, "-Tfields", "-Eoccurrence=f", "-Eseparator=/t"]
    done = subprocess.run([*words, *(f"-e{field}" for field in fields)], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise JudgeError(f"tshark cannot read {path}: {done.stderr.strip()}")
    return [(line.split("\t") + [""] * len(fields))[:len(fields)] for line in done.stdout.splitlines()]
