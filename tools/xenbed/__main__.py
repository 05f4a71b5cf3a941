#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""xenbed: real Xen and a Linux dom0 on a machine that has neither, under QEMU's software emulation."""

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOOLS)

from testnet.lab import Skip  # noqa: E402
from testnet.wait import Timeout  # noqa: E402
from xenbed import image  # noqa: E402
from xenbed.bed import Bed, requirements  # noqa: E402
from xenbed.machine import Broken  # noqa: E402
from xenbed.packages import Packages  # noqa: E402

# What there is to see on the way, and how far along it is.
STEPS = ("Xen starts", "dom0's Linux", "Xen's daemons", "ready", "the guest is created", "the guest runs")


class Progress:
    """One line that is written over on a terminal, lines otherwise."""

    def __init__(self):
        self._begin = time.monotonic()
        self._at = 0

    def __call__(self, text):
        for number, step in enumerate(STEPS):
            if text.startswith(step):
                self._at = number + 1
        passed = time.monotonic() - self._begin
        if sys.stderr.isatty():
            filled = 24 * self._at // len(STEPS)
            sys.stderr.write(f"\r\033[K[{'#' * filled}{'.' * (24 - filled)}] {passed:3.0f} s  {text}")
        else:
            sys.stderr.write(f"xenbed: {passed:3.0f} s  {text}\n")
        sys.stderr.flush()

    def end(self):
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def manifest(path):
    """How many vifs and disks an image wants; none of either when it does not say."""
    done = subprocess.run([sys.executable, os.path.join(TOOLS, "xl-config.py"), "--devices", path],
                          capture_output=True, text=True)
    lines = done.stdout.splitlines()
    return (sum(line.startswith(kind) for line in lines) for kind in ("netif ", "block "))


def say(text):
    print(f"xenbed: {text}", file=sys.stderr, flush=True)


def prepare(_):
    packages = Packages()
    packages.prepare(say)
    print(f"the test bed is in {packages.folder}: Linux {packages.release()}")
    return 0


def selftest(_):
    """A Linux guest with two interfaces and two disks, and everything that tests rely on."""
    progress, packages = Progress(), Packages()
    with Bed(progress=progress) as bed:
        bed.put_file("/job/vmlinuz", packages.kernel)
        bed.put("/job/linux.cpio", image.linux_guest(packages))
        bed.run("for n in 1 2; do dd if=/dev/zero of=/job/disk$n bs=1M count=4 2>/dev/null; done")
        with bed.guest("linux", "/job/vmlinuz", ramdisk="/job/linux.cpio", memory=160, vifs=2,
                       disks=["/job/disk1", "/job/disk2"],
                       cmdline="console=hvc0 loglevel=4 mitigations=off ipv4=10.0.0.2/24") as guest:
            progress("the guest is created")
            guest.wait_text("linux-guest: ready", 240)
            progress("the guest runs")
            page = bed.run("curl -sS --max-time 20 http://10.0.0.2/")
            assert page == "hello from a Linux guest\n", page
            for disk in ("/job/disk1", "/job/disk2"):
                assert bed.get(disk)[512:532] == b"written by the guest", f"not written: {disk}"
            bed.run("echo stop | nc 10.0.0.2 7777")
            guest.wait_state("poweroff")
    progress.end()
    print("the test bed works")
    return 0


def shell(_):
    progress = Progress()
    with Bed(progress=progress) as bed:
        progress.end()
        print("a shell in dom0, one order a line; end of file ends it")
        while True:
            try:
                line = input("dom0# ")
            except EOFError:
                return 0
            print(bed.run(line, 600, check=False)[1], end="")


def follow(guest, from_octet):
    """Prints what a guest has said since; returns how far that is, and the guest's state."""
    said = guest.bed.run(f". /lib/guest.sh; guest_state {guest.name}; "
                         f"tail -c +{from_octet + 1} $(guest_console {guest.name})")
    state, _, text = said.partition("\n")
    sys.stdout.write(text.replace("\r", ""))
    sys.stdout.flush()
    return from_octet + len(text.encode()), state


def run(options):
    """Boots an image until it ends; Ctrl-C asks it to shut down."""
    vifs, disks = manifest(options.image)
    if len(options.disk) < disks:
        sys.exit(f"xenbed: {options.image} wants {disks} disk(s): give --disk FILE for each")
    progress = Progress()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        with Bed(progress=progress, files={"/job/image": options.image}, disks=options.disk,
                 guest_mib=options.memory + 256, capture=options.capture) as bed:
            with bed.guest("guest", "/job/image", memory=options.memory, cmdline=" ".join(options.keys), vifs=vifs,
                           disks=[f"/dev/vd{chr(97 + number)}" for number in range(disks)]) as guest:
                progress("the guest is created")
                ports = [(inner, bed.forward(f"10.0.0.2:{inner}", int(outer)))
                         for outer, _, inner in (word.partition(":") for word in options.forward)]
                progress("the guest runs")
                progress.end()
                for inner, port in ports:
                    if inner == "80" and answers(guest, port):
                        say(f"serving http://localhost:{port}/ (Ctrl-C ends it)")
                    elif inner != "80":
                        say(f"port {port} of 127.0.0.1 leads to port {inner} of the guest (Ctrl-C ends it)")
                return watch(guest)
    except KeyboardInterrupt:
        progress.end()
        return 0


def answers(guest, port, seconds=30):
    """Whether the guest serves HTTP before it ends."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and guest.state() == "running":
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            time.sleep(0.1)
    return False


def watch(guest):
    at, state = follow(guest, 0)
    try:
        while state in ("running", "paused"):
            time.sleep(0.2)
            at, state = follow(guest, at)
    except KeyboardInterrupt:
        guest.bed.run(f"xl shutdown {guest.name}", check=False)
        for _ in range(50):
            at, state = follow(guest, at)
            if state not in ("running", "paused"):
                break
            time.sleep(0.1)
        return 0
    follow(guest, at)
    return 0 if state == "poweroff" else 1


def main():
    parser = argparse.ArgumentParser(prog="xenbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for function, text in ((prepare, "download and unpack what the bed is made of"),
                           (selftest, "boot a Linux guest and try its network and disks"),
                           (shell, "give orders to dom0")):
        commands.add_parser(function.__name__, help=text).set_defaults(function=function)
    one = commands.add_parser("run", help="boot an image")
    one.set_defaults(function=run)
    one.add_argument("image")
    one.add_argument("--memory", type=int, default=32, metavar="MIB")
    one.add_argument("--disk", action="append", default=[], metavar="FILE", help="a raw image, for the next block device")
    one.add_argument("--forward", action="append", default=[], metavar="PORT:GUESTPORT",
                     help="lead a port of 127.0.0.1 to the guest at 10.0.0.2")
    one.add_argument("--capture", metavar="FILE", help="write what passes between dom0's bridge and outside")
    one.add_argument("keys", nargs="*", help="boot keys, behind --")
    options = parser.parse_args()
    try:
        requirements()
        return options.function(options)
    except Skip as reason:
        print(f"SKIP: {reason}")
        return 77
    except (Broken, Timeout, RuntimeError, AssertionError) as error:
        print(f"\nxenbed: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
