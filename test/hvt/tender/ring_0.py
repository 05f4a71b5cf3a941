#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A guest that stays in ring 0 (ring_0.S) sees the same when the tender has started it in ring 3.

usage: ring_0.py TENDER RING_0 INTERPRETER"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from guest import *

tender, guest, interpreter = sys.argv[1:4]
need_kvm(tender)
failures = Failures()
RESUME, IF = 0x10000, 0x200  # of RFLAGS
TABLES = [0x8B, 0x201000]  # a busy TSS; the base of the segment that "t" loads into FS
LINEAR = [0x2222, 0x2222, 0x3333]
IST = 8 * 8  # what is on the handler's stack, from its top on: vector and error code, and what the processor pushes


def symbol(name):
    listing = subprocess.run(["nm", guest], capture_output=True, text=True, check=True).stdout
    return int(re.search(rf"^([0-9a-f]+) . {name}$", listing, re.M)[1], 16)


def caught(vector, error=0, past=0, flags=RESUME):
    return [vector, error, past, 8, flags, 0, 16]


def page_fault(error, address):
    return [*caught(14, error), address, IST]


SSE = [0x4000000000000000, 0x41C8000040800000, 0x4280000041100000]
words = symbol("words")
HAS_XSAVE = re.search(r"^flags\t*:.* xsave ", open("/proc/cpuinfo").read(), re.M) is not None
# Letters, what they print, and whether a KVM that emulates ring 0 does it as processors do.
SEES = [
    ("t", [], True),
    ("tm", [words, *LINEAR, words + 8, 0x0018000812345678, 0x500], True),
    ("tv", [0x80010021, 0x80010039, 0x80010031, 0x1234, 0x620], True),
    ("tj", [0x1A], True),
    ("ta", caught(13) * (2 if HAS_XSAVE else 1), True),
    ("ts", SSE, False),
    ("tu", caught(6), True),
    ("td", caught(0), True),
    ("tb", caught(3, past=1, flags=0), False),
    ("ti", caught(0x30, past=2, flags=0), False),
    ("tp", page_fault(0, 8) + page_fault(3, 0x10000) + page_fault(0, 0x9000) + page_fault(2, 0x4000000000), True),
    ("tg", caught(13) + caught(13, 0x58) + caught(13) + caught(13), True),
    ("te", caught(6, flags=RESUME | IF) + caught(6, flags=RESUME | IF) + caught(6), True),
    ("tn", caught(11, 6 * 8 + 3), False),
    ("tf", caught(8), True),
    ("tw", page_fault(2, 0x7FF8), False),
    ("tubupt", caught(6) + caught(3, past=1, flags=0) + caught(6) + page_fault(0, 8) + page_fault(3, 0x10000)
     + page_fault(0, 0x9000) + page_fault(2, 0x4000000000) + TABLES, False),
]
STOPS = [
    ("k", "executed HLT"),
    ("o", "an OUT of 1 octets at port 0xf0 is no hypercall"),
    ("x", r"an instruction of ring 0 .*: 0f 33; start it with --ring=0"),
    ("c", r"loads page tables of its own.* --ring=0"),
    ("r", r"goes to ring 3 itself.* --ring=0"),
    ("l", "triple fault"),
    ("tl", "triple fault"),
]


def start(letters, *options, image=guest):
    return run([tender, "--mem=8", *options, image, letters])


def sees(letters, expected, *options):
    status, out, err = start(letters, *options)
    got = numbers(out) if status == 0 else out
    failures.check(status == 0 and got == TABLES + expected and err == "",
                   f"{letters} {options}: status {status} {err} {[hex(n) for n in got] if status == 0 else got},"
                   f" expected {[hex(n) for n in TABLES + expected]}")


status, _, err = start("ts", "--ring=0")
emulated = status != 0
failures.check(not emulated or "SSE at ring 0" in err, f"--ring=0: {status} {err}")
print("KVM emulates ring 0 here" if emulated else "KVM runs ring 0 here")
for letters, expected, even_emulated in SEES:
    sees(letters, expected, "--ring=3")
    if even_emulated or not emulated:
        sees(letters, expected, "--ring=0")
sees("ts", SSE)  # chosen by itself, on any machine
for letters, message in STOPS:
    status, _, err = start(letters, "--ring=3")
    failures.check(status == 1 and re.search(rf"the guest was stopped: .*{message}", err)
                   and "ring 0 (which runs in ring 3" in err, f"{letters}: {status} {err}")

# Those that do not say that they are Solo5's are left where the ABI starts them.
status, _, err = start("s", image=interpreter)
failures.check((status == 1 and "SSE at ring 0" in err and ", ring 0\n" in err) if emulated else status == 0,
               f"an image of somebody else's: {status} {err}")
status, _, err = start("s", "--ring=3", image=interpreter)
failures.check(status == 0, f"... when asked: {status} {err}")
for wrong in ("1", "", "3 ", "kernel"):
    status, _, err = start("t", f"--ring={wrong}")
    failures.check(status == 1 and "expected auto, 0 or 3" in err, f"--ring={wrong}: {status} {err}")

# What is left of one, and gdb, have the guest's view.
with tempfile.TemporaryDirectory() as folder:
    status, _, err = start("tk", "--ring=3", f"--dumpcore={folder}")
    core = re.search(r"registers are in (\S+) ", err)
    failures.check(status == 1 and core is not None, f"a core: {status} {err}")
    if core and shutil.which("gdb"):
        done = run(["gdb", "-q", "-nx", "-batch", "-ex", "print $cs", "-ex", "print $ss", "-ex", "x/i $pc", guest, core[1]])
        failures.check("= 8\n" in done[1] and "= 16\n" in done[1] and "hlt" in done[1], f"the core: {done}")
    if shutil.which("gdb"):
        where = os.path.join(folder, "socket")
        with subprocess.Popen([tender, "--mem=8", "--ring=3", f"--gdb={where}", guest, "tus"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:
            process.stderr.readline()  # it waits
            script = [f"target remote {where}", "print $cs", "break do_t", "continue", "stepi", "x/i $pc", "stepi", "stepi",
                      "stepi", "x/i $pc", "print $cs", "break do_s", "continue", "x/i $pc", "stepi", "print $xmm1.v4_float",
                      "delete", "continue"]
            done = run(["gdb", "-q", "-nx", "-batch", *sum((["-ex", line] for line in script), []), guest])
            out, err = process.communicate(timeout=60)
            failures.check(process.returncode == 0 and numbers(out) == TABLES + caught(6) + SSE,
                           f"in gdb: {process.returncode} {out} {err}")
            wanted = (r"= 8\n", r"Breakpoint 1, ", r"push +\$0x8", r"mov +\$0x10,%eax", r"Breakpoint 2, ",
                      r"\{2, 5, 3, 8\}", r"exited normally")
            for text in wanted:
                failures.check(re.search(text, done[1]), f"gdb says {text}: {done}")
failures.end()
