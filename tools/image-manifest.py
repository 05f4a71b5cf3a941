#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an image asks for: its platform, devices, entry and memory.

Reads the notes of Solo5 images (ABI1 and MFT1, which MirageOS images have, too) and of images for Xen. Nothing in the
file is believed: what points outside of it is an error."""
import argparse
import json
import re
import struct
import sys

TARGETS = {1: "hvt", 2: "spt", 3: "virtio", 4: "muen", 5: "genode", 6: "xen"}
MACHINES = {62: "x86_64", 183: "aarch64"}
KINDS = {1: "block", 2: "net"}
RESERVED = 0x40000000
ABI1, MFT1 = 0x31494241, 0x3154464D
PT_LOAD, PT_NOTE = 1, 4
MOST_DEVICES = 63
# xen/include/public/elfnote.h
XEN_NOTES = {0: "info", 1: "entry", 2: "hypercall page", 3: "virtual base", 4: "paddr offset", 5: "Xen version", 6: "guest OS",
             7: "guest version", 8: "loader", 9: "PAE mode", 10: "features", 11: "BSD symbols", 12: "hv start low",
             13: "L1 MFN valid", 14: "suspend cancel", 15: "initial P2M", 16: "module start PFN", 17: "supported features",
             18: "entry (PVH, 32 bits)"}
XEN_TEXTS, XEN_ADDRESSES = {5, 6, 7, 8, 10}, {1, 2, 3, 4, 12, 15, 18}
SECTION = ".mirage.manifest"


class Failure(Exception):
    """What is wrong with the file, for the user."""


def printable(octets):
    return "".join(chr(c) if 32 <= c < 127 else "?" for c in octets)


class Image:
    """An ELF file, of which only what is inside is read."""

    def __init__(self, octets):
        self.octets = octets
        if octets[:4] != b"\x7fELF":
            raise Failure("not an ELF file")
        if octets[4:6] != b"\x02\x01":
            raise Failure("not a 64-bit little-endian ELF file")
        self.machine, self.entry, phoff, self.shoff = self.unpack("<H4xQQQ", 18)
        phsize, phcount, self.shsize, self.shcount, self.names = self.unpack("<HHHHH", 54)
        if phcount and phsize != 56:
            raise Failure("its program headers are not those of a 64-bit file")
        self.segments = [dict(zip(("kind", "flags", "offset", "address", "physical", "file_size", "size", "align"),
                                  self.unpack("<IIQQQQQQ", phoff + i * 56))) for i in range(phcount)]

    def unpack(self, form, at):
        if at + struct.calcsize(form) > len(self.octets):
            raise Failure("the file is truncated")
        return struct.unpack_from(form, self.octets, at)

    def part(self, at, size):
        if at + size > len(self.octets):
            raise Failure("the file is truncated")
        return self.octets[at:at + size]

    def notes(self):
        """(owner, type, where its description begins, its size) of each."""
        for s in self.segments:
            at, end = s["offset"], s["offset"] + s["file_size"]
            while s["kind"] == PT_NOTE and at + 12 <= end:
                name_size, size, kind = self.unpack("<III", at)
                begin = at + 12 + -(-name_size // 4) * 4
                if begin + size > end:
                    raise Failure("a note is longer than its segment")
                owner = self.part(at + 12, name_size).rstrip(b"\0")
                self.part(begin, size)
                yield owner, kind, begin, size
                at = begin + -(-size // 4) * 4

    def section(self, wanted):
        if self.shcount == 0 or self.shsize != 64 or self.names >= self.shcount:
            return None
        headers = [self.unpack("<IIQQQQ", self.shoff + i * 64) for i in range(self.shcount)]
        for h in headers:
            at = headers[self.names][4] + h[0]
            if at < len(self.octets) and self.octets[at:at + len(wanted) + 1] == wanted.encode() + b"\0":
                return self.part(h[4], h[5])
        return None


def solo5_abi(image, at, size):
    if size < 8:
        raise Failure("the ABI1 note is damaged: it is too short")
    target, version = image.unpack("<II", at)
    return {"target": TARGETS.get(target, f"unknown ({target})"), "version": version}


def solo5_devices(image, at, size):
    at, size = at + 4, size - 4  # the manifest itself begins at a multiple of 8
    if size < 8:
        raise Failure("the MFT1 note is damaged: it is too short")
    version, count = image.unpack("<II", at)
    if version != 1:
        raise Failure(f"its manifest is of version {version}, and this reads 1")
    if not 1 <= count <= MOST_DEVICES + 1 or 8 + 104 * count > size:
        raise Failure(f"the MFT1 note is damaged: {count} entries do not fit")
    found = []
    for i in range(count):
        name, kind = image.unpack("<68sI", at + 8 + 104 * i)
        text = name.split(b"\0")[0]
        if i == 0 and (kind != RESERVED or text):
            raise Failure("the MFT1 note is damaged: its first entry is not the reserved one")
        if i > 0:
            if kind not in KINDS:
                raise Failure(f"the MFT1 note is damaged: device {i} is of the unknown type {kind}")
            if b"\0" not in name or not re.fullmatch(rb"[0-9A-Za-z]{1,67}", text):
                raise Failure(f"the MFT1 note is damaged: the name of device {i} is not one: '{printable(text)}'")
            found.append({"type": KINDS[kind], "name": text.decode()})
    return found


def xen_note(image, kind, at, size):
    octets = image.part(at, size)
    if kind in XEN_TEXTS:
        return printable(octets.split(b"\0")[0])
    number = int.from_bytes(octets[:8], "little")
    return f"{number:#x}" if kind in XEN_ADDRESSES else number


def read(octets):
    """Everything, as it is printed with --json."""
    image = Image(octets)
    loads = [s for s in image.segments if s["kind"] == PT_LOAD and s["size"] > 0]
    about = {"machine": MACHINES.get(image.machine, f"unknown ({image.machine})"), "entry": image.entry,
             "memory": {"begin": min((s["address"] for s in loads), default=0),
                        "end": max((s["address"] + s["size"] for s in loads), default=0)}}
    xen = {}
    for owner, kind, at, size in image.notes():
        if (owner, kind) == (b"Solo5", ABI1):
            about["abi"] = solo5_abi(image, at, size)
        elif (owner, kind) == (b"Solo5", MFT1):
            about["devices"] = solo5_devices(image, at, size)
        elif owner == b"Xen":
            xen[XEN_NOTES.get(kind, f"note {kind}")] = xen_note(image, kind, at, size)
    if xen:
        about.setdefault("abi", {"target": "xen"})["notes"] = xen
        listed = image.section(SECTION)
        if listed is not None and "devices" not in about:
            lines = [printable(line).split(" ", 1) for line in listed.rstrip(b"\0").splitlines() if line]
            if any(len(line) != 2 for line in lines):
                raise Failure(f"its section {SECTION} is damaged")
            about["devices"] = [{"type": "net" if kind == "netif" else kind, "name": name} for kind, name in lines]
    if "abi" not in about:
        raise Failure("no note of Solo5 or Xen is in it: it is no unikernel for hvt or Xen"
                      + (" (a host build is a Linux program: --help tells its devices)" if any(
                          s["kind"] == 3 for s in image.segments) else ""))
    if "devices" not in about and about["abi"]["target"] != "xen":
        raise Failure("it has an ABI1 note and no MFT1 note: its list of devices is missing")
    return about


OPTIONS = {("hvt", "net"): "--net:{}=tap0 or --net:{}=user", ("hvt", "block"): "--block:{}=PATH", ("spt", "net"): "--net:{}=tap0",
           ("spt", "block"): "--block:{}=PATH", ("xen", "net"): "vif=['bridge=xenbr0']",
           ("xen", "block"): "disk=['format=raw,vdev=xvda,access=rw,target=PATH']"}


def show(path, about):
    abi, memory = about["abi"], about["memory"]
    print(path)
    print(f"  platform  {abi['target']}" + (f", ABI version {abi['version']}" if "version" in abi else "") + f", {about['machine']}")
    print(f"  entry     {about['entry']:#x}")
    print(f"  image     {memory['begin']:#x} to {memory['end']:#x}: {(memory['end'] - memory['begin']) / 1024:.0f} KiB"
          " of memory before its heap")
    for name, value in abi.get("notes", {}).items():
        print(f"  note      {name}: {value}")
    if "devices" not in about:
        print("  devices   it carries no list of them")
    elif not about["devices"]:
        print("  devices   none but a console and a clock")
    for d in about.get("devices", []):
        option = OPTIONS.get((abi["target"], d["type"]), "")
        print(f"  {d['type']:<9} {d['name']:<16} {option.format(d['name'], d['name'])}".rstrip())


def main():
    parser = argparse.ArgumentParser(prog="mirage manifest", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    try:
        with open(options.image, "rb") as file:
            about = read(file.read())
    except OSError as problem:
        sys.exit(f"mirage manifest: {options.image}: {problem.strerror}")
    except Failure as problem:
        sys.exit(f"mirage manifest: {options.image}: {problem}")
    if options.json:
        print(json.dumps(about, indent=1))
    else:
        show(options.image, about)


if __name__ == "__main__":
    main()
