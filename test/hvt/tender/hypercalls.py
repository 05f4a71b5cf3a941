#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every hypercall, used as the ABI says and otherwise; boot information; disks.

usage: hypercalls.py TENDER INTERPRETER"""
import os
import re
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
BOOT = 0x10000


def image(*devices):
    return Image(interpreter, devices).write(os.path.join(folder.name, "guest.hvt"))


def guest(program, *options, devices=(), mem=MEMORY, **more):
    return run([tender, f"--mem={mem}", *options, "--", image(*devices), *str(program).split()], **more)


def expect(what, program, *patterns_or_numbers, status=0, options=(), devices=()):
    got, out, err = guest(program, *options, devices=devices)
    failures.check(got == status, f"{what}: status {got}, not {status}; {out!r} {err!r}")
    failures.check(numbers(out) == list(patterns_or_numbers), f"{what}: {out!r}, not {patterns_or_numbers}")


def stopped(what, program, pattern, options=(), devices=()):
    """The guest broke the contract: a report, and status 1."""
    status, out, err = guest(program, *options, devices=devices)
    failures.check(status == 1 and re.search(r"the guest was stopped: .*" + pattern, err) and re.search(r"rip [0-9a-f]{16}", err),
                   f"{what}: status {status}, {err!r}, expected /{pattern}/")


def halt():
    for status in (0, 1, 42, 254, 255):
        got, out, err = guest(Program().halt(status))
        failures.check((got, out, err) == (status, "", ""), f"HALT {status}: {got} {out!r} {err!r}")
    got, _, _ = guest(Program().halt(-1))
    failures.check(got == 255, f"HALT -1: {got}")
    got, _, _ = guest("")
    failures.check(got == 0, f"an empty program: {got}")


def boot_information():
    expect("memory", Program().show(BOOT), MEMORY << 20)
    expect("command line", Program().show(BOOT + 24), BOOT + 56 + 8 + 104)
    expect("features without network", Program().show(BOOT + 40, BOOT + 48), 0, 0)
    status, out, _ = guest(Program().show(BOOT + 8, BOOT + 16, BOOT + 32))
    end, frequency, mft = numbers(out)
    failures.check(end == 0x201000, f"kernel_end {end:#x}")
    failures.check(10**8 < frequency < 10**10, f"TSC of {frequency} Hz")
    failures.check(mft == BOOT + 56, f"manifest at {mft:#x}")
    status, out, _ = guest(Program()("p", BOOT + 168, 30))
    failures.check(out == "p 100a8 1e" + "\0" * 20, f"command line {out!r}")
    status, out, err = guest(Program().show(BOOT), mem=7)
    failures.check(numbers(out) == [6 << 20] and "using 6" in err, f"--mem=7: {out!r} {err!r}")
    for mem in (4, 4096):
        status, out, _ = guest(Program().show(BOOT), mem=mem)
        failures.check(numbers(out) == [mem << 20], f"--mem={mem}: {out!r}")
    # Everything else begins with zeroes, to the end of memory.
    expect("zeroes", Program().show(0x300000, OUTSIDE - 8), 0, 0)
    # A bss of its own, which the file does not hold.
    bss = Image(interpreter)
    bss.segments[1]["memsz"] = 0x3000
    path = bss.write(os.path.join(folder.name, "bss.hvt"))
    status, out, _ = run([tender, "--mem=8", path, *str(Program().show(0x202FF8, BOOT + 8)).split()])
    failures.check(numbers(out) == [0, 0x203000], f"bss: {out!r}")
    # As long as it may be; loader.py tries one more.
    text = "p 100a8 1fff h 5 0 "
    text += "0" * (8191 - len(text))
    status, out, _ = run([tender, "--mem=8", image(), *text.split()])
    failures.check(status == 5 and out == text, f"long command line: {status}, {len(out)}")


def walltime():
    before = time.time_ns()
    _, out, _ = guest(Program().call(WALLTIME).show(ARGUMENT))
    failures.check(before <= numbers(out)[0] <= time.time_ns(), f"WALLTIME {out!r}")
    _, out, _ = guest(Program()("o", WALLTIME, OUTSIDE - 8).show(OUTSIDE - 8))
    failures.check(numbers(out)[0] > before, f"WALLTIME into the last octets: {out!r}")
    stopped("WALLTIME outside", Program()("o", WALLTIME, OUTSIDE), "WALLTIME: an address outside")
    stopped("WALLTIME half outside", Program()("o", WALLTIME, OUTSIDE - 4), "WALLTIME: an address outside")
    stopped("WALLTIME into the program", Program()("o", WALLTIME, TEXT), "WALLTIME: an address")
    stopped("WALLTIME into the page tables", Program()("o", WALLTIME, 0x2000), "WALLTIME: an address")


def puts():
    text = b"a text with \0 and \xff in it\n"
    program = Program().put(BUFFER, text).call(PUTS, BUFFER, len(text)).call(PUTS, BUFFER, 0).call(PUTS, OUTSIDE, 0)
    got, out, _ = run_raw([tender, "--mem=8", image(), *str(program).split()])
    failures.check(got == 0 and out == text, f"PUTS {out!r}")
    megabyte = Program().call(PUTS, 0x400000, 1 << 20)
    got, out, _ = guest(megabyte)
    failures.check(out == "\0" * (1 << 20), f"PUTS of a MiB: {len(out)}")
    stopped("PUTS outside", Program().call(PUTS, OUTSIDE, 1), "PUTS: an address outside")
    stopped("PUTS across the end", Program().call(PUTS, OUTSIDE - 8, 9), "PUTS: an address outside")
    stopped("PUTS that wraps", Program().call(PUTS, BUFFER, 2**64 - BUFFER), "PUTS: an address outside")
    stopped("PUTS of everything", Program().call(PUTS, 2**64 - 1, 2**64 - 1), "PUTS: an address outside")
    stopped("PUTS argument outside", Program()("o", PUTS, OUTSIDE - 8), "PUTS: an address outside")
    # Nobody reads: not the guest's fault.
    with open("/dev/full", "wb") as full:
        done = subprocess.run([tender, "--mem=8", image(), *str(Program().call(PUTS, BUFFER, 5).halt(3)).split()], stdout=full)
    failures.check(done.returncode == 3, f"PUTS to a full disk: {done.returncode}")


def ports():
    for port in (0x500, 0x509, 0x80, 0x604, 0xFFFF):
        stopped(f"port {port:#x}", Program()("o", port, ARGUMENT), rf"an OUT to port 0x{port:x}, which is no hypercall")
    stopped("kick without ring", Program()("o", KICK, 0), "an OUT to port 0x600")
    stopped("an octet", Program()("a", PUTS, 0), "an OUT of 1 octets at port 0x502 is no hypercall")
    stopped("an IN", Program()("i", PUTS), "an IN of 4 octets at port 0x502 is no hypercall")


def poll():
    started = time.monotonic_ns()
    expect("POLL sleeps", Program().call(POLL, 20_000_000).show(ARGUMENT + 8)("d", ARGUMENT + 20, 0).show(ARGUMENT + 16), 0, 0)
    failures.check(time.monotonic_ns() - started >= 20_000_000, "POLL slept too little")
    expect("POLL looks", Program().call(POLL, 0).show(ARGUMENT + 8), 0)
    stopped("POLL outside", Program()("o", POLL, OUTSIDE - 16), "POLL: an address outside")


def disks():
    disk = os.path.join(folder.name, "disk")
    content = os.urandom(64 << 10)
    with open(disk, "wb") as f:
        f.write(content)
    options, devices = (f"--block:storage={disk}",), [("storage", BLOCK)]
    entry_at = BOOT + 56 + 8 + 104
    _, out, _ = guest(Program().show(entry_at + 72, entry_at + 80, entry_at + 96), *options, devices=devices)
    capacity, size, attached = numbers(out)
    failures.check((capacity, size & 0xFFFF, attached & 0xFF) == (64 << 10, 512, 1), f"manifest: {out!r}")
    _, out, _ = guest(Program().show(entry_at + 80), *options, "--block-sector-size:storage=4096", devices=devices)
    failures.check(numbers(out)[0] & 0xFFFF == 4096, f"sector size: {out!r}")

    for offset, length in ((0, 512), (512, 512), (0, 64 << 10), (1024, 32 << 10), (63 << 10, 1024)):
        program = Program().call(BLOCK_READ, 1, offset, BUFFER, length, 99).call(PUTS, BUFFER, length, at=ARGUMENT + 64).show(ARGUMENT + 32)
        got, out, _ = run_raw([tender, "--mem=8", *options, image(*devices), *str(program).split()])
        failures.check(out[:length] == content[offset:offset + length], f"BLOCK_READ {offset} {length}: content")
        failures.check(int(out[length:], 16) & 0xFFFFFFFF == OK, f"BLOCK_READ {offset} {length}: {out[length:]!r}")
    # Writes: 48 KiB of the program's own choice at once.
    mark = b"written "
    expect("BLOCK_WRITE", Program().put(BUFFER, mark).put(BUFFER + (48 << 10) - 8, mark)
           .call(BLOCK_WRITE, 1, 8192, BUFFER, 48 << 10, 0).show(ARGUMENT + 32), OK, options=options, devices=devices)
    now = open(disk, "rb").read()
    failures.check(now[:8192] + now[56 << 10:] == content[:8192] + content[56 << 10:], "BLOCK_WRITE wrote elsewhere")
    failures.check(now[8192:8200] == mark and now[(56 << 10) - 8:56 << 10] == mark, "BLOCK_WRITE wrote something else")

    for handle, offset, length in ((0, 0, 512), (2, 0, 512), (63, 0, 512), (2**64 - 1, 0, 512), (2**32 + 1, 0, 512),
                                   (1, 64 << 10, 512), (1, 64 << 10, 0), (1, (64 << 10) - 511, 512), (1, 2**64 - 512, 512),
                                   (1, 0, (64 << 10) + 512), (1, 2**63, 512)):
        for port in (BLOCK_READ, BLOCK_WRITE):
            expect(f"{port:#x} of handle {handle} at {offset:#x}, {length}",
                   Program().call(port, handle, offset, BUFFER, length, 0).show(ARGUMENT + 32), EINVAL, options=options, devices=devices)
    failures.check(open(disk, "rb").read() == now, "a refused BLOCK_WRITE wrote")
    for name, port in (("BLOCK_READ", BLOCK_READ), ("BLOCK_WRITE", BLOCK_WRITE)):
        for data, length in ((OUTSIDE, 512), (OUTSIDE - 256, 512), (2**64 - 256, 512), (BUFFER, 2**63)):
            stopped(f"{name} at {data:#x}, {length}", Program().call(port, 1, 0, data, length, 0), rf"{name}: an address outside",
                    options, devices)
    stopped("BLOCK_READ into the program", Program().call(BLOCK_READ, 1, 0, TEXT, 512, 0), "BLOCK_READ: an address", options, devices)
    expect("BLOCK_WRITE of the program", Program().call(BLOCK_WRITE, 1, 0, TEXT, 512, 0).show(ARGUMENT + 32), OK,
           options=options, devices=devices)
    # The host's disk gives out: the guest is told, and goes on.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told = Program().call(PUTS, TEXT, 1).call(POLL, 2**62).call(BLOCK_READ, 1, 32 << 10, BUFFER, 512, 0).show(ARGUMENT + 32)
    with subprocess.Popen([tender, "--mem=8", *options, f"--net:service=@{theirs.fileno()}", image(*devices, ("service", NET)),
                           *str(told).split()], stdout=subprocess.PIPE, pass_fds=[theirs.fileno()]) as process:
        process.stdout.read(1)
        os.truncate(disk, 4096)
        ours.send(b"go on".ljust(60))
        out = process.stdout.read()
    failures.check(process.returncode == 0 and int(out, 16) == EUNSPEC, f"BLOCK_READ of a disk that shrank: {out!r}")
    expect("no disk", Program().call(BLOCK_READ, 1, 0, BUFFER, 512, 0).show(ARGUMENT + 32), EINVAL)


def frames():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    options, devices = (f"--net:service=@{theirs.fileno()}", "--net-mac:service=02:00:00:00:00:2a"), [("service", NET)]
    more = dict(pass_fds=[theirs.fileno()])
    entry_at = BOOT + 56 + 8 + 104
    _, out, err = guest(Program().show(entry_at + 72, BOOT, BOOT + 40, BOOT + 48), *options, devices=devices, **more)
    properties, memory, features, ring = numbers(out)
    failures.check(properties.to_bytes(8, "little") == bytes.fromhex("02000000002a") + struct.pack("<H", 1500), f"{properties:x}")
    failures.check(memory == OUTSIDE and features & 1 == 1 and ring == OUTSIDE, f"ring: {out!r}")

    frame = bytes(range(100))
    program = Program().put(BUFFER, frame).call(NET_WRITE, 1, BUFFER, 100, 99).show(ARGUMENT + 24)
    _, out, _ = guest(program, *options, devices=devices, **more)
    failures.check(numbers(out) == [OK] and ours.recv(2000) == frame, f"NET_WRITE {out!r}")

    program = (Program().call(NET_READ, 1, BUFFER, 2000, 99).show(ARGUMENT + 24, ARGUMENT + 16)
               .call(POLL, 10**10).show(ARGUMENT + 8))
    _, out, _ = guest(Program().call(NET_READ, 1, BUFFER, 2000, 99).show(ARGUMENT + 24, ARGUMENT + 16), *options, devices=devices, **more)
    failures.check(numbers(out) == [AGAIN, 2000], f"NET_READ of nothing: {out!r}")
    ours.send(frame)
    ours.send(frame * 3)
    ours.send(frame * 4)
    program = (Program().call(POLL, 10**10).show(ARGUMENT + 8).call(NET_READ, 1, BUFFER, 2000, 99).show(ARGUMENT + 24, ARGUMENT + 16, BUFFER)
               .call(NET_READ, 1, BUFFER, 64, 99).show(ARGUMENT + 16, BUFFER + 56, BUFFER + 64)
               .call(NET_READ, 1, BUFFER, 0, 99).show(ARGUMENT + 24).call(NET_READ, 1, BUFFER, 2000, 0).show(ARGUMENT + 16))
    _, out, _ = guest(program, *options, devices=devices, **more)
    word = lambda at: int.from_bytes(frame[at:at + 8], "little")
    failures.check(numbers(out) == [2, OK, 100, word(0), 64, word(56), word(64), AGAIN, 400], f"NET_READ {out!r}")

    for port in (NET_READ, NET_WRITE):
        for handle in (0, 2, 64, 2**64 - 1):
            _, out, _ = guest(Program().call(port, handle, BUFFER, 64, 0).show(ARGUMENT + 24), *options, devices=devices, **more)
            failures.check(numbers(out) == [EINVAL], f"{port:#x} of handle {handle}: {out!r}")
        for data, length in ((OUTSIDE, 60), (OUTSIDE - 59, 60), (2**64 - 1, 60), (BUFFER, 2**64 - 1)):
            status, _, err = guest(Program().call(port, 1, data, length, 0), *options, devices=devices, **more)
            failures.check(status == 1 and "an address outside" in err, f"{port:#x} at {data:#x}, {length}: {status} {err!r}")
    status, _, err = guest(Program().call(NET_READ, 1, TEXT, 64, 0), *options, devices=devices, **more)
    failures.check(status == 1 and "NET_READ: an address" in err, f"NET_READ into the program: {status} {err!r}")
    # The other end goes away: said once, and the guest sees an empty network, without a busy POLL.
    theirs2 = theirs.dup()
    ours.close()
    program = Program()
    for _ in range(3):
        program.call(NET_READ, 1, BUFFER, 2000, 0).show(ARGUMENT + 24).call(NET_WRITE, 1, BUFFER, 60, 0)
    program.call(POLL, 1000).call(POLL, 1000).show(ARGUMENT + 8)
    status, out, err = run([tender, "--mem=8", f"--net:service=@{theirs2.fileno()}", image(*devices), *str(program).split()],
                           pass_fds=[theirs2.fileno()])
    failures.check(status == 0 and numbers(out) == [AGAIN] * 3 + [0] and err.count("the interface is gone") == 1,
                   f"a link that went away: {status} {out!r} {err!r}")


for part in (halt, boot_information, walltime, puts, ports, poll, disks, frames):
    part()
failures.end()
