#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The network ring, used as the ABI says (section 8 of the contract: kicks, order, commits, wrapping) and by a guest that lies.

usage: ring.py TENDER INTERPRETER queue|one-by-one   whether the kernel gives the tender its queue for frames (io_uring)"""
import ctypes
import os
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
RING = OUTSIDE  # behind the guest's own memory
ENT_TAIL, COM_HEAD, ENT_HEAD, COM_TAIL, NEEDS_KICK = RING, RING + 4, RING + 64, RING + 68, RING + 72
ENTRY, COMMIT, SLOTS = RING + 128, RING + 32896, 1024
WRITE, READ = 1, 2
one_by_one = sys.argv[3] == "one-by-one"


def forbid_io_uring():
    """This process and its children do not have it from now on: seccomp answers io_uring_setup (425) with ENOSYS."""
    instructions = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *i) for i in instructions))
    program = ctypes.create_string_buffer(struct.pack("<H6xQ", len(instructions), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.addressof(program), 0, 0) != 0:
        skip("seccomp filters are not to be had here")


def kernel_has_io_uring():
    ring = ctypes.CDLL(None, use_errno=True).syscall(425, 8, ctypes.create_string_buffer(120))
    if ring >= 0:
        os.close(ring)
    return ring >= 0


class Ring(Program):
    """A program that posts entries: as many as it likes, at the slots that follow."""

    def __init__(self):
        super().__init__()
        self.tail = 0

    def entry(self, op, handle, data, size, ident=0):
        at = ENTRY + 32 * (self.tail % SLOTS)
        self.tail += 1
        return self.put(at, struct.pack("<IIQIIQ", op, handle, data, size, ident, 0))

    def publish(self, tail=None):
        return self("d", ENT_TAIL, (self.tail if tail is None else tail) & 0xFFFFFFFF)

    def kick(self):
        return self("o", KICK, 0)

    def served(self):
        """Waits until the tender is past everything."""
        return self("u", ENT_HEAD, self.tail & 0xFFFFFFFF)

    def commits(self, count):
        for i in range(count):
            self.show(COMMIT + 16 * i, COMMIT + 16 * i + 8)
        return self


class Network:
    """One device, its other end held by the test."""

    def __init__(self):
        self.socket, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setblocking(False)

    def run(self, program, **more):
        path = Image(interpreter, [("service", NET)]).write(os.path.join(folder.name, "guest.hvt"))
        return run([tender, "--mem=8", f"--net:service=@{self.theirs.fileno()}", path, *str(program).split()],
                   pass_fds=[self.theirs.fileno()], **more)

    def frames(self):
        seen = []
        try:
            while True:
                seen.append(self.socket.recv(65536))
        except BlockingIOError:
            return seen


def commit_list(out):
    words = numbers(out)
    return [(w & 0xFFFFFFFF, w >> 32, size) for w, size in zip(words[::2], words[1::2])]


def writes():
    frames = [bytes([i]) * (60 + i) for i in range(20)]
    program = Ring()
    for i, frame in enumerate(frames):
        program.put(BUFFER + 128 * i, frame).entry(WRITE, 1, BUFFER + 128 * i, len(frame))
    network = Network()
    status, out, err = network.run(program.publish().kick().served().show(COM_TAIL - 4))
    failures.check(status == 0 and network.frames() == frames, f"frames in order: {status} {err!r}")
    failures.check(numbers(out)[0] >> 32 == 0, f"a write has no commit: {out!r}")

    # The tender sleeps, and says so: one kick per burst wakes it, again and again.
    program = Ring().put(BUFFER, frames[0])
    for _ in range(5):
        program("u", NEEDS_KICK, 1).entry(WRITE, 1, BUFFER, 60).publish().kick().served()
    network = Network()
    status, _, _ = network.run(program)
    failures.check(status == 0 and network.frames() == [frames[0]] * 5, "a kick after every sleep")

    # More in one burst than go with one system call.
    program = Ring().entry(WRITE, 1, BUFFER, 0)
    for i in range(7):
        program("c", ENTRY + (32 << i), ENTRY, 32 << i)
    program.tail = 100
    for i in range(program.tail):
        program("d", ENTRY + 32 * i + 16, 60 + i)
    network = Network()
    status, _, err = network.run(program.publish().call(POLL, 0).served())
    sizes = [len(frame) for frame in network.frames()]
    failures.check(status == 0 and sizes == list(range(60, 160)), f"a long burst in order: {status} {sizes} {err!r}")

    # All slots, twice and a half: entries of no device, and one of ours in the middle of each round.
    program = Ring().put(BUFFER, frames[3]).entry(WRITE, 0, BUFFER, 60)
    done = 32
    while done < 32 * SLOTS:
        program("c", ENTRY + done, ENTRY, min(done, 32 * SLOTS - done))
        done *= 2
    program.tail = 500
    program.entry(WRITE, 1, BUFFER, 63)
    for program.tail in (1000, 1900, 2560):
        program.publish().kick().served()
    network = Network()
    status, _, err = network.run(program)
    failures.check(status == 0 and network.frames() == [frames[3]] * 3, f"wrapping: {status} {err!r}")


def reads():
    network = Network()
    network.socket.send(b"first".ljust(60, b"1"))
    network.socket.send(b"second".ljust(200, b"2"))
    program = Ring().entry(READ, 1, BUFFER, 2048, 11).entry(READ, 1, BUFFER + 2048, 100, 12).entry(READ, 1, BUFFER, 2048, 13)
    program.entry(READ, 0, BUFFER, 2048, 14).entry(READ, 7, BUFFER, 2048, 15).entry(READ, 2**32 - 1, BUFFER, 2048, 16)
    program.entry(3, 1, BUFFER, 2048, 17).entry(0, 1, OUTSIDE, 2048, 18).entry(2**32 - 1, 1, BUFFER, 2048, 19)
    program.publish().kick().served().show(COM_TAIL - 4).commits(7).show(BUFFER, BUFFER + 2048 + 96, BUFFER + 2048 + 104)
    status, out, err = network.run(program)
    got = numbers(out)
    failures.check(status == 0 and got[0] >> 32 == 6, f"six commits, none for unknown operations: {out!r} {err!r}")
    seen = commit_list("\n".join(f"{n:x}" for n in got[1:15]))
    failures.check(seen == [(11, OK, 60), (12, OK, 100), (13, AGAIN, 0), (14, EINVAL, 0), (15, EINVAL, 0), (16, EINVAL, 0), (0, 0, 0)],
                   f"commits: {seen}")
    failures.check(got[15] == int.from_bytes(b"first111", "little") and got[16] == int.from_bytes(b"2222" + bytes(4), "little")
                   and got[17] == 0, f"contents, and nothing behind the buffer: {out!r}")

    # Nobody takes the commits: the guest overwrites its own, and that is all.
    program = Ring().entry(READ, 1, BUFFER, 2048, 5)
    done = 32
    while done < 32 * SLOTS:
        program("c", ENTRY + done, ENTRY, min(done, 32 * SLOTS - done))
        done *= 2
    for program.tail in (1000, 2000, 3000):
        program.publish().kick().served()
    status, out, err = Network().run(program.show(COM_TAIL - 4, COMMIT, COMMIT + 16 * 1023, RING + 49280))
    got = numbers(out)
    failures.check(status == 0 and got[0] >> 32 == 3000 and got[3] == 0, f"3000 commits: {status} {out!r} {err!r}")


def waiting():
    """POLL serves the ring, too: no kick is needed before it, and a read that waits there gets the frame."""
    network = Network()
    status, out, _ = network.run(Ring().put(BUFFER, b"x" * 64).entry(WRITE, 1, BUFFER, 60).publish().call(POLL, 0).show(ENT_HEAD))
    failures.check(status == 0 and network.frames() == [b"x" * 60] and numbers(out)[0] & 0xFFFFFFFF == 1, f"POLL sends: {out!r}")

    network = Network()
    program = Ring().call(PUTS, TEXT, 1)("u", NEEDS_KICK, 1).entry(READ, 1, BUFFER, 2048, 3).publish()
    program.call(POLL, 2**62).show(ARGUMENT + 8).commits(1).show(BUFFER)
    path = Image(interpreter, [("service", NET)]).write(os.path.join(folder.name, "guest.hvt"))
    with subprocess.Popen([tender, "--mem=8", f"--net:service=@{network.theirs.fileno()}", path, *str(program).split()],
                          stdout=subprocess.PIPE, pass_fds=[network.theirs.fileno()]) as process:
        process.stdout.read(1)
        network.socket.send(b"at last!".ljust(60))
        out = process.stdout.read().decode()
    got = numbers(out)
    failures.check(process.returncode == 0 and got[0] == 2 and commit_list("\n".join(out.split()[1:3])) == [(3, OK, 60)]
                   and got[3] == int.from_bytes(b"at last!", "little"), f"a read that waits in POLL: {out!r}")


def queue():
    """The tender has asked for the kernel's queue, or runs without it."""
    network = Network()
    path = Image(interpreter, [("service", NET)]).write(os.path.join(folder.name, "guest.hvt"))
    program = Ring().call(PUTS, TEXT, 1).call(POLL, 2**62)
    with subprocess.Popen([tender, "--mem=8", f"--net:service=@{network.theirs.fileno()}", path, *str(program).split()],
                          stdout=subprocess.PIPE, pass_fds=[network.theirs.fileno()]) as process:
        process.stdout.read(1)
        folder_of_descriptors = f"/proc/{process.pid}/fd"
        open_files = [os.readlink(os.path.join(folder_of_descriptors, fd)) for fd in os.listdir(folder_of_descriptors)]
        process.kill()
    failures.check(("anon_inode:[io_uring]" in open_files) == (not one_by_one), f"descriptors: {open_files}")


def lies():
    """Neither index nor address makes the tender leave the guest's memory: it ends, and says why."""
    def ends(what, program, pattern):
        status, out, err = Network().run(program)
        failures.check(status == 1 and pattern in err and err.startswith("mirage-hvt: "), f"{what}: {status} {err!r}")

    for tail in (1025, 5000, 2**31, 2**32 - 1):
        ends(f"tail {tail}", Ring().publish(tail).kick()("u", ENT_HEAD, 77), "index on the network ring is out of bounds")
        ends(f"tail {tail} in POLL", Ring().publish(tail).call(POLL, 2**62), "index on the network ring is out of bounds")
    ends("tail that goes back", Ring().entry(WRITE, 0, BUFFER, 0).entry(WRITE, 0, BUFFER, 0).publish().kick().served()
         .publish(1).kick()("u", ENT_HEAD, 77), "index on the network ring is out of bounds")
    for data, size in ((OUTSIDE, 1), (OUTSIDE - 1, 2), (RING, 64), (2**64 - 1, 64), (2**63, 64), (BUFFER, 2**32 - 1), (2**64 - 64, 2**32 - 1)):
        ends(f"write of {data:#x}, {size}", Ring().entry(WRITE, 1, data, size).publish().kick()("u", ENT_HEAD, 77),
             "a frame outside of its memory")
        ends(f"read to {data:#x}, {size}", Ring().entry(READ, 1, data, size).publish().kick()("u", ENT_HEAD, 77),
             "a buffer that it cannot write to")
    for data in (TEXT, TEXT + 4095, 0, 0x2000, 0x10000):
        ends(f"read to {data:#x}", Ring().entry(READ, 1, data, 64).publish().kick()("u", ENT_HEAD, 77), "a buffer that it cannot write to")
    # The tender's own indices are the tender's: what the guest writes there moves nothing.
    network = Network()
    program = Ring().put(BUFFER, b"y" * 64).entry(WRITE, 1, BUFFER, 60)("d", ENT_HEAD, 4000)("d", COM_TAIL, 2**32 - 1)("d", COM_HEAD, 9)
    status, _, err = network.run(program.publish().kick().served())
    failures.check(status == 0 and network.frames() == [b"y" * 60], f"indices that are not the guest's: {status} {err!r}")


if one_by_one:
    forbid_io_uring()
elif not kernel_has_io_uring():
    skip("this kernel has no io_uring, or forbids it: ring one-by-one tests what is left")
for part in (writes, reads, waiting, queue, lies):
    part()
failures.end()
