#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The TAP device goes down and comes up again, or goes for good, while the subject serves."""

import hashlib
import os
import signal

from interop import MIB, check, ended_well, equal, main
from testnet import Skip, wait_until
from testnet.subjects import TRANSFER, TAP, WEBSITE


def needs_tap(case):
    if case.target is None:
        raise Skip("the Linux reference has no TAP device")
    case.needs_frames()


def a_transfer_survives_a_device_that_was_down(lab, case):
    """Down in the middle of a transfer, and up again: TCP sends what was lost once more (RFC 9293 section 3.8.1)."""
    case.needs_frames()
    case.needs("curl")
    running = case.start(lab, TRANSFER)
    octets = 20 * MIB
    _, digest = case.stream_file(lab, octets)
    with case.judged(running):
        target = os.path.join(lab.directory, "received")
        client = running.client.start("curl", "-sSf", "--max-time", "280", "--limit-rate", "10M", "-o", target,
                                      f"{running.url}/test/{octets}")
        wait_until(lambda: os.path.exists(target) and os.path.getsize(target) > MIB, 20, "the first MiB")
        running.switch.ip("link", "set", TAP, "down")
        before = os.path.getsize(target)
        check(before < octets, "the transfer was over before the device went down")
        check(not running.client.can_connect(running.address, running.port, 0.2), "a device that is down carries frames")
        running.process.check()
        running.switch.ip("link", "set", TAP, "up")
        equal(client.wait(55), 0, f"curl's status ({client.log().strip()})")
    with open(target, "rb") as file:
        equal(hashlib.file_digest(file, "sha256").hexdigest(), digest, "SHA-256")
    ended_well(running)


def down_and_up_many_times(lab, case):
    case.needs_frames()
    case.needs("curl")
    running = case.start(lab, WEBSITE)
    with case.judged(running):
        for _ in range(10):
            running.switch.ip("link", "set", TAP, "down")
            running.switch.ip("link", "set", TAP, "up")
            running.client.run("curl", "-sSf", "--max-time", "100", "-o", os.devnull, running.url + "/")
    ended_well(running)


def a_device_that_is_removed_is_a_clear_error(lab, case):
    """No crash and no silence. Whether to go on without a network is the application's business."""
    needs_tap(case)
    running = case.start(lab, WEBSITE)
    before = len(running.process.log())
    running.switch.ip("link", "del", TAP)

    def said():
        return running.process.log()[before:]
    wait_until(lambda: said() or not running.process.alive(), 10, "a word about the device")
    check("service" in said() or TAP in said(), f"the message does not name the device:\n{said()}")
    if running.process.alive():
        running.process.stop()
    check((running.process.status() or 0) != -signal.SIGKILL, "it did not end when it was told to")
    check(running.process.status() not in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL),
          f"it crashed with status {running.process.status()}:\n{said()}")


def a_device_that_is_not_there_is_a_clear_error(lab, case):
    needs_tap(case)
    running = case.start(lab, WEBSITE)
    words = [word.replace(TAP, "nosuch0") for word in running.process.command[len(running.server.exec_prefix()):]]
    running.stop()
    # without CAP_NET_ADMIN: root would be given a new device of that name
    done = running.server.run("setpriv", "--bounding-set", "-net_admin", "--", *words, check=False, seconds=20)
    said = done.stdout + done.stderr
    check(done.returncode > 0, f"status {done.returncode}:\n{said}")
    check("nosuch0" in said, f"the message does not name the device:\n{said}")


if __name__ == "__main__":
    main(a_transfer_survives_a_device_that_was_down, down_and_up_many_times,
         a_device_that_is_removed_is_a_clear_error, a_device_that_is_not_there_is_a_clear_error)
