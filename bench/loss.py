#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Throughput over a bad cable: the host build of our stack against Linux to Linux, one connection, the same cable and seeds.

The cable (test/interop/impaired_link.cpp) delays each direction, loses and reorders; the client is Linux both times. Prints a
table of ratios: ours / Linux's, the median of the rounds. Needs root, for network namespaces."""

import argparse
import dataclasses
import itertools
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "test", "interop"))

from interop import MIB, Case, Skip  # noqa: E402
from testnet import Lab  # noqa: E402
from testnet.subjects import TRANSFER  # noqa: E402


def numbers(text):
    return [float(part) for part in text.split(",")]


def seconds(case, app, cable, octets, direction):
    """What one transfer takes, as curl measures it."""
    with Lab() as lab:
        running = case.start(lab, app, cable=cable)
        limit = ["-sSf", "--max-time", "280", "-o", os.devnull, "-w", "%{time_total}"]
        if direction == "down":
            said = running.client.run("curl", *limit, f"{running.url}/test/{octets}").stdout
        else:
            path, _ = case.stream_file(lab, octets)
            said = running.client.run("curl", *limit, "-H", "Expect:", "-T", path, running.url + "/upload").stdout
        return float(said)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="DIR", help="Meson's build directory")
    parser.add_argument("--target", default="host-tap", help="ours: host-tap, host-vnet or hvt-tap (host-tap)")
    parser.add_argument("--congestion", choices=("cubic", "bbr"), default="cubic", help="ours (cubic); Linux: as its kernel has it")
    parser.add_argument("--loss", type=numbers, default=numbers("0,0.1,1,3,10"), metavar="PERCENT,...")
    parser.add_argument("--delay", type=numbers, default=numbers("0,10,100"), metavar="MS,...", help="each way")
    parser.add_argument("--reorder", type=numbers, default=numbers("0,5"), metavar="PERCENT,...")
    parser.add_argument("--mib", type=float, default=8, help="size of a transfer (8)")
    parser.add_argument("--rounds", type=int, default=3, help="seeds for each cell (3)")
    options = parser.parse_args()
    octets = int(options.mib * MIB)
    app = TRANSFER if options.congestion == "cubic" else dataclasses.replace(TRANSFER, name="transfer-bbr")
    ours, linux = Case(options.build, options.target), Case(options.build, "linux")
    print(f"| loss % | delay ms | reorder % | down: ours | Linux | ratio | up: ours | Linux | ratio |\n{'|---' * 9}|")
    for loss, delay, reorder in itertools.product(options.loss, options.delay, options.reorder):
        cells = []
        for direction in ("down", "up"):
            rates, ratios = [], []
            for seed in range(1, options.rounds + 1):
                cable = [ours.program("test/interop", "impaired_link"), "--loss", loss, "--delay", delay, "--reorder", reorder,
                         "--seed", seed]
                pair = [octets * 8 / 1e6 / seconds(case, app, cable, octets, direction) for case in (ours, linux)]
                rates.append(pair)
                ratios.append(pair[0] / pair[1])
            cells += [f"{statistics.median(pair[0] for pair in rates):.1f} Mbit/s",
                      f"{statistics.median(pair[1] for pair in rates):.1f}", f"**{statistics.median(ratios):.2f}**"]
        print(f"| {loss:g} | {delay:g} | {reorder:g} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except Skip as reason:
        sys.exit(f"loss.py: {reason}")
