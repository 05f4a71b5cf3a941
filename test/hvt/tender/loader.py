#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every wrong image and every wrong command line gets the sentence that says so, and status 1. Needs no KVM.

usage: loader.py TENDER INTERPRETER"""
import os
import re
import struct
import sys
import tempfile

from guest import BLOCK, NET, PAGE, R, W, X, Failures, Image, entry, manifest, note, run

tender, interpreter = sys.argv[1:3]
failures = Failures()
folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "guest.hvt")


def refused(what, pattern, *options, arguments=(), image=path, **more):
    status, out, err = run([tender, *options, image, *arguments], **more)
    said = err if isinstance(err, str) else err.decode()
    failures.check(status == 1 and out == "" and re.search(pattern, said) and said.startswith("mirage-hvt: ")
                   and "\n" in said, f"{what}: status {status}, said {said!r}, expected /{pattern}/")


def bent(what, pattern, bend, *options, devices=()):
    """An image that `bend` has changed, as parts or (when it returns something) as octets."""
    image = Image(interpreter, devices)
    octets = bend(image)
    with open(path, "wb") as f:
        f.write(octets if octets is not None else image.octets())
    refused(what, rf"guest\.hvt: .*{pattern}", *options)


def header(**fields):
    return lambda image: image.header.update(fields)


def segment(index, **fields):
    return lambda image: image.segments[index].update(fields)


def notes(*new):
    def bend(image):
        image.notes = list(new)
    return bend


ABI = note(0x31494241, struct.pack("<IIII", 1, 2, 0, 0))
MFT = note(0x3154464D, manifest(()))


def abi(*words):
    return notes(note(0x31494241, struct.pack("<IIII", *words, 0, 0)), MFT)


def mft(payload):
    return notes(ABI, note(0x3154464D, payload))


def files():
    refused("missing file", r"nowhere\.hvt: No such file", image=os.path.join(folder.name, "nowhere.hvt"))
    refused("a folder", r": not a file", image=folder.name)
    bent("empty file", "empty", lambda i: b"")
    bent("a text", "not an ELF file", lambda i: b"#!/bin/sh\n" * 100)
    whole = Image(interpreter).octets()
    for size in [1, 63, 64, 100, 64 + 56 * 4 - 1, 400, PAGE, len(whole) - 1]:
        bent(f"{size} octets of it", "truncated", lambda i, size=size: whole[:size])
    bent("32-bit", "not a 64-bit", header(magic=b"\x7fELF\x01\x01\x01" + bytes(9)))
    bent("big-endian", "not a 64-bit", header(magic=b"\x7fELF\x02\x02\x01" + bytes(9)))
    bent("PIE", "position-independent", header(type=3))
    bent("object file", "not an executable", header(type=1))
    bent("aarch64", "another machine.*183", header(machine=183))
    bent("size of the header", "header is damaged", header(ehsize=52))
    bent("size of program headers", "header is damaged", header(phentsize=32))
    bent("no program headers", "header is damaged", header(phnum=0))
    bent("many program headers", "truncated|damaged", header(phnum=65535))
    bent("low entry point", "entry point", header(entry=0xFFFFF))
    bent("high entry point", "entry point", header(entry=512 << 20))
    bent("a program of this machine", "position-independent|no ABI1|below 1 MiB|not ",
         lambda i: open("/proc/self/exe", "rb").read())


def segments():
    bent("below 1 MiB", "below 1 MiB", segment(0, vaddr=0xFF000))
    bent("below 1 MiB when rounded", "below 1 MiB", segment(0, vaddr=0x101000, align=0x200000))
    bent("out of order", "out of order", lambda i: i.segments.reverse())
    bent("overlap", "overlaps", segment(1, vaddr=0x100800))
    bent("overlap when rounded", "overlaps", segment(1, vaddr=0x100800, align=0x1000))
    bent("W+X", "both writable and executable", segment(1, flags=R | W | X))
    bent("smaller in memory", "smaller in memory", segment(1, memsz=4))
    bent("alignment 0", "alignment is not a power", segment(1, align=0))
    bent("alignment 3000", "alignment is not a power", segment(1, align=3000))
    bent("alignment 16", "less than a page", segment(1, align=16))
    bent("wraps around", "beyond the address space", segment(1, vaddr=2**64 - PAGE))
    bent("wraps around in memory", "beyond the address space", segment(1, memsz=2**64 - PAGE))
    bent("wraps around in the file", "truncated", segment(1, filesz=2**64 - PAGE, memsz=2**64 - PAGE))
    bent("needs more memory", r"16 MiB; .*--mem=", segment(1, memsz=64 << 20), "--mem=16")
    image = Image(interpreter)
    image.segments[1]["memsz"] = (5 << 20) + 1
    image.write(path)
    _, _, err = run([tender, "--mem=4", path])
    found = re.search(r"--mem=(\d+)", err)
    failures.check(found is not None, f"a number of MiB to try: {err}")
    if found:
        _, _, err = run([tender, "--mem=" + found[1], path])
        failures.check("does not fit" not in err, f"--mem={found[1]}, as advised: {err}")
    bent("nothing to load", "nothing to load|entry", lambda i: i.segments.clear())


def solo5_notes():
    bent("no ABI1", "no ABI1 note", notes(MFT))
    bent("no manifest", "no manifest", notes(ABI))
    bent("spt", "target spt", abi(2, 2))
    bent("xen", "target xen", abi(6, 2))
    bent("another target", r"target \?", abi(77, 2))
    bent("hvt 1", "version 1 of the hvt ABI", abi(1, 1))
    bent("hvt 3", "version 3 of the hvt ABI", abi(1, 3))
    bent("short ABI1", "ABI1 note is damaged", notes(note(0x31494241, bytes(8)), MFT))
    bent("tiny note", "note of the file is damaged", notes(ABI, MFT, bytes(8)))
    bent("note larger than it is", "damaged", notes(ABI, note(0x3154464D, manifest(()), size=500)))
    bent("note without payload", "damaged", notes(ABI, note(0x3154464D, b"", size=0)))
    bent("another's note", "no ABI1", notes(note(0x31494241, bytes(16), b"GNU\0\0\0\0\0"), MFT))
    bent("manifest 2", "version 2", mft(manifest((), version=2)))
    bent("manifest without entries", "number of entries", mft(bytes(4) + struct.pack("<II", 1, 0)))
    bent("more entries than there are", "number of entries", mft(manifest((), count=2)))
    bent("65 entries", "number of entries", mft(manifest([(f"n{i}", NET) for i in range(64)])))
    bent("half an entry", "number of entries", mft(manifest([("a", NET)])[:-50]))
    bent("not reserved", "reserved entry", mft(manifest((), first=entry("", NET))))
    bent("reserved with a name", "reserved entry", mft(manifest((), first=entry("a", 0x40000000))))
    bent("name without end", "entry 1 of the manifest", mft(manifest([("n" * 68, NET)])))
    bent("attached in the file", "entry 0 of the manifest", mft(manifest((), first=entry("", 0x40000000, 1))))
    bent("attached otherwise", "entry 0 of the manifest", mft(manifest((), first=entry("", 0x40000000, 255))))


def devices():
    disk = os.path.join(folder.name, "disk")
    with open(disk, "wb") as f:
        f.truncate(8192)
    Image(interpreter, [("service", NET)]).write(path)
    refused("no --net", r"network device 'service'.*\n.*--net:service=tap0.*\n.*--net:service=user")
    refused("no such interface", r"--net:service=nowhere: there is no such interface; .*\n.*ip tuntap add nowhere",
            "--net:service=nowhere")
    refused("a name too long", r"there is no such interface", "--net:service=" + "n" * 16)
    refused("not a TAP", r"--net:service=lo: (is not a TAP|is not yours|/dev/net/tun)", "--net:service=lo")
    refused("closed descriptor", r"@97: descriptor 97 is not open", "--net:service=@97")
    refused("no descriptor", r"@x: expected an open descriptor", "--net:service=@x")
    refused("standard output", r"@1: expected an open descriptor", "--net:service=@1")
    for wrong in ("user,", "user,hostfwd", "user,hostfwd=sctp:127.0.0.1:80-:80", "user,hostfwd=tcp:localhost:80-:80",
                  "user,hostfwd=tcp:127.0.0.1:0-:80", "user,hostfwd=tcp:127.0.0.1:65536-:80", "user,hostfwd=tcp::80",
                  "user,dns=1.1.1.1", "user,hostfwd=tcp:127.0.0.1:80-:80x"):
        refused(wrong, r"expected user\[,hostfwd=", "--net:service=" + wrong)
    refused("wrong MAC", r"--net-mac:service: '01:02': expected the address", "--net:service=user", "--net-mac:service=01:02")
    refused("multicast MAC", r"expected the address of one station", "--net:service=user",
            "--net-mac:service=01:02:03:04:05:06")
    refused("unknown device", r"--net:other: the unikernel has no such device; it has service", "--net:service=user",
            "--net:other=user")
    refused("MAC of an unknown device", r"--net-mac:other: .*no such device", "--net:service=user",
            "--net-mac:other=02:00:00:00:00:01")
    refused("disk for a network", r"--block:service: .*no such device", "--net:service=user", f"--block:service={disk}")
    refused("capture nowhere", r"--pcap:service=/nowhere/a\.pcap: No such file", "--net:service=user",
            "--pcap:service=/nowhere/a.pcap")
    Image(interpreter, [("storage", BLOCK)]).write(path)
    refused("no --block", r"block device 'storage'.*--block:storage=PATH")
    refused("no such disk", r"--block:storage=/nowhere/disk: No such file.*truncate -s", "--block:storage=/nowhere/disk")
    refused("a folder as disk", r"--block:storage=.*directory", f"--block:storage={folder.name}")
    for size in ("0", "511", "513", "65536", "1e3", "512x"):
        refused(f"sectors of {size}", r"--block-sector-size:storage=.*: expected a power of two", f"--block:storage={disk}",
                f"--block-sector-size:storage={size}")
    refused("half a sector", r"octets is not a whole number of sectors", f"--block:storage={disk}",
            "--block-sector-size:storage=16384")
    Image(interpreter, [("thing", 9)]).write(path)
    refused("unknown type", r"device 'thing' of a type")
    Image(interpreter).write(path)
    refused("device of none", r"--net:service: the unikernel has no such device; it has none", "--net:service=user")


def options():
    Image(interpreter).write(path)
    for text in ("", "0", "1", "4097", "-2", "2M", "99999999999999999999"):
        refused(f"--mem={text}", r"--mem=.*: expected a number of MiB", f"--mem={text}")
    refused("unknown option", r"unknown option '--nett:a=b'", "--nett:a=b")
    refused("separate value", r"unknown option '--mem'", "--mem", "8")
    refused("no name", r"expected --net:NAME=VALUE", "--net:=tap0")
    refused("no value", r"expected --net:NAME=VALUE", "--net:a=")
    refused("twice", r"--net:a is given twice", "--net:a=user", "--net:a=user")
    refused("long command line", r"longer than 8191", arguments=["a" * 8192])
    status, out, err = run([tender])
    failures.check(status == 1 and "no unikernel is named" in err, f"no image: {err!r}")
    status, out, err = run([tender, "--help"])
    wanted = ("--mem=", "--net:NAME=", "--net-mac:NAME=", "--block:NAME=", "--block-sector-size:NAME=", "--pcap:NAME=", "@FD",
              "user[,hostfwd=", "--ring=", "--help", "--version", "exit status")
    failures.check(status == 0 and err == "" and all(w in out for w in wanted), f"--help: {[w for w in wanted if w not in out]}")
    status, out, err = run([tender, "--version"])
    failures.check(status == 0 and re.fullmatch(r"mirage-hvt tender, version \S+\nABI version 2\n", out), f"--version: {out!r}")


for part in (files, segments, solo5_notes, devices, options):
    part()
failures.end()
