#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What can be known about a Xen image without starting it.

usage: xen_image.py IMAGE [--devices=netif:NAME,block:NAME...] [--without=REGEX]

Segments (never W+X, whole pages, nothing below the image's base, no undefined symbol), the notes that the domain builder
reads, the manifest for the tools, libvirt's XML that is made from it, and what is not in the image."""
import argparse
import os
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree

PAGE, BASE = 4096, 0x10000
PHYS32_ENTRY, SUSPEND_CANCEL, GUEST_OS = 18, 14, 6


def check(condition, message):
    if not condition:
        print(f"FAILED: {message}")
        sys.exit(1)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def check_segments(octets, segments, entry):
    check(entry == BASE, f"the entry point is {BASE:#x}, not {entry:#x}")
    end = BASE
    loaded = [s for s in segments if s["kind"] == 1 and s["memsz"] > 0]
    for s in loaded:
        check(s["flags"] & 3 != 3, f"segment at {s['vaddr']:#x} is writable and executable")
        check(s["vaddr"] == s["paddr"], f"segment at {s['vaddr']:#x} is to be loaded elsewhere")
        check(s["vaddr"] % PAGE == 0 and s["vaddr"] >= end, f"segment at {s['vaddr']:#x} overlaps or is not on a page")
        end = s["vaddr"] + s["memsz"]
    check(sum(s["flags"] & 1 for s in loaded) == 1, "one executable segment")
    return loaded


def notes(octets, segments):
    found = {}
    for s in (s for s in segments if s["kind"] == 4):
        at = s["offset"]
        while at < s["offset"] + s["filesz"]:
            name_size, size, kind = struct.unpack_from("<III", octets, at)
            check(octets[at + 12:at + 12 + name_size] == b"Xen\0", "a note that is not Xen's")
            at += 12 + (name_size + 3) // 4 * 4
            found[kind] = octets[at:at + size]
            at += (size + 3) // 4 * 4
    return found


def check_libvirt(image, devices):
    """XML of a PVH domain with a device for each of the manifest's; xl's own form is for xl to judge (test/xen)."""
    tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../tools/xl-config.py")
    domain = xml.etree.ElementTree.fromstring(run(sys.executable, tool, "--libvirt", "--memory", "48", image))
    check(domain.get("type") == "xen" and domain.find("os/type").get("machine") == "xenpvh", "libvirt: no PVH domain")
    check(domain.findtext("os/kernel") == os.path.abspath(image), "libvirt: another kernel")
    check(domain.findtext("memory") == "48" and domain.find("memory").get("unit") == "MiB", "libvirt: another memory")
    kinds = [d.partition(":")[0] for d in devices]
    check(len(domain.findall("devices/interface")) == kinds.count("netif"), "libvirt: not an interface for each netif")
    targets = [d.get("dev") for d in domain.findall("devices/disk/target")]
    check(targets == ["xvd" + "abcdef"[i] for i in range(kinds.count("block"))], f"libvirt: disks {targets}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("--devices", default="")
    parser.add_argument("--without", default="")
    asked = parser.parse_args()
    octets = open(asked.image, "rb").read()
    magic, kind, machine, entry, phoff, phentsize, phnum = struct.unpack_from("<4s12xHH4xQQ14xHH", octets)
    check(magic == b"\x7fELF" and kind == 2 and machine == 62, "not an x86-64 ET_EXEC file")
    names = ("kind", "flags", "offset", "vaddr", "paddr", "filesz", "memsz")
    segments = [dict(zip(names, struct.unpack_from("<IIQQQQQ", octets, phoff + i * phentsize))) for i in range(phnum)]

    loaded = check_segments(octets, segments, entry)
    found = notes(octets, segments)
    check(found.get(PHYS32_ENTRY) == struct.pack("<I", BASE), "note PHYS32_ENTRY: where the domain begins")
    check(found.get(SUSPEND_CANCEL) == struct.pack("<I", 1), "note SUSPEND_CANCEL")
    check(found.get(GUEST_OS) == b"mirage\0", "note GUEST_OS")

    manifest = run("objcopy", "--dump-section", ".mirage.manifest=/dev/stdout", asked.image, "/dev/null").strip("\0")
    wanted = "".join(d.replace(":", " ") + "\n" for d in asked.devices.split(",") if d)
    check(manifest == wanted, f"the manifest says {manifest!r}, not {wanted!r}")

    check_libvirt(asked.image, [d for d in asked.devices.split(",") if d])

    symbols = run("nm", "-C", asked.image).splitlines()
    check(not [s for s in symbols if re.match(r" +U ", s)], "undefined symbols")
    if asked.without:
        unwanted = [s for s in symbols if re.search(asked.without, s)]
        check(not unwanted, "in the image, but should not be:\n  " + "\n  ".join(unwanted[:10]))
    print(f"{sum(s['filesz'] for s in loaded)} octets loaded, {len(loaded)} segments, {len(symbols)} symbols")


main()
