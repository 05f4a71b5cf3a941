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
            f"--user-data-dir={os.path.join(lab.directory, 'profile')}", "--window-size=800,600",
            "--virtual-time-budget=5000"]


def picture(path):
    """Width, height and the set of colours of a PNG file with 8 bits a channel and no interlacing (RFC 2083)."""
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
    pixel = 3 if kind == 2 else 4
    rows, above, colours = zlib.decompress(packed), bytes(width * pixel), set()
    for begin in range(0, len(rows), width * pixel + 1):
        above = unfiltered(rows[begin], rows[begin + 1:begin + 1 + width * pixel], above, pixel)
        colours.update(zip(*(above[channel::pixel] for channel in range(3))))
    return width, height, colours


def unfiltered(kind, row, above, pixel):
    """One row of a picture from its differences (RFC 2083 section 6)."""
    out = bytearray(row)
    if kind == 2:
        return bytes((a + b) & 255 for a, b in zip(row, above))
    for i in range(len(out) if kind else 0):
        left, up = out[i - pixel] if i >= pixel else 0, above[i]
        corner = above[i - pixel] if i >= pixel else 0
        if kind == 1:
            predicted = left
        elif kind == 3:
            predicted = (left + up) // 2
        else:
            far = [abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)]
            predicted = (left, up, corner)[far.index(min(far))]
        out[i] = (out[i] + predicted) & 255
    return out


def chromium_makes_a_picture(lab, case):
    program = browser()
    running = case.start(lab, WEBSITE)
    target = os.path.join(lab.directory, "page.png")
    with case.judged(running):
        running.client.run(program, *options(lab), f"--screenshot={target}", running.url + "/", seconds=50,
                           env={**os.environ, "HOME": lab.directory})
    check(os.path.exists(target), "no picture was written")
    width, height, colours = picture(target)
    check(width >= 600 and height >= 300, f"picture of {width} x {height}")
    # smooth text alone has dozens of greys
    check(len(colours) >= 8, f"only {len(colours)} colours: a blank page")
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
