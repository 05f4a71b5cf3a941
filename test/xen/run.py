#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Xen suite: one boot of real Xen, many guests, one line of the report for each check.

With words, only the checks whose names contain one of them are done."""

import argparse
import os
import sys
import time

from suite import ROOT, Bed, Skip, Suite, requirements

import devices
import leaks
import lifecycle
import store

CHECKS = lifecycle.CHECKS + store.CHECKS + devices.CHECKS + leaks.CHECKS + devices.LAST_CHECKS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="DIR", help="Meson's build directory")
    parser.add_argument("--list", action="store_true", help="only name the checks")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    chosen = [one for one in CHECKS if not options.words
              or any(word.replace(" ", "_") in one.__name__ for word in options.words)]
    if options.list:
        print("\n".join(one.__name__ for one in chosen))
        return 0
    begin = time.monotonic()

    def progress(text):
        print(f"# {time.monotonic() - begin:.1f} s: {text}", flush=True)
    try:
        requirements()
        with Bed(progress=progress) as bed:
            print(f"1..{len(chosen)}")
            suite = Suite(bed, os.path.abspath(options.build))
            suite.tidy()
            failed = suite.perform(chosen)
    except Skip as reason:
        print(f"1..0 # SKIP {reason}")
        return 0
    progress(f"{failed} of {len(chosen)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
