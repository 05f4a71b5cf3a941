#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mirage bench --xen: our domain beside a Linux domain with nginx, on the same Xen, in the same minutes.

Both are PVH guests with one vCPU and one vif. What is compared: the time from xl create to the first answer with status
200 (beside it, what xl create takes for a domain that does nothing), the least memory in which the load is served, what is
loaded, and how much of each work a second of guest's processor time does (xl vcpu-list). Without a Xen of its own it is the test bed's, under emulation: ratios then compare
numbers of instructions rather than times."""

import argparse
import gzip
import json
import os
import statistics
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from testnet import Skip, Timeout  # noqa: E402
from xenbed.bed import DOM0, Bed  # noqa: E402
from xenbed.image import GUEST_MODULES, Image  # noqa: E402
from xenbed.packages import Packages  # noqa: E402

ADDRESS = "10.0.0.2"
MIB = 1 << 20


def say(text):
    print(f"{time.monotonic() - BEGIN:6.1f} s  {text}", file=sys.stderr, flush=True)


BEGIN = time.monotonic()


def linux_image(packages, build):
    """The first root file system of the Linux peer."""
    image = Image(packages)
    image.program("/bin/busybox")
    image.program("/usr/sbin/nginx")
    image.modules(GUEST_MODULES)
    image.text("/init", os.path.join(HERE, "linux-init"))
    image.text("/etc/nginx.conf", os.path.join(HERE, "nginx.conf"), 0o644)
    image.archive.add("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
    image.archive.add("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
    image.archive.add_file("/bin/epoll_server", os.path.join(build, "bench/xen/static-epoll_server"))
    image.archive.add_file("/www/index.html", os.path.join(ROOT, "examples/website/pages/index.html"))
    return image.archive.octets()


class Subject:
    """One of the two: how it is made, and what it is."""

    def __init__(self, bed, name, kernel, services, cmdline, ramdisk=None, memory=64, octets=0):
        self.bed, self.name, self.kernel, self.services = bed, name, kernel, services
        self.cmdline, self.ramdisk, self.memory, self.octets = cmdline, ramdisk, memory, octets
        self.mac = bed.next_mac()

    def guest(self, kernel=None, memory=None):
        guest = self.bed.guest(self.name, kernel or self.kernel, memory=memory or self.memory, cmdline=self.cmdline,
                               ramdisk=self.ramdisk, vifs=1)
        # a neighbour that dom0 knows already: no start waits for the repetition of an ARP request
        guest.configuration = guest.configuration.replace(guest.macs[0], self.mac)
        self.bed.put(f"/job/{self.name}.cfg", guest.configuration)
        self.bed.run(f"arp -i xenbr0 -s {ADDRESS} {self.mac}")
        return guest

    def started(self):
        """Creates it and waits for the first answer; returns both times."""
        return json.loads(self.bed.run(self._asked(180), 240).splitlines()[-1])

    def comes_up(self, seconds):
        """Whether it answers in time. One that ends before is not waited for."""
        said = self.bed.run(f"""{self._asked(seconds)} >/run/answer 2>&1 & asks=$!
            . /lib/guest.sh
            while [ -e /proc/$asks ]; do
                case $(guest_state {self.name}) in crash | reboot | poweroff) kill $asks 2>/dev/null ;; esac
                usleep 300000
            done
            cat /run/answer""", seconds + 60)
        return '"answered"' in said

    def _asked(self, seconds):
        return f"/job/first_answer {ADDRESS} {seconds} xl create -q /job/{self.name}.cfg"


def load(bed, connections, requests):
    said = bed.run(f"/job/http_load --address {ADDRESS} --connections {connections} --requests {requests}", 300)
    return json.loads(said.splitlines()[-1])


def start_times(subject, rounds):
    times = []
    for _ in range(rounds):
        with Ended(subject.guest()):
            times.append(subject.started())
    for one in times:
        one["of_guest"] = one["answered"] - one["created"]
    return {key: statistics.median(one[key] for one in times) for key in ("created", "answered", "of_guest")}


def toolstack_time(subject, rounds):
    """What xl create takes for a domain that does nothing, with the same things going on beside it."""
    times = []
    for _ in range(rounds):
        with Ended(subject.guest()):
            said = subject.bed.run(subject._asked(5), 60, check=False)[1]
            times.append(json.loads(next(line for line in said.splitlines() if line.startswith("{")))["created"])
    return statistics.median(times)


class Ended:
    """A guest that was made by another command, and its end."""

    def __init__(self, guest):
        self.guest = guest

    def __enter__(self):
        return self.guest

    def __exit__(self, *_):
        self.guest.close()


def least_memory(subject, candidates):
    """The least of `candidates` (ascending) with which 640 requests over 64 connections are answered without an error."""
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if serves(subject, candidates[middle]):
            high = middle
        else:
            low = middle + 1
        say(f"{subject.name}: between {candidates[low]} and {candidates[high]} MiB")
    return candidates[low]


def serves(subject, memory):
    guest = subject.guest(memory=memory)
    try:
        return subject.comes_up(60) and load(subject.bed, 64, 640)["errors"] == 0
    except (RuntimeError, Timeout):
        return False
    finally:
        guest.close()


def per_cpu_second(guest, work, unit=1):
    """Does it, and returns how much of it a second of the guest's processor does. `xl vcpu-list` counts tenths: a work
    takes some seconds."""
    before = guest.cpu_seconds()
    outcome = work()
    spent = guest.cpu_seconds() - before
    if outcome["errors"]:
        raise RuntimeError(f"{outcome['errors']} errors with {guest.name}")
    done = outcome["work"] / unit
    return {"per_cpu_second": done / spent, "cpu_seconds": spent, "per_second": done / outcome["seconds"]}


def rates(subject, requests, mib):
    bed, found = subject.bed, {}
    with Ended(subject.guest()) as guest:
        subject.started()
        load(bed, 16, 500)  # what is done once
        found["requests, 16 connections"] = per_cpu_second(guest, lambda: load(bed, 16, requests))
        found["requests, 64 connections"] = per_cpu_second(guest, lambda: load(bed, 64, requests))
    with Ended(subject.guest(kernel=subject.services)) as guest:
        subject.started()
        for name, direction, port in (("MiB received", "send", 9), ("MiB sent", "receive", 19)):
            found[name] = per_cpu_second(guest, lambda d=direction, p=port: json.loads(bed.run(
                f"/job/bulk --address {ADDRESS} --port {p} --direction {d} --mib {mib}", 300).splitlines()[-1]), MIB)
    return found


def table(ours, peer, toolstack):
    rows = [("time from `xl create` to the first 200, s", ours["start"]["answered"], peer["start"]["answered"], False, 20),
            ("the same, less what `xl create` takes for an empty domain, s", max(ours["start"]["answered"] - toolstack, 0.01),
             peer["start"]["answered"] - toolstack, False, None),
            ("until `xl create` returned, s", ours["start"]["created"], peer["start"]["created"], False, None),
            ("from then on, s", ours["start"]["of_guest"], peer["start"]["of_guest"], False, None),
            ("least memory that serves 64 connections, MiB", ours["memory"], peer["memory"], False, 16),
            ("what is loaded, KiB", ours["octets"] / 1024, peer["octets"] / 1024, False, None)]
    goals = {"requests, 16 connections": 3, "requests, 64 connections": 3, "MiB received": 1.5, "MiB sent": 1.5}
    for name, goal in goals.items():
        rows.append((f"{name}, per second of guest's processor", ours["rates"][name]["per_cpu_second"],
                     peer["rates"][name]["per_cpu_second"], True, goal))
    lines = ["| | `website.xen` | Linux and nginx | an empty domain | times better | goal |", "|---|---|---|---|---|---|"]
    for order, (name, a, b, more, goal) in enumerate(rows):
        ratio = a / b if more else b / a
        verdict = "" if goal is None else f"{goal}, {'met' if ratio >= goal else 'not met'}"
        empty = number(toolstack) if order == 2 else ""
        lines.append(f"| {name} | {number(a)} | {number(b)} | {empty} | {ratio:.1f} | {verdict} |")
    return "\n".join(lines)


MARKS = ("<!-- mirage bench --xen -->", "<!-- end -->")


def replace_table(path, text):
    with open(path, encoding="utf-8") as file:
        before, _, rest = file.read().partition(MARKS[0])
    _, found, after = rest.partition(MARKS[1])
    if not found:
        raise RuntimeError(f"{path} has no place for the table: {MARKS[0]} and {MARKS[1]}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")


def number(value):
    return f"{value:.2f}" if value < 10 and value != int(value) else f"{value:.0f}"


def main():
    parser = argparse.ArgumentParser(prog="mirage bench --xen", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="DIR", help="Meson's build directory")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="starts of each (default 3)")
    parser.add_argument("--requests", type=int, default=20000, metavar="N", help="of each HTTP work (default 20000)")
    parser.add_argument("--mib", type=int, default=2048, metavar="N", help="of each bulk work (default 2048)")
    parser.add_argument("--json", metavar="FILE", help="write all figures")
    parser.add_argument("--write", metavar="FILE", help="put the table in place of the one in FILE (docs/performance.md)")
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    packages = Packages()
    try:
        with Bed(progress=say, guest_mib=768) as bed:
            initrd = linux_image(packages, build)
            packed = gzip.compress(initrd, 6)
            for name in ("first_answer", "http_load", "bulk"):
                bed.put_file(f"/job/{name}", os.path.join(build, "bench/xen", "static-" + name))
            website = os.path.join(build, "examples/website/website.xen")
            services = os.path.join(build, "bench/appliance/services.xen")
            mirage = Subject(bed, "mirage", bed.put_file("/job/website.xen", website),
                             bed.put_file("/job/services.xen", services),
                             f"--ipv4={ADDRESS}/24 --ipv4-gateway={DOM0}", memory=32, octets=loaded(website))
            linux = Subject(bed, "linux", bed.put_file("/job/vmlinuz", packages.kernel), "/job/vmlinuz",
                            f"console=hvc0 quiet panic=1 mitigations=off ipv4={ADDRESS}/24",
                            ramdisk=bed.put("/job/linux.cpio", initrd), memory=256,
                            octets=os.path.getsize(packages.kernel) + len(packed))
            empty = Subject(bed, "empty", bed.put_file("/job/empty.xen", os.path.join(build, "bench/xen/empty.xen")), None, "",
                            memory=32)
            found = {"toolstack": toolstack_time(empty, options.rounds)}
            say(f"xl create takes {found['toolstack']} s for an empty domain")
            for subject, memories in ((mirage, [1, 2, 3, 4, 5, 6, 8, 12, 16]),
                                      (linux, [48, 64, 72, 80, 88, 96, 112, 128])):
                say(f"{subject.name}: starts")
                start = start_times(subject, options.rounds)
                say(f"{subject.name}: {start}")
                measured = rates(subject, options.requests, options.mib)
                say(f"{subject.name}: {measured}")
                found[subject.name] = {"start": start, "rates": measured, "octets": subject.octets,
                                       "memory": least_memory(subject, memories)}
    except Skip as reason:
        print(f"SKIP: {reason}")
        return 77
    text = table(found["mirage"], found["linux"], found["toolstack"])
    print(text)
    if options.write:
        replace_table(options.write, text)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
    return 0


def loaded(path):
    """Octets of an ELF file's segments: what the toolstack puts into the guest."""
    with open(path, "rb") as file:
        octets = file.read()
    offset, = struct.unpack_from("<Q", octets, 32)
    size, count = struct.unpack_from("<HH", octets, 54)
    headers = [struct.unpack_from("<IIQQQQ", octets, offset + i * size) for i in range(count)]
    return sum(header[5] for header in headers if header[0] == 1)


if __name__ == "__main__":
    sys.exit(main())
