#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/clock against this machine's clock: UTC is between before and after, time goes on, no tick is early.

usage: clocks.py IMAGE [TENDER]"""
import datetime
import os
import re
import subprocess
import sys
import time

IMAGE, TENDER = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
INTERVAL, TICKS = 0.05, 4


def main():
    if TENDER and subprocess.run([os.path.join(os.path.dirname(TENDER), "kvm-floor")], capture_output=True).returncode != 0:
        print("SKIP: KVM does not work here")
        sys.exit(77)
    command = [TENDER, "--mem=2", "--", IMAGE] if TENDER else [IMAGE]
    before = time.time()
    done = subprocess.run([*command, f"--ticks={TICKS}", f"--interval={int(INTERVAL * 1000)}ms"], capture_output=True,
                          text=True, timeout=60)
    after = time.time()
    print(done.stdout, done.stderr, sep="")
    assert done.returncode == 0, f"status {done.returncode}"
    ticks = [(datetime.datetime.fromisoformat(wall).timestamp(), float(boot))
             for wall, boot in re.findall(r"clock: (\S+Z), (\d+\.\d{6}) s since boot, .* late$", done.stdout, re.M)]
    assert len(ticks) == TICKS, f"{len(ticks)} ticks"
    walls, boots = [before, *(t[0] for t in ticks), after], [0, *(t[1] for t in ticks)]
    assert walls == sorted(walls), f"UTC goes back, or is not this machine's: {walls}"
    assert all(boots[n] >= n * INTERVAL for n in range(1, TICKS + 1)), f"a tick is early: {boots}"
    assert boots == sorted(boots), f"time since boot goes back: {boots}"
    assert f"clock: {TICKS} ticks, the latest by " in done.stdout
    print("ok")


main()
