#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Transfers with Linux where the subject controls congestion by a model of the path (BBR), over cables that Reno does not like."""

from interop import MIB, ended_well, equal, main
from testnet.subjects import App
from transfers import download, upload

MODELLING = App("transfer-bbr", "test/interop/appliance")


def transfers(lab, case, *impairments):
    """8 MiB each way, every octet verified, every frame judged."""
    case.needs("curl")
    running = case.start(lab, MODELLING, cable=[case.program("test/interop", "impaired_link"), *impairments])
    path, digest = case.stream_file(lab, 8 * MIB)
    with case.judged(running):
        equal(download(running, 8 * MIB), digest, "SHA-256 down")
        equal(upload(running, path), digest, "SHA-256 up")
    ended_well(running)


def over_a_path_that_loses_at_random(lab, case):
    transfers(lab, case, "--loss", 1, "--delay", 10, "--seed", 1)


def over_a_path_that_loses_much_and_reorders(lab, case):
    transfers(lab, case, "--loss", 5, "--delay", 5, "--reorder", 5, "--seed", 2)


def over_a_short_path(lab, case):
    transfers(lab, case, "--delay", 0)


if __name__ == "__main__":
    main(over_a_path_that_loses_at_random, over_a_path_that_loses_much_and_reorders, over_a_short_path)
