#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Solo5's own test guests end the same under our tender as under theirs.

usage: stock.py TENDER INTERPRETER

Needs a built Solo5 tree, which is not part of this project: SOLO5=/path/to/solo5 meson test stock-guests. What the guests
print has to be the same, too, but for addresses of this run. Which of them succeed depends on the machine's KVM."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from guest import Failures, need_kvm, run_raw, skip

tender = sys.argv[1]
tree = pathlib.Path(os.environ.get("SOLO5", "/nonexistent"))
theirs = tree / "tenders/hvt/solo5-hvt"
if not theirs.exists():
    skip("no Solo5 tree (set SOLO5 to one that is built)")
need_kvm(tender)
failures = Failures()
SIMPLE = {"hello": ["Hello_Solo5"], "quiet": ["--solo5:quiet"], "output": ["Output_Solo5"]}
NO_DEVICES = ("hello", "quiet", "output", "globals", "exception", "zeropage", "rnow", "xnow", "xnor", "rnox", "wnox", "notls", "tls",
              "ssp", "fpu", "time")


def said(octets):
    """The guest's words without what differs from run to run, and without the tender's."""
    lines = [line for line in octets.decode(errors="replace").splitlines() if "mirage-hvt" not in line and "solo5-hvt" not in line]
    return re.sub(r"\b(0x)?[0-9a-fA-F]{6,}\b|\d+", "#", "\n".join(lines))


def same(name, options, image, arguments=()):
    results = [run_raw([which, *options, image, *arguments]) for which in (theirs, tender)]
    (status, out, _), (our_status, our_out, our_err) = results
    failures.check(status == our_status, f"{name}: {our_status}, stock {status}: {our_err.decode(errors='replace')}")
    failures.check(said(out) == said(our_out), f"{name}: said {our_out!r}, stock {out!r}")
    print(f"{name}: {our_status}{' SUCCESS' if b'SUCCESS' in our_out else ''}")


def guest(name):
    return tree / f"tests/test_{name}/test_{name}.hvt"


with tempfile.TemporaryDirectory() as folder:
    for name in filter(lambda n: guest(n).exists(), NO_DEVICES):
        same(name, [], guest(name), SIMPLE.get(name, ()))
    for mem in (2, 64, 4096):
        same(f"hello --mem={mem}", [f"--mem={mem}"], guest("hello"), ["Hello_Solo5"])
    same("buggyelf", [], tree / "tests/test_buggyelf/buggyelf.hvt")
    disk = os.path.join(folder, "disk")
    with open(disk, "wb") as f:
        f.truncate(4 << 20)
    same("blk", [f"--block:storage={disk}"], guest("blk"))
    same("blk, sectors of 4096", [f"--block:storage={disk}", "--block-sector-size:storage=4096"], guest("blk"))
    # What theirs leave for gdb: the place of the exception is in the core, not that of the call which tells of it.
    status, _, err = run_raw([tender, f"--dumpcore={folder}", guest("exception")])
    core = re.search(rb"registers are in (\S+) ", err)
    failures.check(status == 255 and core is not None, f"a core: {status} {err}")
    if core and shutil.which("gdb"):
        done = subprocess.run(["gdb", "-q", "-nx", "-batch", "-ex", "backtrace", str(guest("exception")), core[1].decode()],
                              capture_output=True, text=True, timeout=60)
        failures.check("SIGSEGV" in done.stdout and "solo5_app_main" in done.stdout, f"{done.stdout}{done.stderr}")
    many = []
    for i in range(63):
        many.append(f"--block:storage{i}={folder}/{i}")
        subprocess.run(["truncate", "-s", "4096", f"{folder}/{i}"], check=True)
    same("mft_maxdevices", many, guest("mft_maxdevices"))
failures.end()
