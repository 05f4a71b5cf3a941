#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots an image and compares what it says and how it ends.

usage: runs.py TENDER IMAGE [--mem=MIB] [--disk=OCTETS] [--status=N] [--expect=REGEX]... [-- ARGUMENTS]"""
import argparse
import os
import re
import subprocess
import sys
import tempfile


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tender")
    parser.add_argument("image")
    parser.add_argument("--mem", type=int, default=2)
    parser.add_argument("--disk", type=int)
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--expect", action="append", default=[])
    own, _, arguments = "\0".join(sys.argv[1:]).partition("\0--\0")
    options = parser.parse_args(own.split("\0"))
    if not options.tender or not os.access(options.tender, os.X_OK):
        skip("the tender is not there")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        skip("no usable /dev/kvm")

    with tempfile.NamedTemporaryFile() as disk:
        command = [options.tender, f"--mem={options.mem}"]
        if options.disk:
            disk.truncate(options.disk)
            command.append(f"--block:disk={disk.name}")
        done = subprocess.run([*command, options.image, *filter(None, arguments.split("\0"))], capture_output=True, text=True, timeout=300)
    print(done.stdout, done.stderr, sep="")
    wrong = [f"status {done.returncode}, not {options.status}"] if done.returncode != options.status else []
    wrong += [f"no match for {e!r}" for e in options.expect if not re.search(e, done.stdout, re.M)]
    for w in wrong:
        print("FAILED:", w)
    sys.exit(1 if wrong else 0)


main()
