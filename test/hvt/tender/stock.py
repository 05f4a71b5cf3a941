#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Solo5's own test guests under its tender and under ours, which has to do what Solo5 expects wherever the other does.

usage: stock.py TENDER [--table]

Needs a built Solo5 tree, which is not part of this project: SOLO5=/path/to/solo5 meson test stock-guests. --table also runs
what takes minutes where KVM emulates ring 0 (networks under their tender, and under ours with --ring=0), and prints all as
a table. What is expected is what Solo5's tests/tests.bats expects on Linux; what guests print has to be the same under both,
but for addresses of this run."""
import ctypes
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from guest import Failures, need_kvm, run_raw, skip

tender, table = sys.argv[1], "--table" in sys.argv
tree = pathlib.Path(os.environ.get("SOLO5", "/nonexistent"))
theirs = tree / "tenders/hvt/solo5-hvt"
if not theirs.exists():
    skip("no Solo5 tree (set SOLO5 to one that is built)")
need_kvm(tender)
failures = Failures()

SUCCESS, ABORT = (0, b"SUCCESS"), (255, b"ABORT")
FAULT = (1, b"host/guest translation fault")
# Name, what is expected, and the guest's arguments. Solo5 asks nothing of the last ones on Linux: they have to be the same.
ALONE = [("hello", SUCCESS, ["Hello_Solo5"]), ("quiet", SUCCESS, ["--solo5:quiet"]), ("output", (0, b""), ["Output_Solo5"]),
         ("globals", SUCCESS, []), ("exception", ABORT, []), ("zeropage", ABORT, []), ("xnow", FAULT, []),
         ("notls", ABORT, []), ("tls", SUCCESS, []), ("ssp", ABORT, []), ("fpu", SUCCESS, []), ("time", SUCCESS, []),
         ("dumpcore", (255, b""), []),
         ("rnow", None, []), ("xnor", None, []), ("rnox", None, []), ("wnox", None, [])]
NETS = [("net", ["service0"], ["limit"]), ("net_2if", ["service0", "service1"], ["limit"]), ("net_ring", ["service0"], [])]


def said(octets):
    """The guest's words without what differs from run to run, and without the tender's."""
    lines = [line for line in octets.decode(errors="replace").splitlines() if "mirage-hvt" not in line and "solo5-hvt" not in line]
    return re.sub(r"\b(0x)?[0-9a-fA-F]{6,}\b|\d+", "#", "\n".join(lines))


def is_expected(expected, result):
    """`result`: status, standard output, standard error. None expected: anything."""
    return expected is None or (result[0] == expected[0] and expected[1] in result[1] + result[2])


def show(name, expected, results):
    """A row: how it ended under each; a dash where nobody has tried."""
    words = ["-" if r is None else f"{r[0]}" if expected is None else "passes" if is_expected(expected, r)
             else f"fails ({r[0]})" for r in results]
    print(f"| `{name}` | " + " | ".join(words) + " |" if table else f"{name}: {', '.join(words)}", flush=True)


def compare(name, expected, options, image, arguments=()):
    stock, plain, ours = (run_raw([*command, *options, image, *arguments])
                          for command in ([theirs], [tender, "--ring=0"], [tender]))
    failures.check(plain[0] == stock[0] and said(plain[1]) == said(stock[1]),
                   f"{name} in ring 0: {plain}, stock {stock}")
    failures.check(is_expected(expected, ours), f"{name}: {ours}, expected {expected}")
    if is_expected(expected, stock):
        failures.check(ours[0] == stock[0] and said(ours[1]) == said(stock[1]), f"{name}: {ours}, stock {stock}")
    show(name, expected, (stock, plain, ours))


def guest(name):
    return tree / f"tests/test_{name}/test_{name}.hvt"


def ip(command):
    return subprocess.run(["ip", *command.split()], capture_output=True).returncode == 0


def networks():
    """As Solo5's setup-tests.sh makes them, in a namespace of our own. False: not possible here."""
    return (os.geteuid() == 0 and os.path.exists("/dev/net/tun")
            and ctypes.CDLL(None, use_errno=True).unshare(0x40000000) == 0
            and all(ip(f"tuntap add tap10{i} mode tap") for i in range(3))
            and all(ip(f"addr add 10.{i}.0.1/24 dev tap10{i}") and ip(f"link set tap10{i} up") for i in range(2))
            and ip("link set tap102 mtu 9000 up"))


class Flood(threading.Thread):
    """Echo requests to `address`, as many as are answered, and a few more when nobody answers for 10 ms."""

    AT_ONCE = 8

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.wanted = address, True
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket.settimeout(0.01)
        request = struct.pack(">BBHHH", 8, 0, 0, 1, 1) + bytes.fromhex("deadbeef") * 14
        total = sum(struct.unpack(f">{len(request) // 2}H", request))
        total = (total & 0xFFFF) + (total >> 16)
        self.request = request[:2] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + request[4:]
        self.start()

    def run(self):
        room = bytearray(2048)
        while self.wanted:
            count = 1
            try:
                self.socket.recv_into(room)
                count = room[20] == 0  # an answer to one, and not what else a raw socket hears
            except OSError:  # also: nobody is there yet
                count = self.AT_ONCE
            for _ in range(count):
                try:
                    self.socket.sendto(self.request, (self.address, 0))
                except OSError:
                    pass

    def end(self):
        self.wanted = False
        self.join()
        self.socket.close()


def serve_pings(command, options, name, arguments, links):
    """The guest, until it has had its number of echo requests; Solo5 gives it a minute."""
    floods = [Flood(f"10.{i}.0.2") for i in range(links)]
    try:
        return run_raw([*command, *options, guest(name), *arguments], timeout=60)
    except subprocess.TimeoutExpired:
        return "no end in 60 s", b"", b""
    finally:
        for flood in floods:
            flood.end()


def with_networks():
    for name, links, arguments in NETS:
        options = [f"--net:{link}=tap10{i}" for i, link in enumerate(links)]
        results = [serve_pings(command, options, name, arguments, len(links)) if tried else None
                   for command, tried in (([theirs], table), ([tender, "--ring=0"], table), ([tender], True))]
        failures.check(is_expected(SUCCESS, results[2]), f"{name}: {results[2]}")
        show(name, SUCCESS, results)
    compare("net_mtu", SUCCESS, ["--net:service0=tap102"], guest("net_mtu"))


def leaves_a_core(folder):
    """The place of the exception is in it, not that of the call which tells of it."""
    status, _, err = run_raw([tender, f"--dumpcore={folder}", guest("exception")])
    core = re.search(rb"registers are in (\S+) ", err)
    failures.check(status == 255 and core is not None, f"a core: {status} {err}")
    if core and shutil.which("gdb"):
        done = subprocess.run(["gdb", "-q", "-nx", "-batch", "-ex", "backtrace", "-ex", "print $cs", str(guest("exception")),
                               core[1].decode()], capture_output=True, text=True, timeout=60)
        failures.check("SIGSEGV" in done.stdout and "solo5_app_main" in done.stdout and "= 8\n" in done.stdout,
                       f"{done.stdout}{done.stderr}")


if table:
    print("| test | `solo5-hvt` | `mirage-hvt --ring=0` | `mirage-hvt` |\n|---|---|---|---|")
with tempfile.TemporaryDirectory() as folder:
    for name, expected, arguments in ALONE:
        if guest(name).exists():
            compare(name, expected, [], guest(name), arguments)
    for mem, expected in ((2, None), (64, SUCCESS), (4096, SUCCESS)):
        compare(f"hello --mem={mem}", expected, [f"--mem={mem}"], guest("hello"), ["Hello_Solo5"])
    compare("buggyelf", (1, b""), [], tree / "tests/test_buggyelf/buggyelf.hvt")
    disk = os.path.join(folder, "disk")
    with open(disk, "wb") as f:
        f.truncate(4 << 20)
    compare("blk", SUCCESS, [f"--block:storage={disk}"], guest("blk"))
    compare("blk, sectors of 4096", SUCCESS, [f"--block:storage={disk}", "--block-sector-size:storage=4096"], guest("blk"))
    leaves_a_core(folder)
    many = []
    for i in range(63):
        many.append(f"--block:storage{i}={folder}/{i}")
        subprocess.run(["truncate", "-s", "4096", f"{folder}/{i}"], check=True)
    compare("mft_maxdevices", SUCCESS, many, guest("mft_maxdevices"))
if networks():
    with_networks()
else:
    print("not tried with networks: needs root, and a namespace for TAP interfaces")
failures.end()
