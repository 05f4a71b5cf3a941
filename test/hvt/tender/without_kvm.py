#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A machine where KVM is absent, not permitted or not there behind its device: which of them, and what to do.

In a mount namespace of its own, with a /dev of its own. usage: without_kvm.py TENDER INTERPRETER"""
import ctypes
import os
import re
import stat
import subprocess
import sys

from guest import *

tender, interpreter = map(os.path.abspath, sys.argv[1:3])
failures = Failures()
libc = ctypes.CDLL(None, use_errno=True)
NEWNS, REC_PRIVATE = 0x20000, 0x44000
NOBODY = 65534


def in_an_own_dev():
    """False: not here. What this process mounts ends with it."""
    return (os.geteuid() == 0 and libc.unshare(NEWNS) == 0
            and libc.mount(b"none", b"/", None, REC_PRIVATE, None) == 0
            and libc.mount(b"none", b"/dev", b"tmpfs", 0, b"mode=755") == 0)


def make(kind, number=(0, 0), mode=0o666):
    if os.path.lexists("/dev/kvm"):
        os.unlink("/dev/kvm")
    if kind is not None:
        os.mknod("/dev/kvm", kind | mode, os.makedev(*number))
        os.chmod("/dev/kvm", mode)


def says(what, pattern, **more):
    for command in ([tender, interpreter], [os.path.join(os.path.dirname(tender), "kvm-floor")]):
        status, out, err = run(command, **more)
        good = status == 1 and out == "" and re.fullmatch(r"mirage-hvt: .*\n", err) and re.search(pattern, err)
        failures.check(good, f"{what}: {command[0]}: status {status}, {err!r}, expected /{pattern}/")


def readable_by_all(*paths):
    """So that nobody can run what is in a private build directory."""
    return subprocess.run(["setpriv", f"--reuid={NOBODY}", "--clear-groups", "test", "-r", paths[0]],
                          capture_output=True).returncode == 0


if not in_an_own_dev():
    skip("needs root, to hide /dev/kvm")
make(None)
says("absent", "there is no /dev/kvm on this machine: .*modprobe.*host build")
try:
    make(stat.S_IFCHR, (10, 255))
except PermissionError:
    skip("may not make devices")
says("a device of no driver", "nothing behind it: .*modprobe")
make(stat.S_IFCHR, (1, 3))
says("/dev/null in its place", "is not KVM: Inappropriate ioctl")
make(stat.S_IFREG)
says("a file in its place", "is not KVM: Inappropriate ioctl")
make(stat.S_IFCHR, (10, 232), 0o600)
if readable_by_all(tender):
    says("not ours", r"no permission for /dev/kvm: .*usermod -aG kvm", user=NOBODY, group=NOBODY, extra_groups=[])
else:
    print("not checked without permission: others may not read the build directory")
# What needs no guest works all the same.
make(None)
status, out, _ = run([tender, "--help"])
failures.check(status == 0 and "--net:" in out, "--help")
status, out, _ = run([tender, "--version"])
failures.check(status == 0 and "ABI version 2" in out, "--version")
status, _, err = run([tender, "--net:service=user", interpreter])
failures.check(status == 1 and "no such device" in err, f"the command line is checked first: {err!r}")
failures.end()
