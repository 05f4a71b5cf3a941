#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tender as a process: its sandbox, its signals, and what it says when a guest ends badly.

usage: process.py TENDER INTERPRETER"""
import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from guest import *

tender, interpreter = sys.argv[1:3]
need_kvm(tender)
failures = Failures()
folder = tempfile.TemporaryDirectory()
FOR_EVER = Program().call(PUTS, TEXT, 1).call(POLL, 2**62)


def status_of(process):
    return dict(line.split(":\t", 1) for line in open(f"/proc/{process}/status").read().splitlines() if ":\t" in line)


def threads_of(pid):
    """Without what KVM runs in a process's name."""
    threads = os.listdir(f"/proc/{pid}/task")
    return [t for t in threads if not open(f"/proc/{pid}/task/{t}/comm").read().startswith("kvm-")]


def children_of(pid):
    return [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]


class Running:
    """A guest that has said something, and now sleeps (in POLL) or spins."""

    def __init__(self, program=FOR_EVER, devices=(), options=(), keep=()):
        path = Image(interpreter, devices).write(os.path.join(folder.name, "guest.hvt"))
        self.process = subprocess.Popen([tender, "--mem=8", *options, path, *str(program).split()], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, pass_fds=keep)
        assert self.process.stdout.read(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end_by(self, number):
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err.decode()


def confined(where, what, bounding=True):
    status = status_of(where)
    wanted = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0" * 16, "CapPrm": "0" * 16, "CapInh": "0" * 16, "CapAmb": "0" * 16}
    if bounding and os.geteuid() == 0:
        wanted["CapBnd"] = "0" * 16
    wrong = {k: status.get(k) for k, v in wanted.items() if status.get(k) != v}
    failures.check(not wrong, f"{what}: {wrong}")


def sandbox():
    leak = os.open("/etc/passwd", os.O_RDONLY)
    with Running(devices=[("service", NET)], options=["--net:service=user"], keep=[leak]) as guest:
        pid = guest.process.pid
        threads = threads_of(pid)
        failures.check(len(threads) == 2, f"two threads: {threads}")
        for thread in threads:
            confined(f"{pid}/task/{thread}", f"thread {thread}")
        network = children_of(pid)
        failures.check(len(network) == 1, f"one process for the user network: {network}")
        confined(network[0], "the user network")
        for which in (pid, network[0]):
            held = {os.readlink(f"/proc/{which}/fd/{fd}") for fd in os.listdir(f"/proc/{which}/fd")}
            failures.check("/etc/passwd" not in held, f"a descriptor that was left open is still held: {held}")
            failures.check(which == pid or not any("kvm" in h or "guest.hvt" in h for h in held), f"the user network holds {held}")
    os.close(leak)
    # A guest without network: one thread, no further process.
    with Running() as guest:
        failures.check(threads_of(guest.process.pid) == [str(guest.process.pid)], "one thread")
        failures.check(children_of(guest.process.pid) == [], "no child")
        confined(guest.process.pid, "a guest without devices")


def gone(pid):
    """Waits until a process that is not ours has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    import select
    ended = bool(select.select([descriptor], [], [], 30)[0])
    os.close(descriptor)
    return ended


def signals():
    spins = Program().call(PUTS, TEXT, 1)("u", BUFFER, 1)
    for name, program in (("sleeping", FOR_EVER), ("spinning", spins)):
        for number in (signal.SIGINT, signal.SIGTERM):
            with Running(program) as guest:
                status, err = guest.end_by(number)
                failures.check(status == 1 and "signal" in err, f"{name} guest, signal {number}: {status} {err!r}")
    for number in (signal.SIGTERM, signal.SIGKILL):
        with Running(devices=[("service", NET)], options=["--net:service=user"]) as guest:
            network = children_of(guest.process.pid)[0]
            guest.end_by(number)
            failures.check(gone(network), f"the user network survives signal {number}")
    with Running(Program().call(PUTS, TEXT, 1).call(POLL, 10**6), [("service", NET)], ["--net:service=user"]) as guest:
        network = children_of(guest.process.pid)[0]
        guest.process.communicate()
        failures.check(guest.process.returncode == 0 and gone(network), "the user network survives its guest")


def stop(what, program, *patterns):
    path = Image(interpreter).write(os.path.join(folder.name, "guest.hvt"))
    status, _, err = run([tender, "--mem=8", path, *str(program).split()])
    missing = [p for p in patterns if not re.search(p, err)]
    failures.check(status == 1 and not missing and re.search(r"^ rip [0-9a-f]{16} ", err, re.M), f"{what}: {status}, no {missing} in {err}")


def stops():
    stop("hlt", Program()("k"), "the guest was stopped: it executed HLT")
    stop("triple fault", Program()("r", 0), "triple fault", "cr2 0{16}", "ring 0")
    stop("past memory", Program()("r", OUTSIDE), "triple fault", f"cr2 {OUTSIDE:016x}")
    stop("jump to nowhere", Program()("j", 0x2000), "triple fault", "rip 0000000000002000")
    stop("write to its text", Program()("q", TEXT, 0), "host/guest translation fault|triple fault")
    stop("write to the boot information", Program()("q", 0x10000, 0), "triple fault", "cr2 0000000000010000")
    stop("read of the page tables", Program()("r", 0x2000), "triple fault", "cr2 0000000000002000")
    # The interpreter as it was linked has symbols.
    status, _, err = run([tender, "--mem=8", interpreter, "r", "0"])
    failures.check(status == 1 and "guest::load_words(unsigned long const*)+0x0" in err, f"symbols: {err}")


def report():
    """HALT with 255 and a cookie: the seven words of the ABI, and our longer report."""
    symbols = {}
    for line in subprocess.run(["nm", interpreter], capture_output=True, text=True, check=True).stdout.splitlines():
        address, _, name = line.split()
        symbols[name] = int(address, 16)
    load, number = symbols["_ZN5guest10load_wordsEPKm"], symbols["_ZN5guest6numberEv"]
    seven = struct.pack("<7Q", 0xDEAD, 2, load, 8, 0x10002, 0x7FFFF0, 16)

    def said(octets, status=255):
        program = Program().put(BUFFER, octets).halt(status, BUFFER)
        got, _, err = run([tender, "--mem=8", interpreter, *str(program).split()])
        failures.check(got == status, f"status {got}, not {status}")
        return err

    err = said(seven)
    failures.check("the guest faulted at" in err and "guest::load_words" in err and "000000000000dead" in err, f"the ABI's: {err}")
    ours = lambda vector, depth: (seven + struct.pack("<QQ", 0x544C554146474D31, vector) + bytes(15 * 8) + struct.pack("<Q", depth)
                                  + struct.pack("<2Q", number + 3, 0x400000))
    err = said(ours(14, 2))
    failures.check("the guest faulted: page fault at" in err and "guest::load_words" in err and "guest::number()+0x3" in err
                   and "0x400000\n" in err, f"ours: {err}")
    failures.check("the guest gave up" in said(ours(2**64 - 1, 1)), "a panic")
    err = said(ours(14, 2**64 - 1))
    failures.check(err.count("\n") < 60, f"a depth that lies: {err}")
    failures.check(said(seven, status=3) == "", "a report only with 255")
    for cookie in (OUTSIDE, OUTSIDE - 511, 2**64 - 1, 0):
        got, _, err = run([tender, "--mem=8", interpreter, *str(Program().halt(255, cookie)).split()])
        failures.check((got, err) == (255, ""), f"cookie {cookie:#x}: {got} {err!r}")


def captures():
    """--pcap: a pcapng file that says what went by, which way, and what did not."""
    path = Image(interpreter, [("service", NET)]).write(os.path.join(folder.name, "guest.hvt"))
    capture = os.path.join(folder.name, "a.pcapng")
    program = (Program().put(BUFFER, b"o" * 64).call(NET_WRITE, 1, BUFFER, 64, 0).call(NET_READ, 1, BUFFER, 2000, 0)
               .call(NET_WRITE, 1, BUFFER, 61, 0))

    def run_with(ours, theirs, program):
        status, _, err = run([tender, "--mem=8", f"--net:service=@{theirs.fileno()}", f"--pcap:service={capture}", path,
                              *str(program).split()], pass_fds=[theirs.fileno()])
        failures.check(status == 0, f"{status} {err}")
        octets, blocks, at = open(capture, "rb").read(), [], 0
        while at < len(octets):
            kind, size = struct.unpack_from("<II", octets, at)
            failures.check(size % 4 == 0 and octets[at + size - 4:at + size] == octets[at + 4:at + 8], f"a block at {at}")
            blocks.append((kind, octets[at + 8:at + size - 4]))
            at += max(size, 12)
        failures.check([k for k, _ in blocks[:2]] == [0x0A0D0D0A, 1], f"{blocks[:2]}")
        return blocks

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(b"in".ljust(60, b"i"))
    before = time.time_ns()
    blocks = run_with(ours, theirs, program)
    failures.check(b"service" in blocks[1][1] and bytes([9, 0, 1, 0, 9]) in blocks[1][1], f"the interface: {blocks[1]}")
    frames = []
    for _, body in (b for b in blocks if b[0] == 6):
        interface, high, low, size, original = struct.unpack_from("<IIIII", body)
        flags, length, way = struct.unpack_from("<HHI", body, 20 + size + -size % 4)
        failures.check((interface, original, flags, length) == (0, size, 2, 4) and before <= high << 32 | low <= time.time_ns(), "a frame")
        frames.append((size, body[20:21], way))
    failures.check(frames == [(64, b"o", 2), (60, b"i", 1), (61, b"i", 2)], f"frames: {frames}")
    failures.check(blocks[-1][0] == 5 and blocks[-1][1].endswith(struct.pack("<HHQHHQI", 4, 8, 1, 5, 8, 0, 0)), f"the end: {blocks[-1]}")
    if shutil.which("tshark"):
        done = subprocess.run(["tshark", "-r", capture, "-T", "fields", "-E", "separator=,", "-e", "frame.interface_name", "-e",
                               "frame.packet_flags_direction", "-e", "frame.len"], capture_output=True, text=True, timeout=60)
        seen = [line.split(",") for line in done.stdout.splitlines()]
        failures.check([(n, int(w, 16), int(s)) for n, w, s in seen] == [("service", way, size) for size, _, way in frames],
                       f"tshark: {done.stdout}{done.stderr}")

    # Nobody takes what is sent: its queue is full.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            theirs.send(b"x" * 64)
            sent += 1
    blocks = run_with(ours, theirs, program)
    failures.check(blocks[-1][1].endswith(struct.pack("<HHQHHQI", 4, 8, 0, 5, 8, 2, 0)), f"two lost: {blocks[-1]}, {sent}")


for part in (sandbox, signals, stops, report, captures):
    part()
failures.end()
