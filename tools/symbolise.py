#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts names to the addresses of a guest's fault report.

usage: symbolise.py IMAGE [FILE...]     (or: xl console NAME | symbolise.py IMAGE)

Copies what it reads; behind each "backtrace:" line come one line for each address in it, with function, file and
line. IMAGE is the one that ran, with its symbols."""
import argparse
import fileinput
import re
import shutil
import subprocess
import sys

BACKTRACE = re.compile(r"backtrace:((?: 0x[0-9a-f]+)+)\s*$")


def describe(image, addresses):
    """One text for each address; those but the first are return addresses: what called is the instruction before."""
    at = [hex(a - (i > 0)) for i, a in enumerate(addresses)]
    done = subprocess.run(["addr2line", "-Cfip", "-e", image, *at], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"symbolise: {done.stderr.strip()}")
    texts = []
    for line in done.stdout.splitlines():
        if line.startswith(" (inlined by)") and texts:
            texts[-1] += "\n          " + line.strip()
        else:
            texts.append(line)
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("files", nargs="*")
    asked = parser.parse_args()
    if not shutil.which("addr2line"):
        sys.exit("symbolise: there is no addr2line here (Debian: binutils)")
    for line in fileinput.input(asked.files, encoding="utf-8", errors="replace"):
        sys.stdout.write(line)
        if m := BACKTRACE.search(line):
            addresses = [int(a, 16) for a in m[1].split()]
            for address, text in zip(addresses, describe(asked.image, addresses)):
                print(f"  {address:#010x}  {text}")
        sys.stdout.flush()


main()
