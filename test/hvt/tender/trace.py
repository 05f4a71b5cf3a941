#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--trace: each call of a guest with its time, arguments, result and duration.

usage: trace.py TENDER INTERPRETER"""
import os
import re
import socket
import sys
import tempfile

from guest import *

tender, interpreter = sys.argv[1:3]
need_kvm(tender)
failures = Failures()
folder = tempfile.TemporaryDirectory()
TIME = r"\d+\.\d{6}"


def check(lines, patterns):
    failures.check(len(lines) == len(patterns), f"{len(lines)} lines, not {len(patterns)}: {lines}")
    last = 0.0
    for line, pattern in zip(lines, patterns):
        failures.check(re.fullmatch(f"{TIME} {pattern} <{TIME}>", line) is not None, f"{line!r} is not {pattern!r}")
        failures.check(float(line.split()[0]) >= last, f"{line!r}: time goes back")
        last = float(line.split()[0])


def every_call():
    disk = os.path.join(folder.name, "disk")
    with open(disk, "wb") as f:
        f.truncate(1 << 20)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(b"i" * 60)
    image = Image(interpreter, [("service", NET), ("disk", BLOCK)]).write(os.path.join(folder.name, "guest.hvt"))
    program = (Program().put(BUFFER, b'a\n"\x1b[m' + b"b" * 58).call(PUTS, BUFFER, 64).call(PUTS, BUFFER, 3).call(WALLTIME, 0)
               .call(NET_READ, 1, BUFFER, 2000, 9).call(NET_READ, 1, BUFFER, 2000, 9).call(NET_WRITE, 1, BUFFER, 64, 9)
               .call(BLOCK_WRITE, 2, 512, BUFFER, 512, 9).call(BLOCK_READ, 2, 1 << 20, BUFFER, 512, 9).call(BLOCK_READ, 7, 0, BUFFER, 512, 9)
               .call(POLL, 1500).halt(5))
    output = os.path.join(folder.name, "calls")
    status, out, err = run([tender, "--mem=8", f"--trace={output}", f"--net:service=@{theirs.fileno()}", f"--block:disk={disk}", image,
                            *str(program).split()], pass_fds=[theirs.fileno()])
    failures.check(status == 5 and err == "", f"{status} {err}")
    at = f"{BUFFER:#x}"
    check(open(output).read().splitlines(), [
        r'PUTS\("a\\n\\"\.\[m' + "b" * 42 + r'"\.\.\., 64\)', r'PUTS\("a\\n\\"", 3\)', r"WALLTIME\(\) = 1\d{9}\.\d{9}",
        rf"NET_READ\(1, {at}, 2000\) = OK, 60", rf"NET_READ\(1, {at}, 2000\) = AGAIN", rf"NET_WRITE\(1, {at}, 64\) = OK",
        rf"BLOCK_WRITE\(2, {at}, 512, at 512\) = OK", rf"BLOCK_READ\(2, {at}, 512, at 1048576\) = EINVAL",
        rf"BLOCK_READ\(7, {at}, 512, at 0\) = EINVAL", r"POLL\(0\.000001500 s\) = 0, ready 0x0", r"HALT\(5, 0x0\)"])


def what_is_none():
    """A call that ends the guest is the last line; and standard error is there for all of it."""
    for program, pattern in [(Program()("o", PUTS, OUTSIDE), r"PUTS\(\)"), (Program()("o", 0x509, 0), r"OUT 0x509\(0x0\)"),
                             (Program()("o", BLOCK_READ, OUTSIDE), r"BLOCK_READ\(\)"), (Program()("o", NET_READ, OUTSIDE), r"NET_READ\(\)")]:
        status, _, err = run([tender, "--mem=8", "--trace", interpreter, *str(program).split()])
        failures.check(status == 1, f"{program}: {status}")
        check(err.splitlines()[:1], [pattern])
    status, _, err = run([tender, f"--trace={folder.name}/none/there", interpreter])
    failures.check(status == 1 and "No such file" in err, err)
    failures.check(run([tender, "--mem=8", interpreter, *str(Program().halt(0)).split()]) == (0, "", ""), "not asked, not told")


for part in (every_call, what_is_none):
    part()
failures.end()
