#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where frames go: the user network, and a TAP interface that goes down and vanishes.

usage: network.py TENDER INTERPRETER user|tap"""
import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

from guest import *

tender, interpreter = sys.argv[1:3]
need_kvm(tender)
failures = Failures()
folder = tempfile.TemporaryDirectory()
path = Image(interpreter, [("service", NET)]).write(os.path.join(folder.name, "guest.hvt"))
MAC = bytes.fromhex("02000000002a")
GUEST, ROUTER = socket.inet_aton("10.0.2.15"), socket.inet_aton("10.0.2.2")
RET, LEN = ARGUMENT + 24, ARGUMENT + 16
SCRATCH = 0x330000


class Guest:
    def __init__(self, program, *options):
        self.process = subprocess.Popen([tender, "--mem=8", "--net-mac:service=02:00:00:00:00:2a", *options, path,
                                         *str(program).split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.first = self.process.stdout.read(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def swap(program, a, b, size):
    return program("c", SCRATCH, a, size)("c", a, b, size)("c", b, SCRATCH, size)


def echo(first):
    """Sends `first`, then sends everything back where it came from: addresses and ports swapped, sums still right."""
    program = Program().put(BUFFER, first).call(NET_WRITE, 1, BUFFER, len(first), 0).call(PUTS, TEXT, 1)
    again = program.here()
    program.call(POLL, 2**62).call(NET_READ, 1, BUFFER, 2000, 0)("n", RET, OK, again)
    # EtherType and header length of IPv4, or it is not for us. 0x0045 follows 0x0008 in memory.
    program("c", SCRATCH, BUFFER + 12, 4)("n", SCRATCH, 0x00450008, again)
    swap(program, BUFFER, BUFFER + 6, 6)
    swap(program, BUFFER + 26, BUFFER + 30, 4)
    swap(program, BUFFER + 34, BUFFER + 36, 2)
    return program("q", ARGUMENT, 1)("o", NET_WRITE, ARGUMENT)("g", again)


def announcement():
    """ARP, RFC 826: who has the router? From us, so that the network knows us."""
    return b"\xff" * 6 + MAC + bytes.fromhex("0806 0001 0800 06 04 0001") + MAC + GUEST + bytes(6) + ROUTER


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def user_network():
    port = free_port(socket.SOCK_DGRAM)
    capture = os.path.join(folder.name, "user.pcap")
    with Guest(echo(announcement()), f"--net:service=user,hostfwd=udp:127.0.0.1:{port}-:7", f"--pcap:service={capture}") as guest:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", port))
            client.settimeout(30)
            for size in (1, 100, 1400):
                text = os.urandom(size)
                client.send(text)
                failures.check(client.recv(2000) == text, f"{size} octets through the user network and back")
        failures.check(guest.process.poll() is None, "the guest still runs")
    frames = open(capture, "rb").read()
    failures.check(frames.count(GUEST) >= 7, "a capture of it")

    # The port is taken: who has it, what to do, and no guest.
    for kind, name, how in ((socket.SOCK_STREAM, "tcp", "ss -ltnp"), (socket.SOCK_DGRAM, "udp", "ss -lunp")):
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            port = taken.getsockname()[1]
            status, out, err = run([tender, "--mem=8", f"--net:service=user,hostfwd={name}:127.0.0.1:{port}-:80", path])
        failures.check(status == 1 and out == "" and f"cannot listen on 127.0.0.1:{port}" in err and "choose another port" in err
                       and how in err, f"{name} port taken: {status} {err!r}")
    status, _, err = run([tender, "--mem=8", "--net:service=user,hostfwd=tcp:203.0.113.7:8080-:80", path])
    failures.check(status == 1 and "cannot listen on 203.0.113.7:8080" in err and "does not have that address" in err,
                   f"another's address: {err!r}")
    # The program that is the network is not beside the tender.
    alone = os.path.join(folder.name, "mirage-hvt")
    shutil.copy(tender, alone)
    status, out, err = run([alone, "--mem=8", "--net:service=user", path])
    failures.check(status == 1 and out == "" and f"needs the program {folder.name}/mirage-usernet" in err and "beside mirage-hvt" in err,
                   f"no mirage-usernet: {status} {err!r}")
    # Two ports, and a guest that never looks at its network.
    one, two = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
    with Guest(Program().call(PUTS, TEXT, 1)("u", BUFFER, 1),
               f"--net:service=user,hostfwd=tcp:127.0.0.1:{one}-:80,hostfwd=tcp::{two}-10.0.2.15:81") as guest:
        with socket.create_connection(("127.0.0.1", one)), socket.create_connection(("127.0.0.1", two)):
            failures.check(guest.process.poll() is None, "a guest that does not listen")
        # A browser or a load generator does not wait for one connection to be taken before it opens the next.
        pid = guest.process.pid
        network = int(open(f"/proc/{pid}/task/{pid}/children").read())
        os.kill(network, signal.SIGSTOP)
        waiting = [socket.create_connection(("127.0.0.1", one), timeout=30) for _ in range(64)]
        failures.check(len(waiting) == 64, "64 connections wait to be taken")
        os.kill(network, signal.SIGCONT)
        for connection in waiting:
            connection.close()


def ip(command):
    return subprocess.run(["ip", *command.split()], capture_output=True).returncode == 0


def tap_interface():
    """In a network namespace of our own."""
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        skip("needs root and /dev/net/tun")
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0 or not ip("tuntap add tap7 mode tap"):
        skip("may not make a TAP interface here")
    option = "--net:service=tap7"
    properties = Program().show(0x10000 + 56 + 8 + 104 + 72)
    ip("link set tap7 mtu 9000")
    status, out, err = run([tender, "--mem=8", option, path, *str(properties).split()])
    failures.check(status == 0 and numbers(out)[0] >> 48 == 9000, f"MTU: {out!r}")
    failures.check("the interface is down" in err and "ip link set tap7 up" in err, f"a TAP that is down: {err!r}")
    # Every start has a MAC of its own: random, local, unicast.
    macs = set()
    for _ in range(4):
        _, out, _ = run([tender, "--mem=8", option, path, *str(properties).split()])
        macs.add(numbers(out)[0] & 0xFFFFFFFFFFFF)
    failures.check(len(macs) == 4 and all(m & 3 == 2 for m in macs), f"MACs: {macs}")
    ip("link set tap7 mtu 1500 up")

    # A frame each way for every "go on"; through the host's end they are seen.
    host = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    host.bind(("tap7", 0x88B5))
    host.settimeout(30)
    frame = b"\xff" * 6 + MAC + b"\x88\xb5" + b"from the guest".ljust(46, b".")
    program = Program().put(BUFFER, frame).call(PUTS, TEXT, 1)
    again = program.here()
    program.call(NET_WRITE, 1, BUFFER, len(frame), 0)("q", ARGUMENT + 64, 5_000_000)("o", POLL, ARGUMENT + 64)
    with Guest(program("g", again), option) as guest:
        failures.check(host.recv(2000) == frame, "a frame from the guest")
        status, _, err = run([tender, "--mem=8", option, path])
        failures.check(status == 1 and "in use by another program" in err, f"a TAP in use: {err!r}")
        lines = iter(guest.process.stderr.readline, b"")
        ip("link set tap7 down")
        failures.check(b"does not take frames" in (line := next(lines)) and b"ip link set" in line, f"down: {line!r}")
        failures.check(guest.process.poll() is None, "the guest runs on")
        ip("link set tap7 up")
        failures.check(b"takes frames again" in (line := next(lines)), f"up: {line!r}")
        host.close()
        ip("tuntap del tap7 mode tap") or ip("link del tap7")
        if b"does not take frames" in (line := next(lines)):  # it goes down before it goes
            line = next(lines)
        failures.check(b"the interface is gone" in line, f"vanished: {line!r}")
        failures.check(guest.process.poll() is None, "the guest runs on without an interface")
        guest.process.kill()
        rest = guest.process.stderr.read()
        failures.check(rest == b"", f"the loss is said once: {rest!r}")


{"user": user_network, "tap": tap_interface}[sys.argv[3]]()
failures.end()
