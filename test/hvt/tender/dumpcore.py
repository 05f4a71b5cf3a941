#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--dumpcore: what a guest that ended badly leaves, as an ELF reader and as gdb see it.

usage: dumpcore.py TENDER INTERPRETER FAULTS"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

from guest import *

tender, interpreter, faults = sys.argv[1:4]
need_kvm(tender)
failures = Failures()
folder = tempfile.TemporaryDirectory()


def dump(*command, status=255):
    """The octets and the path of the core that the run has left."""
    got, out, err = run([tender, "--mem=8", f"--dumpcore={folder.name}", *command])
    failures.check(got == status, f"{command}: status {got}: {out}{err}")
    found = re.search(r"registers are in (\S+) ", err)
    failures.check(found is not None, f"{command}: nothing said: {err}")
    return (open(found[1], "rb").read(), found[1]) if found else (b"", "")


def parts_of(core):
    """The signal, the registers of struct user_regs_struct, and guest memory."""
    kind, machine = struct.unpack_from("<HH", core, 16)
    phoff, = struct.unpack_from("<Q", core, 32)
    failures.check((core[:4], kind, machine) == (b"\x7fELF", 4, 62), "an ELF core for x86-64")
    headers = [struct.unpack_from("<IIQQQQQQ", core, phoff + 56 * i) for i in range(2)]
    note, memory = headers
    name_size, size, number = struct.unpack_from("<III", core, note[2])
    failures.check((note[0], memory[0], name_size, size, number) == (PT_NOTE, PT_LOAD, 5, 336, 1), "its parts")
    failures.check((memory[3], memory[5], memory[6]) == (0, OUTSIDE, OUTSIDE), "all of memory")
    status = note[2] + 20
    return (struct.unpack_from("<h", core, status + 12)[0], struct.unpack_from("<27Q", core, status + 112),
            core[memory[2]:memory[2] + memory[5]])


def stopped():
    """KVM stops it: an access past memory, at ring 0 and without an IDT."""
    program = Program().put(BUFFER, b"find me!")("r", OUTSIDE)
    core, path = dump(interpreter, *str(program).split(), status=1)
    signal, registers, memory = parts_of(core)
    failures.check(signal == 11 and memory[BUFFER:BUFFER + 8] == b"find me!", f"signal {signal}")
    failures.check(TEXT <= registers[16] < TEXT + 0x1000 and registers[17] == 8, f"rip {registers[16]:#x}")
    failures.check(os.stat(path).st_blocks * 512 < OUTSIDE / 8 and os.stat(path).st_mode & 0o77 == 0, "sparse, and nobody else's")


def nothing():
    """A guest that ends well leaves no file; a folder that takes none is refused at once."""
    before = os.listdir(folder.name)
    for status in (0, 3):
        got, _, err = run([tender, "--mem=8", f"--dumpcore={folder.name}", interpreter, *str(Program().halt(status)).split()])
        failures.check(got == status and err == "", f"{got} {err}")
    failures.check(os.listdir(folder.name) == before, "no file")
    got, _, err = run([tender, f"--dumpcore={folder.name}/none", interpreter])
    failures.check(got == 1 and "none: No such file or directory" in err, err)


def in_gdb():
    """The place, the reason and the way there."""
    for fault, signal, patterns in (("null-write", "SIGSEGV", ["#0 ", "mirage_application", "mirage_hvt_start", "boot_run"]),
                                    ("divide", "SIGSEGV", ["#0 ", "mirage_application", "mirage_hvt_start"]),
                                    ("panic", "SIGABRT", ["panic", "mirage_application", "mirage_hvt_start"])):
        core, path = dump(faults, fault)
        parts_of(core)
        done = subprocess.run(["gdb", "-q", "-nx", "-batch", "-ex", "set width 0", "-ex", "backtrace", "-ex", "x/1xg 0x10000", faults, path],
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        said = done.stdout + done.stderr
        at = said.find(f"signal {signal}")
        failures.check(at >= 0, f"{fault}: {said}")
        for p in [*patterns, "0x10000:\t0x0000000000800000"]:
            at = said.find(p, max(at, 0))
            failures.check(at >= 0, f"{fault}: no {p!r} at its place in {said}")


parts = [stopped, nothing] + ([in_gdb] if shutil.which("gdb") else [])
for part in parts:
    part()
failures.end()
