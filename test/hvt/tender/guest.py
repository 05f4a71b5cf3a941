# SPDX-License-Identifier: MIT
"""Guests for the tests of the tender: images made to measure around the interpreter (interpreter.S), and programs for it."""
import os
import struct
import subprocess
import sys

PAGE = 4096
TEXT, DATA = 0x100000, 0x200000  # of the interpreter
ARGUMENT = 0x300000  # where programs build hypercall arguments
BUFFER = 0x310000  # and buffers
WALLTIME, PUTS, POLL, BLOCK_WRITE, BLOCK_READ, NET_WRITE, NET_READ, HALT, KICK = *range(0x501, 0x509), 0x600
OK, AGAIN, EINVAL, EUNSPEC = range(4)
BLOCK, NET = 1, 2
PT_LOAD, PT_NOTE, R, W, X = 1, 4, 4, 2, 1
MEMORY = 8  # MiB
OUTSIDE = MEMORY << 20


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def need_kvm(tender):
    """Skips unless guests can run here; the tender's neighbour kvm-floor knows."""
    floor = os.path.join(os.path.dirname(tender), "kvm-floor")
    done = subprocess.run([floor], capture_output=True, text=True)
    if done.returncode != 0:
        skip(done.stderr.strip() or "KVM does not work here")


class Image:
    """An ELF file in parts that a test may bend before it asks for the octets."""

    def __init__(self, interpreter, devices=()):
        original = open(interpreter, "rb").read()
        phoff, = struct.unpack_from("<Q", original, 32)
        phnum, = struct.unpack_from("<H", original, 56)
        self.segments = []  # dicts; "content" is what the file holds
        for i in range(phnum):
            kind, flags, offset, vaddr, _, filesz, memsz, align = struct.unpack_from("<IIQQQQQQ", original, phoff + 56 * i)
            if kind == PT_LOAD:
                self.segments.append(dict(flags=flags, vaddr=vaddr, memsz=memsz, align=align,
                                          content=original[offset:offset + filesz]))
        self.header = dict(magic=b"\x7fELF\x02\x01\x01" + bytes(9), type=2, machine=62, version=1, entry=TEXT, ehsize=64,
                           phentsize=56, phnum=None)
        self.notes = [note(0x31494241, struct.pack("<IIII", 1, 2, 0, 0)), note(0x3154464D, manifest(devices))]

    def octets(self):
        count = len(self.segments) + len(self.notes)
        at = 64 + 56 * count
        table, body = b"", b""
        for n in self.notes:
            at += -at % 8
            body = body.ljust(at - 64 - 56 * count, b"\0") + n
            table += struct.pack("<IIQQQQQQ", PT_NOTE, R, at, 0, 0, len(n), len(n), 8)
            at += len(n)
        for s in self.segments:
            at += -at % PAGE
            body = body.ljust(at - 64 - 56 * count, b"\0") + s["content"]
            table += struct.pack("<IIQQQQQQ", PT_LOAD, s["flags"], at, s["vaddr"], s["vaddr"],
                                 s.get("filesz", len(s["content"])), s["memsz"], s["align"])
            at += len(s["content"])
        h = self.header
        head = h["magic"] + struct.pack("<HHIQQQIHHHHHH", h["type"], h["machine"], h["version"], h["entry"], 64, 0, 0,
                                        h["ehsize"], h["phentsize"], count if h["phnum"] is None else h["phnum"], 0, 0, 0)
        return head + table + body

    def write(self, path):
        with open(path, "wb") as f:
            f.write(self.octets())
        return path


def note(kind, payload, name=b"Solo5\0\0\0", name_size=6, size=None):
    return struct.pack("<III", name_size, len(payload) if size is None else size, kind) + name + payload


def entry(name, kind, attached=0):
    return struct.pack("<68sIQQQB7x", name.encode(), kind, 0, 0, 0, attached)


def manifest(devices, version=1, count=None, first=None):
    """`devices`: pairs of a name and a type."""
    entries = [entry("", 0x40000000) if first is None else first] + [entry(name, kind) for name, kind in devices]
    return bytes(4) + struct.pack("<II", version, len(entries) if count is None else count) + b"".join(entries)


class Program:
    """Text for the interpreter. Every method is a command or several; all give the program back."""

    def __init__(self):
        self.words = []

    def __call__(self, letter, *numbers):
        self.words += [letter, *(f"{n:x}" for n in numbers)]
        return self

    def here(self):
        """The character that the next command will be at, for "g" and "n"."""
        return len(str(self)) + (1 if self.words else 0)

    def put(self, address, octets):
        for i in range(0, len(octets), 8):
            self("q", address + i, int.from_bytes(octets[i:i + 8].ljust(8, b"\0"), "little"))
        return self

    def show(self, *addresses):
        for a in addresses:
            self("x", a)
        return self

    def call(self, port, *words, at=ARGUMENT):
        """A hypercall with these 8-octet words as its argument."""
        for i, w in enumerate(words):
            self("q", at + 8 * i, w)
        return self("o", port, at)

    def halt(self, status, cookie=0):
        return self("h", status & 0xFFFFFFFF, cookie)

    def __str__(self):
        return " ".join(self.words)


def numbers(text):
    """What "x" has printed."""
    return [int(line, 16) for line in text.split()]


class Failures:
    """Collects what does not hold, so that one run shows all of it."""

    def __init__(self):
        self.count = self.checks = 0

    def check(self, holds, what):
        self.checks += 1
        if not holds:
            self.count += 1
            print("FAILED:", what)

    def end(self):
        print(f"{self.checks - self.count} of {self.checks} checks hold")
        sys.exit(1 if self.count or not self.checks else 0)


def run_raw(command, timeout=60, **more):
    """Status, and what was written to the two outputs, in octets."""
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=timeout, **more)
    return done.returncode, done.stdout, done.stderr


def run(command, **more):
    status, out, err = run_raw(command, **more)
    return status, out.decode(errors="replace"), err.decode(errors="replace")
