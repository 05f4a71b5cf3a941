#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Headless Chromium loads the website and makes a picture of it."""

import os
import shutil
import struct
import zlib

from interop import Skip, check, ended_well, in_text, main
from testnet.subjects import WEBSITE

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def browser():
    for name in _NAMES:
        if shutil.which(name):
            return name
    raise Skip(f"none of {', '.join(_NAMES)} is installed")


def options(lab):
    # no sandbox: it needs user namespaces, which root in a container may not have; the page is our own
    return ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={os.path.join(lab.directory, 'profile')}", "--window-size=1280,900",
            "--virtual-time-budget=5000"]


def picture(path):
    """Width, height and the set of colours of a PNG file with 8 bits a channel (RFC 2083)."""
    with open(path, "rb") as file:
        octets = file.read()
    check(octets[:8] == b"\x89PNG\r\n\x1a\n", "not a PNG file")
    width, height, depth, kind = struct.unpack("!IIBB", octets[16:26])
    check(depth == 8 and kind in (2, 6), f"depth {depth}, colour type {kind}")
    at, packed = 8, b""
    while at < len(octets):
        length, name = struct.unpack("!I4s", octets[at:at + 8])
        packed += octets[at + 8:at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    # the filter of a row tells neighbouring pixels apart from equal ones: zeros everywhere are one flat colour
    rows, stride = zlib.decompress(packed), width * (3 if kind == 2 else 4) + 1
    varied = sum(any(rows[i * stride + 1 + (stride - 1) // 8:(i + 1) * stride]) for i in range(height))
    return width, height, varied


def chromium_makes_a_picture(lab, case):
    program = browser()
    running = case.start(lab, WEBSITE)
    target = os.path.join(lab.directory, "page.png")
    with case.judged(running):
        running.client.run(program, *options(lab), f"--screenshot={target}", running.url + "/", seconds=50,
                           env={**os.environ, "HOME": lab.directory})
    check(os.path.exists(target), "no picture was written")
    width, height, varied = picture(target)
    check((width, height)[0] >= 1000, f"picture of {width} x {height}")
    check(varied >= 5, f"only {varied} of {height} rows of the picture hold anything: a blank page")
    ended_well(running)


def chromium_reads_the_text(lab, case):
    program = browser()
    running = case.start(lab, WEBSITE)
    with case.judged(running):
        document = running.client.run(program, *options(lab), "--dump-dom", running.url + "/", seconds=50,
                                      env={**os.environ, "HOME": lab.directory}).stdout
    in_text(r"<h1[^>]*>[^<]+", document, "the page as the browser understood it")
    ended_well(running)


if __name__ == "__main__":
    main(chromium_makes_a_picture, chromium_reads_the_text)
