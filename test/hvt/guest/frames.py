#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Raw frames to and from the guest over a TAP in a network namespace of its own.

usage: frames.py TENDER IMAGE [hold]

Every frame has to come back, whole and in order: single ones, bursts, all sizes up to the MTU, both while the machine
sleeps and while it is busy. With "hold", the guest keeps frames until its pool is dry, and works again when it has let them go."""
import contextlib
import os
import random
import socket
import struct
import subprocess
import sys

ETHERTYPE = 0x88B5
CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33
MARKER = b"settle".ljust(46, b".")


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def enter_namespace():
    import ctypes
    if os.geteuid() != 0:
        skip("needs root for a network namespace")
    if not os.path.exists("/dev/net/tun"):
        skip("no /dev/net/tun")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        skip("no usable /dev/kvm")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        skip("may not make a network namespace")
    for command in ("ip tuntap add dev tap0 mode tap", "sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1",
                    "ip link set dev tap0 mtu 1500 up"):
        if subprocess.run(command.split(), stderr=subprocess.DEVNULL).returncode != 0 and "sysctl" not in command:
            skip(f"cannot run: {command}")


class Link:
    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.socket.bind(("tap0", ETHERTYPE))
        self.socket.settimeout(100)
        self.mac = self.socket.getsockname()[4]

    def send(self, payload):
        self.socket.send(b"\xff" * 6 + self.mac + struct.pack("!H", ETHERTYPE) + payload)

    def receive(self, markers=False):
        while True:
            frame, address = self.socket.recvfrom(65536)
            if address[2] != socket.PACKET_OUTGOING:
                assert frame[:6] == self.mac, "not addressed to the sender"
                assert frame[6] & 1 == 0 and frame[6:12] != self.mac, "source address of the guest"
                if markers or frame[14:] != MARKER:
                    return frame[14:]


    def settle(self):
        """Until the guest answers again: a frame that came while the pool was coming back may still be lost."""
        self.socket.settimeout(0.2)
        for _ in range(500):
            self.send(MARKER)
            with contextlib.suppress(TimeoutError):
                while self.receive(markers=True) != MARKER:
                    pass
                break
        self.socket.settimeout(100)


def payloads(count, seed):
    rng = random.Random(seed)
    for i in range(count):
        size = rng.choice((46, 60, 64, 512, 1400, 1499, 1500, rng.randrange(46, 1501)))
        yield struct.pack("!I", i) + rng.randbytes(size - 4)


def exchange(link, count, window, seed):
    """`count` frames with at most `window` under way."""
    sent, source = [], payloads(count, seed)
    for payload in source:
        link.send(payload)
        sent.append(payload)
        if len(sent) == window:
            assert link.receive() == sent.pop(0), f"wrong frame, window {window}"
    for payload in sent:
        assert link.receive() == payload, f"wrong frame, window {window}"


def main():
    tender, image = sys.argv[1:3]
    hold = "hold" in sys.argv[3:]
    if not tender or not os.access(tender, os.X_OK):
        skip("the tender is not there")
    enter_namespace()
    # As much memory as makes a pool of a known, small size.
    guest = subprocess.Popen([tender, "--mem=4", "--net:service=tap0", image] + (["--hold=1000"] if hold else []),
                             stdout=subprocess.PIPE)
    try:
        while True:
            line = guest.stdout.readline()
            assert line, f"the guest ended with {guest.wait()}"
            if line == b"ready\n":
                break
        link = Link()
        if hold:
            for payload in payloads(1000, 1):
                link.send(payload)
            # What the pool cannot take is lost, but the interface does not stand still, and all is well afterwards.
            line = guest.stdout.readline()
            assert line == b"released, some were dropped\n", line
            link.settle()
        for count, window in ((200, 1), (2000, 16), (4000, 60), (1000, 200), (20, 1)):
            exchange(link, count, window, seed=window)
        link.send(b"stop".ljust(46, b"\0"))
        assert guest.wait(10) == 0, f"exit status {guest.returncode}"
    finally:
        if guest.poll() is None:
            guest.kill()
            guest.wait()
    print("ok")


main()
