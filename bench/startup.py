#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How long it takes from the tender's start to its guest's end, as a multiple of the least that KVM allows.

kvm-floor sets KVM up with the same memory, runs a guest of one instruction, and ends. Turns alternate, so
that a slow moment of the machine counts on both sides. Prints the median of each and the ratio of the medians; and the
least of each and their ratio, which is what a machine with nothing else to do comes close to.

  bench/startup.py BUILD                      kvm-floor, and mirage-hvt with hello.hvt, of a build directory
  bench/startup.py BUILD --tender solo5-hvt   beside them another tender, with the same guest
  bench/startup.py BUILD --most 1.2           status 1 when our ratio is above that
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time


def one(command, sink):
    """Elapsed seconds and processor seconds of one run, from before the fork to after the end of the process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    _, status, used = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {process.returncode}")
    return elapsed, used.ru_utime + used.ru_stime


def main():
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("build", type=pathlib.Path, help="build directory")
    options.add_argument("--guest", type=pathlib.Path, help="another than hello.hvt, that ends with 0")
    options.add_argument("--tender", action="append", default=[], help="one more to run the guest under")
    options.add_argument("--mem", type=int, default=512, help="MiB (default: the tender's, 512)")
    options.add_argument("--runs", type=int, default=100, help="of each (default 100)")
    options.add_argument("--most", type=float, help="fail when mirage-hvt's ratio is greater")
    args = options.parse_args()

    tenders = args.build / "platform/hvt/tender"
    guest = args.guest or args.build / "examples/hello/hello.hvt"
    commands = {"kvm-floor": [tenders / "kvm-floor", str(args.mem)]}
    for tender in [tenders / "mirage-hvt", *args.tender]:
        commands[pathlib.Path(tender).name] = [tender, f"--mem={args.mem}", guest]

    elapsed, used = {name: [] for name in commands}, {name: [] for name in commands}
    with open(os.devnull, "wb") as sink:
        for command in commands.values():
            one(command, sink)  # so that all of them are in the page cache
        names = list(commands)
        for turn in range(args.runs):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                seconds, processor = one(commands[name], sink)
                elapsed[name].append(seconds)
                used[name].append(processor)

    print(f"{args.runs} interleaved runs of each; guest {guest.name}, {args.mem} MiB")
    print(f"{'':12}{'median':>11}{'ratio':>7}{'least':>11}{'ratio':>7}{'processor':>12}{'ratio':>7}")
    ratio = {}
    for name in commands:
        line = f"{name:12}"
        for figure, of, width in ((statistics.median, elapsed, 8), (min, elapsed, 8), (statistics.median, used, 9)):
            value = figure(of[name])
            line += f"{value * 1e3:{width}.2f} ms{value / figure(of['kvm-floor']):7.2f}"
        print(line)
        ratio[name] = statistics.median(elapsed[name]) / statistics.median(elapsed["kvm-floor"])
    if args.most is not None and ratio["mirage-hvt"] > args.most:
        sys.exit(f"mirage-hvt takes {ratio['mirage-hvt']:.2f} times kvm-floor; asked for: {args.most} at most")


if __name__ == "__main__":
    main()
