# SPDX-License-Identifier: MIT
"""Captures, and tshark as their judge: no malformed packet and no wrong checksum.

A frame with an offloaded checksum looks wrong in a capture although the wire would carry it right. So capture
where frames are complete: on a device without offloads (`Namespace.offloads(device, False)`), or behind a cable
(`Lab.veth(..., offloads=False)`) that the kernel finishes frames for.
"""

import json
import os
import subprocess

from .wait import wait_until

# checksum status: 0 bad, 1 good, 2 unverified (a fragment, or cut off by the snapshot length).
# tcp.checksum.ffff: Linux writes 0xffff where tshark computes 0x0000; both are zero in ones' complement, and every
# receiver's sum agrees (RFC 1071 section 1).
WRONG = " || ".join([
    "_ws.malformed", "_ws.short", "ip.checksum.status == 0", "udp.checksum.status == 0", "icmp.checksum.status == 0",
    "icmpv6.checksum.status == 0",
    "(tcp.checksum.status == 0 && !tcp.checksum.ffff)", "ip.bogus_ip_length", "ip.bogus_header_length",
    "ip.opt.len.invalid", "tcp.bogus_header_length", "tcp.option.len.invalid", "udp.length.bad"])
# without reassembly: each packet is judged by itself, and a long transfer costs tshark no more than a short one
_EACH_ALONE = ["-oip.check_checksum:TRUE", "-otcp.check_checksum:TRUE", "-oudp.check_checksum:TRUE",
               "-otcp.desegment_tcp_streams:FALSE", "-oip.defragment:FALSE", "-oipv6.defragment:FALSE"]
# What TCP carries is a stream, of which a packet holds any part: an HTTP dissector that takes the middle of a file for
# the head of a response calls that malformed. So payloads of TCP are octets to the judge.
_OCTETS = ["-d", "tcp.port==0-65535,data", "-otcp.try_heuristic_first:FALSE"]
TSHARK = ["tshark", "-n", *_EACH_ALONE, *_OCTETS]


class JudgeError(AssertionError):
    """tshark found something wrong in a capture."""


# IEEE 802 local experimental EtherType 1: the frame that ends a capture, to a station that nobody is
_END_TYPE = 0x88B5
_END = bytes.fromhex("0200000000fe0200000000fd") + _END_TYPE.to_bytes(2, "big") + b"the end of this capture".ljust(46)


class Capture:
    """tcpdump on one device, running from construction to `stop()`."""

    def __init__(self, namespace, device, path, expression=""):
        self.path = str(path)
        self._namespace, self._device = namespace, device
        wanted = f"({expression}) or ether proto {_END_TYPE}" if expression else ""
        self._tcpdump = namespace.start(
            "tcpdump", "-i", device, "-n", "-U", "--immediate-mode", "-s", "0", "-B", "65536", "-Z", "root",
            "-w", self.path, *wanted.split(), name="tcpdump")
        self._tcpdump.wait_for_log("listening on", 5)

    def stop(self):
        """Ends the capture and returns the path of the file, which then holds everything that was seen before.

        tcpdump may be far behind. So a last frame is sent, and when that is in the file, so is all before it.
        """
        if self._tcpdump.alive():
            with self._namespace.packet_socket(self._device) as raw:
                raw.send(_END)
            wait_until(self._ended, 30, "tcpdump to write what it saw")
            self._tcpdump.stop()
        return self.path

    def _ended(self):
        self._tcpdump.check()
        with open(self.path, "rb") as file:
            file.seek(max(0, os.path.getsize(self.path) - 65536))
            return _END in file.read()

    def dropped(self):
        """How many frames the kernel could not hand over; read after stop()."""
        for line in self._tcpdump.log().splitlines():
            if line.endswith("dropped by kernel"):
                return int(line.split()[0])
        return 0


def count(path, display_filter="frame"):
    """How many packets of a capture match a Wireshark display filter."""
    return _tshark(path, display_filter, "-Tfields", "-eframe.number").count("\n")


def judge(path, source=None, allow=""):
    """Raises JudgeError with tshark's own words when a packet is malformed or a checksum is wrong.

    `source` narrows the verdict to frames from one link-layer address; `allow` is a display filter of what the
    test provoked on purpose. Returns the number of packets judged.
    """
    base = f"!(eth.type == {_END_TYPE})" + (f" && eth.src == {source}" if source else "")
    wrong = f"({base}) && ({WRONG})" + (f" && !({allow})" if allow else "")
    listing = _tshark(path, wrong)
    if listing.strip():
        first = listing.strip().splitlines()
        details = _tshark(path, wrong, "-Tjson", "-e_ws.expert.message", "-eip.checksum.status",
                          "-etcp.checksum.status", "-eudp.checksum.status", "-eicmp.checksum.status",
                          "-eframe.number")
        reasons = [packet["_source"]["layers"] for packet in json.loads(details or "[]")[:5]]
        raise JudgeError(f"{len(first)} bad packets in {path}:\n" + "\n".join(first[:10])
                         + "\n" + "\n".join(map(str, reasons)))
    judged = count(path, base)
    if judged == 0:
        raise JudgeError(f"{path} holds no packet to judge")
    return judged


def _tshark(path, display_filter, *options):
    done = subprocess.run([*TSHARK, "-r", path, "-Y", display_filter, *options],
                          capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise JudgeError(f"tshark cannot read {path}: {done.stderr.strip()}")
    return done.stdout
