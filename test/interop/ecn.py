#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Explicit Congestion Notification with Linux (RFC 3168), over a cable that marks."""

import os

from interop import HERE, MIB, check, ended_well, equal, main
from testnet.capture import count
from testnet.subjects import CLIENT, SUBJECT, TRANSFER
from transfers import download, upload

FROM_SUBJECT, FROM_CLIENT = f"ip.src == {SUBJECT}", f"ip.src == {CLIENT}"
TEXT = "tcp.len > 0"


def transferred(lab, case, asks):
    """8 MiB each way, with a client that asks for ECN or does not: the capture."""
    case.needs("curl")
    running = case.start(lab, TRANSFER, cable=[os.path.join(HERE, "marking_cable.py"), 50])
    running.client.run("sysctl", "-qw", f"net.ipv4.tcp_ecn={int(asks)}")
    path, digest = case.stream_file(lab, 8 * MIB)
    with case.judged(running) as capture:
        equal(download(running, 8 * MIB), digest, "SHA-256 down")
        equal(upload(running, path), digest, "SHA-256 up")
    ended_well(running)

    def seen(*conditions):
        return count(capture.path, " && ".join(conditions))
    return seen


def marks_are_heard_and_echoed(lab, case):
    seen = transferred(lab, case, asks=True)
    equal(seen(FROM_SUBJECT, "tcp.flags.syn == 1", "tcp.flags.ece == 1", "tcp.flags.cwr == 0"), 2, "ECN-setup SYN-ACKs")
    # Down: the subject's text was marked on the way, Linux echoes that, and the subject says that its window is smaller.
    check(seen(FROM_SUBJECT, TEXT, "ip.dsfield.ecn == 3") > 50, "no text of the subject was marked")
    check(seen(FROM_CLIENT, "tcp.flags.syn == 0", "tcp.flags.ece == 1") > 0, "Linux echoes no mark")
    check(seen(FROM_SUBJECT, TEXT, "tcp.flags.cwr == 1") > 0, "the subject never says CWR")
    # Up: the subject echoes what was marked, and stops when Linux says CWR.
    check(seen(FROM_SUBJECT, "tcp.flags.syn == 0", "tcp.flags.ece == 1") > 50, "the subject echoes no mark")
    check(seen(FROM_CLIENT, TEXT, "tcp.flags.cwr == 1") > 0, "Linux never says CWR")
    check(seen(FROM_SUBJECT, "tcp.len == 0", "tcp.flags.syn == 0", "tcp.flags.fin == 0", "tcp.flags.ece == 0") > 50,
          "the subject goes on echoing for ever")
    # RFC 3168 sections 6.1.1 and 6.1.4
    equal(seen(FROM_SUBJECT, "tcp.len == 0", "!(ip.dsfield.ecn == 0)"), 0, "packets without text that may be marked")


def a_client_without_ecn_sees_none(lab, case):
    seen = transferred(lab, case, asks=False)
    equal(seen(FROM_SUBJECT, "(tcp.flags.ece == 1 || tcp.flags.cwr == 1 || !(ip.dsfield.ecn == 0))"), 0, "packets with ECN")


if __name__ == "__main__":
    main(marks_are_heard_and_echoed, a_client_without_ecn_sees_none)
