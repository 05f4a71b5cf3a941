#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What can be known about an hvt image without running it.

usage: image.py IMAGE [--budget=OCTETS] [--without=REGEX] [--devices=net:NAME,block:NAME...] [--cpl0=COUNT]
                [--tries-privileged]

Segments (never W+X, whole pages, no undefined symbol), notes (ABI1 and MFT1 as the hvt ABI wants them), the code
that runs at CPL0 (a straight line, so that counting instructions counts what is executed; general registers only;
nothing privileged anywhere else), what is not in the image, and its size."""
import argparse
import re
import struct
import subprocess
import sys

PAGE = 4096
PRIVILEGED = re.compile(r"^(lgdt|lidt|ltr|wrmsr|rdmsr|iret|swapgs|hlt|cli|sti|invlpg|.*%cr[0-8]\b)")


class Image:
    def __init__(self, path):
        self.path = path
        self.octets = open(path, "rb").read()
        (magic, self.type, self.machine, self.entry, phoff, phentsize, phnum) = struct.unpack_from(
            "<4s12xHH4xQQ14xHH", self.octets)
        assert magic == b"\x7fELF" and self.type == 2 and self.machine == 62, "not an x86-64 ET_EXEC file"
        self.segments = []
        for i in range(phnum):
            kind, flags, offset, vaddr, _, filesz, memsz, align = struct.unpack_from(
                "<IIQQQQQQ", self.octets, phoff + i * phentsize)
            self.segments.append(dict(kind=kind, flags=flags, offset=offset, vaddr=vaddr, filesz=filesz,
                                      memsz=memsz, align=align))
        self.symbols = {}
        self.undefined = []
        for line in run("nm", "-C", path).splitlines():
            if m := re.match(r"([0-9a-f]+) (\w) (.*)", line):
                self.symbols[m[3]] = int(m[1], 16)
            elif m := re.match(r" +U (.*)", line):
                self.undefined.append(m[1])

    def loaded(self):
        return [s for s in self.segments if s["kind"] == 1 and s["filesz"] > 0]

    def instructions(self, begin, end):
        text = run("objdump", "-d", "-w", "--no-show-raw-insn", f"--start-address={begin}", f"--stop-address={end}", self.path)
        return [m[1].strip() for m in re.finditer(r"^ +[0-9a-f]+:\t(.*)$", text, re.M)]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def check(condition, message):
    if not condition:
        print(f"FAILED: {message}")
        sys.exit(1)


def check_segments(image):
    check(image.entry == image.symbols["_start"] == 0x100000, "the entry point is _start at 0x100000")
    end = 0
    for s in (s for s in image.segments if s["kind"] == 1 and s["memsz"] > 0):
        check(s["flags"] & 3 != 3, f"segment at {s['vaddr']:#x} is writable and executable")
        check(s["vaddr"] % PAGE == 0 and s["align"] == PAGE, f"segment at {s['vaddr']:#x} is not on a page")
        check(s["vaddr"] >= max(end, 0x100000), f"segment at {s['vaddr']:#x} overlaps or is too low")
        end = s["vaddr"] + s["memsz"]
    check(sum(s["flags"] & 1 for s in image.loaded()) == 1, "one executable segment")
    check(not image.undefined, f"undefined symbols: {image.undefined}")


def check_notes(image, devices):
    notes = {}
    for s in image.segments:
        if s["kind"] == 4:
            name_size, size, kind, name = struct.unpack_from("<III8s", image.octets, s["offset"])
            check(name_size == 6 and name == b"Solo5\0\0\0", "a note that is not Solo5's")
            check(s["filesz"] >= 20 + size, "a note longer than its segment")
            notes[kind.to_bytes(4, "little")] = image.octets[s["offset"] + 20:s["offset"] + 20 + size]
            if kind == 0x3154464D:
                check(s["vaddr"] % 8 == 0, "MFT1 is not aligned to 8 octets")
    check(set(notes) == {b"ABI1", b"MFT1"}, f"notes: {sorted(notes)}")
    check(notes[b"ABI1"] == struct.pack("<IIII", 1, 2, 0, 0), "ABI1: target hvt, version 2")
    payload = notes[b"MFT1"][4:]
    version, entries = struct.unpack_from("<II", payload)
    check(version == 1 and len(payload) == 8 + 104 * entries, "MFT1: version and size")
    found = []
    for i in range(entries):
        entry = payload[8 + 104 * i:8 + 104 * (i + 1)]
        name = entry[:68].split(b"\0")[0].decode()
        kind = struct.unpack_from("<I", entry, 68)[0]
        check(entry[72:] == bytes(32), f"MFT1: entry {i} is filled in already")
        found.append(({1: "block", 2: "net", 0x40000000: "reserved"}[kind], name))
    check(found[0] == ("reserved", ""), "MFT1: entry 0")
    if devices is not None:
        wanted = [tuple(d.split(":")) for d in devices.split(",") if d]
        check(found[1:] == wanted, f"MFT1: devices {found[1:]}, not {wanted}")


def check_cpl0(image, budget, may_try):
    s = image.symbols
    pieces = {"entry": (s["_start"], s["boot_cpl0_end"]), "seal": (s["boot_seal"], s["boot_seal_end"]),
              "a trap": (s["trap_entry"], s["trap_entry_end"])}
    count = {}
    for name, (begin, end) in pieces.items():
        code = image.instructions(begin, end)
        check(code[-1] == "iretq", f"{name}: ends with {code[-1]}")
        for instruction in code:
            straight = not re.match(r"(j|call|loop|rep)", instruction) or "<too_small>" in instruction
            check(straight, f"{name}: not a straight line: {instruction}")
        count[name] = len(code)
    print("instructions at CPL0:", ", ".join(f"{name} {n}" for name, n in count.items()),
          "(and 2 or 3 of its stub)")
    check(count["entry"] + count["seal"] <= budget, f"more than {budget} instructions at CPL0")

    text = next(seg for seg in image.loaded() if seg["flags"] & 1)
    privileged = 0
    for begin, end in pieces.values():
        privileged += sum(1 for i in image.instructions(begin, end) if PRIVILEGED.match(i))
    everywhere = image.instructions(text["vaddr"], text["vaddr"] + text["filesz"])
    total = sum(1 for i in everywhere if PRIVILEGED.match(i))
    if not may_try:
        check(total == privileged, f"{total - privileged} privileged instructions outside the CPL0 pieces")
    for instruction in image.instructions(s["_start"], s["last_words"]):
        check(not re.search(r"%[xyz]mm|%st\b|%mm\d", instruction), f"boot code uses more than registers: {instruction}")


def check_size(image, budget):
    loaded = sum(s["filesz"] for s in image.loaded())
    pages = sum(-(-s["filesz"] // PAGE) for s in image.loaded())
    print(f"loads {loaded} octets in {pages} pages")
    if budget:
        check(pages * PAGE <= budget, f"{pages} pages are more than {budget} octets")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("image")
    parser.add_argument("--budget", type=int)
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--devices")
    parser.add_argument("--cpl0", type=int, default=48)
    parser.add_argument("--tries-privileged", action="store_true")
    options = parser.parse_args()
    image = Image(options.image)
    check_segments(image)
    check_notes(image, options.devices)
    check_cpl0(image, options.cpl0, options.tries_privileged)
    for pattern in options.without:
        there = [name for name in image.symbols if re.search(pattern, name)]
        check(not there, f"in the image although nothing asks for it: {there}")
    check_size(image, options.budget)


main()
