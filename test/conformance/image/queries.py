#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `mirage manifest` and `mirage size --svg` say of images, and that a damaged file gets one sentence.

usage: queries.py MANIFEST SIZE IMAGE TARGET [--devices=net:NAME,block:NAME...]"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

manifest, size, image, target = sys.argv[1:5]
devices = [d for d in (sys.argv[5] if len(sys.argv) > 5 else "").partition("=")[2].split(",") if d]
failures = []
folder = tempfile.TemporaryDirectory()


def check(holds, what):
    if not holds:
        failures.append(what)


def run(*words):
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def tells():
    status, out, err = run(manifest, image, "--json")
    about = json.loads(out)
    check((status, err) == (0, "") and about["abi"]["target"] == target and about["machine"] == "x86_64", f"{status} {about} {err}")
    check([f"{d['type']}:{d['name']}" for d in about["devices"]] == devices, f"devices: {about['devices']}, not {devices}")
    check(about["memory"]["begin"] <= about["entry"] < about["memory"]["end"], f"{about['memory']}, {about['entry']}")
    status, out, _ = run(manifest, image)
    check(status == 0 and out.splitlines()[0] == image and f"platform  {target}" in out and all(d.split(":")[1] in out for d in devices), out)


def draws():
    picture = os.path.join(folder.name, "a.svg")
    status, out, err = run(size, image, "--by", "symbol", "--top", "3", "--svg", picture)
    check(status == 0, f"{status} {err}")
    loaded = json.loads(run(size, image, "--json")[1])["loaded"]
    root = xml.etree.ElementTree.parse(picture).getroot()
    space = "{http://www.w3.org/2000/svg}"
    layers = [g for g in root if g.tag == space + "g"]
    told = [int(g.find(space + "title").text.split(": ")[1].split(" ")[0].replace(",", "")) for g in layers]
    check(sum(told) == loaded and told == sorted(told, reverse=True), f"{sum(told)} octets in the picture, {loaded} in the image")
    area = lambda g: (lambda r: float(r.get("width")) * float(r.get("height")))(g.find(space + "rect"))
    whole = sum(area(g) for g in layers)
    for g, octets in zip(layers, told):
        check(abs(area(g) / whole - octets / loaded) < 0.01, f"{octets} octets have {area(g) / whole:.3f} of the area")
    for g in root.iter(space + "rect"):
        x, y, w, h = (float(g.get(k, 0)) for k in ("x", "y", "width", "height"))
        check(x >= 0 and y >= 0 and x + w <= 1200.2 and y + h <= 760.2, f"a rectangle outside: {x} {y} {w} {h}")
    status, _, err = run(size, image, "--svg", folder.name + "/none/a.svg")
    check(status == 1 and "No such file" in err and "Traceback" not in err, err)


def damaged():
    """Cut anywhere, or with an octet changed: an answer or a sentence, in this process to make many of them cheap."""
    sys.path.insert(0, os.path.dirname(manifest))
    tool = __import__("importlib").import_module("image-manifest")
    octets = open(image, "rb").read()
    chance = random.Random(2)
    notes = [s for s in tool.Image(octets).segments if s["kind"] == 4]
    places = list(range(64 + 56 * struct.unpack_from("<H", octets, 56)[0]))
    places += [at for s in notes for at in range(s["offset"], s["offset"] + s["file_size"])]
    sentences = 0
    for at in places:
        for changed in (octets[:at], octets[:at] + bytes([chance.randrange(256)]) + octets[at + 1:]):
            try:
                tool.read(changed)
            except tool.Failure as failure:
                sentences += 1
                check(str(failure) and "\n" not in str(failure), f"at {at}: {failure}")
            except Exception as wrong:
                check(False, f"at {at}: {type(wrong).__name__}: {wrong}")
    check(sentences > len(places) / 2, f"{sentences} sentences for {2 * len(places)} damaged files")
    for content, said in ((b"", "not an ELF file"), (b"#!/bin/sh\n", "not an ELF file"), (b"\x7fELF\x01\x01" + bytes(90), "64-bit"),
                          (octets[:100], "truncated"), (open(os.path.realpath(sys.executable), "rb").read(), "no unikernel")):
        path = os.path.join(folder.name, "bad")
        with open(path, "wb") as f:
            f.write(content)
        status, out, err = run(manifest, path)
        check(status == 1 and out == "" and said in err and err.count("\n") == 1, f"{said!r}: {status} {err}")
    status, _, err = run(manifest, folder.name + "/none")
    check(status == 1 and "No such file" in err and err.count("\n") == 1, err)


for part in (tells, draws, damaged):
    part()
print("\n".join(failures) or "all of it holds")
sys.exit(1 if failures else 0)
