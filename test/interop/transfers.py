#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""100 MiB each way, every octet in its place, over a good cable and over a bad one."""

import concurrent.futures
import hashlib
import subprocess

from interop import MIB, Skip, ended_well, equal, main
from testnet.subjects import TRANSFER

TOTAL = 100 * MIB
# with 2 % loss one Reno connection carries about 1.22 * MSS / (RTT * sqrt(loss)), RFC 5681 and Mathis et al.:
# 0.3 MB/s here. So the same amount goes over many connections at once.
PARALLEL = 32


def download(running, octets):
    """The SHA-256 of /test/N as curl receives it."""
    digest = hashlib.sha256()
    client = subprocess.Popen([*running.client.exec_prefix(), "curl", "-sSf", "--max-time", "280",
                               f"{running.url}/test/{octets}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while part := client.stdout.read(MIB):
        digest.update(part)
    error = client.stderr.read().decode()
    equal(client.wait(), 0, f"curl's status ({error.strip()})")
    return digest.hexdigest()


def upload(running, path, *options):
    """What the subject says is the SHA-256 of a file that curl puts."""
    return running.client.run("curl", "-sSf", "--max-time", "280", *options, "-T", path,
                              running.url + "/upload").stdout.strip()


def download_of_100_mib(lab, case):
    case.needs("curl")
    running = case.start(lab, TRANSFER)
    _, digest = case.stream_file(lab, TOTAL)
    with case.judged(running):
        equal(download(running, TOTAL), digest, "SHA-256")
    ended_well(running)


def upload_of_100_mib(lab, case):
    case.needs("curl")
    running = case.start(lab, TRANSFER)
    path, digest = case.stream_file(lab, TOTAL)
    with case.judged(running):
        equal(upload(running, path), digest, "SHA-256")
    ended_well(running)


def upload_in_chunks(lab, case):
    case.needs("curl")
    running = case.start(lab, TRANSFER)
    path, digest = case.stream_file(lab, MIB + 1)
    with case.judged(running):
        equal(upload(running, path, "-H", "Transfer-Encoding: chunked"), digest, "SHA-256")
    ended_well(running)


def odd_lengths(lab, case):
    """One octet more and less than a segment, a window of segments, and nothing."""
    case.needs("curl")
    running = case.start(lab, TRANSFER)
    with case.judged(running):
        for octets in (1, 1459, 1460, 1461, 1447, 1448, 1449, 65535, 65536, 65537, 1_000_003):
            path, digest = case.stream_file(lab, octets)
            equal(download(running, octets), digest, f"SHA-256 of {octets} octets down")
            equal(upload(running, path), digest, f"SHA-256 of {octets} octets up")
    ended_well(running)


def bad_cable(case):
    """2 % loss and 20 ms of delay in each direction, 1 % reordered and 0.1 % doubled."""
    return [case.program("test/interop", "impaired_link"), "--loss", 2, "--delay", 20, "--reorder", 1,
            "--duplicate", 0.1, "--seed", 7]


def in_parallel(transfer):
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(lambda _: transfer(), range(PARALLEL)))


def download_over_a_bad_cable(lab, case):
    case.needs_frames()
    case.needs("curl")
    running = case.start(lab, TRANSFER, cable=bad_cable(case))
    part = TOTAL // PARALLEL
    _, digest = case.stream_file(lab, part)
    with case.judged(running):
        equal(set(in_parallel(lambda: download(running, part))), {digest}, "SHA-256 of all parts")
    ended_well(running)


def upload_over_a_bad_cable(lab, case):
    case.needs_frames()
    case.needs("curl")
    running = case.start(lab, TRANSFER, cable=bad_cable(case))
    path, digest = case.stream_file(lab, TOTAL // PARALLEL)
    with case.judged(running):
        equal(set(in_parallel(lambda: upload(running, path))), {digest}, "SHA-256 of all parts")
    ended_well(running)


def download_through_netem(lab, case):
    """The same with the kernel's own emulator, where it has one."""
    case.needs_frames()
    case.needs("curl")
    running = case.start(lab, TRANSFER)
    for namespace, device in ((running.client, "eth0"), (running.switch, "port")):
        done = namespace.run("tc", "qdisc", "add", "dev", device, "root", "netem", "limit", 20000, "loss", "2%",
                             "delay", "20ms", "reorder", "1%", check=False)
        if done.returncode != 0:
            raise Skip(f"tc netem: {done.stderr.strip()}")
    part = TOTAL // PARALLEL
    _, digest = case.stream_file(lab, part)
    with case.judged(running):
        equal(set(in_parallel(lambda: download(running, part))), {digest}, "SHA-256 of all parts")
    ended_well(running)


if __name__ == "__main__":
    main(download_of_100_mib, upload_of_100_mib, upload_in_chunks, odd_lengths, download_over_a_bad_cable,
         upload_over_a_bad_cable, download_through_netem)
