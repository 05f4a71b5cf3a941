#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/disk over good and bad disks: files of this machine, as the host platform and the hvt tender attach them.

usage: disks.py IMAGE [TENDER]"""
import hashlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

IMAGE, TENDER = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
MIB = 1 << 20


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def command(disk, *keys, sector=512, front=()):
    attach = [f"--block:disk={disk}", f"--block-sector-size:disk={sector}"]
    if TENDER:
        return [*front, TENDER, "--mem=8", *attach, "--", IMAGE, *keys]
    return [*front, IMAGE, *attach, *keys]


def run(disk, *keys, status=0, expect=(), **more):
    preexec = more.pop("preexec", None)
    done = subprocess.run(command(disk, *keys, **more), capture_output=True, text=True, timeout=120, preexec_fn=preexec)
    said = done.stdout + done.stderr
    if done.returncode != status or any(not re.search(e, said, re.M) for e in expect):
        raise AssertionError(f"{keys}: status {done.returncode}, not {status}, or none of {expect} in:\n{said}")
    return said


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def disk_of(folder, name, octets, content=b""):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(octets)
    return path


def what_is_written_is_there(folder):
    for sector in (512, 4096):
        path = disk_of(folder, "good", 16 * MIB)
        said = run(path, "--writes=300", "--depth=8", sector=sector, expect=(f": {16 * MIB // sector} sectors of {sector}$",))
        found = re.search(r"octets: ([0-9a-f]{64})$", said, re.M)
        assert found and found[1] == digest(path), f"the disk holds something else than the guest has read:\n{said}"
        assert re.search(r"written at random: 300 operations", said), said


def what_the_host_writes_is_read(folder):
    path = disk_of(folder, "given", 4 * MIB, random.Random(1).randbytes(3 * MIB))
    before = digest(path)
    run(path, "--use=read", expect=(f"octets: {before}$",))
    assert digest(path) == before, "reading has changed the disk"


def a_read_only_disk_stays_as_it_is(folder):
    path = disk_of(folder, "fixed", MIB, b"fixed")
    os.chmod(path, 0o444)
    front = ()
    if os.geteuid() == 0:  # who may write everything
        if not shutil.which("setpriv"):
            return print("  without: no setpriv")
        front = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    before = digest(path)
    run(path, status=1, front=front, expect=(r"sectors of 512, read-only$", "the disk is read-only; --use=read"))
    run(path, "--use=read", front=front, expect=(f"octets: {before}$",))
    assert digest(path) == before


def what_is_no_disk_is_refused(folder):
    run(os.path.join(folder, "none"), status=1, expect=(r"--block:disk=.*No such file",))
    run(disk_of(folder, "empty", 0), status=1, expect=(r"whole number of sectors of 512",))
    run(disk_of(folder, "odd", 1000), status=1, expect=(r"1000 octets .*whole number of sectors of 512",))
    run(disk_of(folder, "odd", 6 * 512), sector=4096, status=1, expect=(r"3072 octets .*whole number of sectors of 4096",))
    run(disk_of(folder, "good", MIB), sector=1000, status=1, expect=(r"--block-sector-size:disk=1000: expected a power of two",))
    run(folder, status=1, expect=(r"--block:disk=",))


def a_disk_that_fails_is_named_by_its_sector(folder):
    path = disk_of(folder, "failing", 8 * MIB)

    def full():  # as a file system is that has no room left
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000 * 512, 5000 * 512))
    run(path, "--depth=1", status=1, preexec=full, expect=(r"error: disk: sector 5000 cannot be written: input/output error$",))


def a_disk_that_becomes_shorter_is_an_error(folder):
    path = disk_of(folder, "short", 64 << 30)  # none of it is there; reading it takes a while all the same
    guest = subprocess.Popen(command(path, "--use=read", "--area=65536"), stdout=subprocess.PIPE, text=True)
    try:
        while "up in" not in guest.stdout.readline():
            assert guest.poll() is None, "it has ended"
        os.truncate(path, 4096)
        said = guest.stdout.read()
        assert guest.wait(60) == 1 and re.search(r"sector [1-9]\d* cannot be read: input/output error", said), said
    finally:
        if guest.poll() is None:
            guest.kill()
            guest.wait()


def main():
    if TENDER and subprocess.run([os.path.join(os.path.dirname(TENDER), "kvm-floor")], capture_output=True).returncode != 0:
        skip("KVM does not work here")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for test in (what_is_written_is_there, what_the_host_writes_is_read, a_read_only_disk_stays_as_it_is,
                     what_is_no_disk_is_refused, a_disk_that_fails_is_named_by_its_sector,
                     a_disk_that_becomes_shorter_is_an_error):
            try:
                test(folder)
                print("ok", test.__name__.replace("_", " "), flush=True)
            except AssertionError as wrong:
                failed += 1
                print("FAILED", test.__name__.replace("_", " "), wrong, flush=True)
    sys.exit(1 if failed else 0)


main()
