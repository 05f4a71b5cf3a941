# SPDX-License-Identifier: MIT
"""One network namespace and the devices in it."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess

from .process import Process

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_PACKET_OUTGOING_AND_ALL = 0x0003  # ETH_P_ALL


class Namespace:
    """A named network namespace. Made by `Lab.namespace`, which also removes it."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name

    def exec_prefix(self):
        """What to write before a command so that it runs here."""
        return ["ip", "netns", "exec", self.name]

    def run(self, *command, seconds=300, check=True, **options):
        """Runs a command to its end; returns subprocess.CompletedProcess with text output.

        `check=False` is for a command that may fail, not for one that is not there.
        """
        if shutil.which(str(command[0])) is None:
            raise RuntimeError(f"{command[0]}: not installed")
        done = subprocess.run([*self.exec_prefix(), *map(str, command)], capture_output=True, text=True,
                              errors="replace", timeout=seconds, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: status {done.returncode}\n"
                               f"{done.stdout}{done.stderr}".rstrip())
        return done

    def start(self, *command, **options):
        """Starts a command in the background; the lab stops it at the end at the latest."""
        options.setdefault("name", os.path.basename(str(command[0])))
        return self.lab.own(Process([*self.exec_prefix(), *command], **options), Process.close)

    def ip(self, *arguments):
        subprocess.run(["ip", "-n", self.name, *map(str, arguments)], check=True, capture_output=True, text=True)

    def sysctl(self, **values):
        """Sets net.* keys; write `net__ipv4__tcp_congestion_control` for the dots."""
        self.run("sysctl", "-qw", *(f"{key.replace('__', '.')}={value}" for key, value in values.items()))

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in this namespace inside the block: sockets made there stay there."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        here = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _setns(here)
            yield
        finally:
            _setns(home)
            os.close(here)
            os.close(home)

    def socket(self, *arguments):
        with self.entered():
            return socket.socket(*arguments)

    def packet_socket(self, device, protocol=_PACKET_OUTGOING_AND_ALL):
        """A raw Ethernet socket on a device (AF_PACKET)."""
        raw = self.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        raw.bind((device, protocol))
        return raw

    def can_connect(self, address, port, seconds=0.5):
        """Whether a TCP connection opens; `seconds` bounds the attempt."""
        with self.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.settimeout(seconds)
            return probe.connect_ex((address, port)) == 0

    def add_tap(self, device, *, address=None, mac=None, offloads=True):
        """A persistent TAP device that any program may attach to, with or without a vnet header."""
        self.ip("tuntap", "add", "mode", "tap", "name", device)
        self._quiet(device)
        if mac:
            self.ip("link", "set", device, "address", mac)
        if address:
            self.ip("addr", "add", address, "dev", device)
        if not offloads:
            self.offloads(device, False)
        self.ip("link", "set", device, "up")

    def add_bridge(self, device, ports):
        """Joins devices on layer 2. No spanning tree and no snooping: it forwards from the first frame on."""
        self.ip("link", "add", device, "type", "bridge", "forward_delay", "0", "stp_state", "0", "mcast_snooping", "0")
        self._quiet(device)
        for port in ports:
            self.ip("link", "set", port, "master", device)
        self.ip("link", "set", device, "up")

    def open_tap(self, device, *, address=None):
        """Makes a TAP device and returns its non-blocking descriptor; the device goes when that is closed.

        Frames come complete: the kernel finishes checksums and segments for a device without offloads.
        """
        with self.entered():
            tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TAP | _IFF_NO_PI))
        self.lab.own(tap, os.close)
        self._quiet(device)
        if address:
            self.ip("addr", "add", address, "dev", device)
        self.ip("link", "set", device, "up")
        return tap

    def offloads(self, device, on):
        """Checksum and segmentation offloads, both ways. Off: every frame seen on the device is complete."""
        state = "on" if on else "off"
        # some features are fixed on some devices: each is asked for alone, and a refusal is what it is
        for feature in ("tx", "rx", "sg", "tso", "gso", "gro"):
            self.run("ethtool", "-K", device, feature, state, check=False)

    def neighbour(self, address, device):
        """The link-layer address the kernel has for an IPv4 address, or None."""
        words = self.run("ip", "neigh", "show", address, "dev", device).stdout.split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else None

    def forget_neighbours(self):
        self.run("ip", "neigh", "flush", "all", check=False)

    def _quiet(self, device):
        """No IPv6 on the device: its chatter belongs to no test."""
        self.run("sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1", check=False)


def _setns(descriptor):
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
