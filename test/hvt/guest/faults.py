#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every wrong thing a guest can do ends in the report that names it, and in status 255.

usage: faults.py TENDER IMAGE"""
import os
import re
import subprocess
import sys

# name of the fault: what the report must say (regular expressions; all of them)
EXPECTED = {
    "null-read": [r"page fault \(vector 14", r"null dereference: read of 0x0+8, "],
    "null-write": [r"null dereference: write to 0x0+8, "],
    "null-call": [r"null dereference: jump to 0x0+, "],
    "low-memory": [r"read of 0x0+2000, in the null page or other low memory"],
    "boot-information": [r"write to read-only memory: write to 0x0+10000, in boot information"],
    "text": [r"write to read-only memory: .* in program text"],
    "constant": [r"write to read-only memory: .* in read-only data"],
    "idt": [r"write to read-only memory: .* in read-only data"],
    "tss": [r"write to read-only memory: .* in read-only data"],
    "gdt": [r"write to read-only memory: .* in the GDT"],
    "page-tables": [r"write to 0x[0-9a-f]+, in the page tables"],
    "boot-page-tables": [r"write to 0x[0-9a-f]+, in the page tables"],
    "execute-data": [r"execution of data: jump to 0x[0-9a-f]+, in data"],
    "execute-stack": [r"execution of data: jump to 0x[0-9a-f]+, in the main stack"],
    "execute-heap": [r"execution of data: jump to 0x[0-9a-f]+, in the heap"],
    "execute-constant": [r"execution of data: jump to 0x[0-9a-f]+, in read-only data"],
    "past-memory": [r"page fault", r"past the end of memory"],
    "non-canonical": [r"general protection fault"],
    "stack-overflow": [r"stack overflow: write to 0x[0-9a-f]+, in the guard page below the main stack"],
    "stack-overflow-at-once": [r"stack overflow: .* in the guard page below the main stack"],
    "below-trap-stack": [r"in the guard page below the trap stack"],
    "smash": [r"panic: stack smashed"],
    "ud2": [r"invalid opcode \(vector 6,"],
    "divide": [r"division error \(vector 0,"],
    "breakpoint": [r"breakpoint \(vector 3,"],
    "int": [r"general protection fault \(vector 13,|invalid opcode \(vector 6,"],
    "halt": [r"general protection fault", r"a privileged instruction"],
    "read-cr3": [r"general protection fault", r"a privileged instruction"],
    "load-cr3": [r"general protection fault", r"a privileged instruction"],
    "wrmsr": [r"general protection fault", r"a privileged instruction"],
    "port-80": [r"general protection fault", r"a port that is not a hypercall"],
    "port-500": [r"general protection fault", r"a port that is not a hypercall"],
    "port-509": [r"general protection fault", r"a port that is not a hypercall"],
    "port-604": [r"general protection fault", r"a port that is not a hypercall"],
    "port-ffff": [r"general protection fault", r"a port that is not a hypercall"],
    "simd": [r"SIMD error \(vector 19,"],
    "panic": [r"panic: for the test\n  at .*misdeeds\.hpp:\d+\n"],
    "check": [r"panic: variable is eight\n  at .*misdeeds\.hpp:\d+\n"],
    "out-of-memory": [r"panic: out of memory", r"--mem"],
    "free-twice": [r"panic: heap: freed twice"],
    "free-elsewhere": [r"panic: heap: freed an address that is not of the heap"],
    "seal-again": [r"page fault", r"in the page tables"],
}


def run(tender, image, *arguments):
    done = subprocess.run([tender, "--mem=4", image, *arguments], capture_output=True, timeout=100)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def functions(image):
    """Address ranges of the image's functions, for the backtrace."""
    table = subprocess.run(["nm", "-S", "-C", image], capture_output=True, text=True, check=True).stdout
    found = []
    for line in table.splitlines():
        m = re.match(r"([0-9a-f]+) ([0-9a-f]+) [tTwW] (.*)", line)
        if m:
            found.append((int(m[1], 16), int(m[1], 16) + int(m[2], 16), m[3]))
    return found


def main():
    tender, image = sys.argv[1:3]
    if not tender or not os.access(tender, os.X_OK):
        print("SKIP: the tender is not there")
        sys.exit(77)
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("SKIP: no usable /dev/kvm")
        sys.exit(77)

    status, out, _ = run(tender, image)
    assert status == 0, f"the list of faults: status {status}"
    assert set(out.split()) == set(EXPECTED), f"untested: {set(out.split()) ^ set(EXPECTED)}"

    names = functions(image)
    failures = 0
    for fault, patterns in EXPECTED.items():
        status, out, err = run(tender, image, fault)
        wrong = [p for p in patterns if not re.search(p, out)]
        if not out.startswith(f"about to: {fault}\n"):
            wrong.append("what was written before the fault, in front of its report")
        if status != 255:
            wrong.append(f"status 255, not {status}")
        trace = re.search(r"^backtrace:((?: 0x[0-9a-f]{8})*)$", out, re.M)
        if not trace:
            wrong.append("a backtrace")
        elif fault not in ("null-call", "stack-overflow", "smash", "seal-again") and "execute" not in fault:
            places = [int(a, 16) for a in trace[1].split()]
            chain = [n for a in places for low, high, n in names if low <= a < high]
            if not any("mirage_application" in n for n in chain):
                wrong.append(f"mirage_application in the backtrace, not {chain}")
        if wrong:
            failures += 1
            print(f"--- {fault}: expected", *wrong, sep="\n    ")
            if failures <= 3:
                print(out, err)
    print(f"{len(EXPECTED) - failures} of {len(EXPECTED)} faults reported as they should be")
    sys.exit(1 if failures else 0)


main()
