#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The checks of images, on an image and with demands that it cannot meet: each has to be refused, for its reason.

usage: notices.py IMAGE_SIZE IMAGE_FORM ECHO_IMAGE NO_UDP NO_TCP"""
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

size, form, echo, no_udp, no_tcp = sys.argv[1:]
wrong = []


def refused(title, reason, *command):
    run = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
    if run.returncode == 0 or not re.search(reason, run.stdout + run.stderr):
        wrong.append(f"{title}: status {run.returncode}, said: {(run.stdout + run.stderr)[-300:]}")


refused("too large", r"\d+ more than its budget of 1000\b.*largest", size, echo, "--budget=1000")
refused("not an image", "not a 64-bit", size, __file__)
refused("a layer that is there", "in the image although", form, echo, "--devices=net:service", "--without=" + no_udp)
refused("another layer that is there", "in the image although", form, echo, "--devices=net:service", "--without=" + no_tcp)
refused("another manifest", "MFT1: devices", form, echo, "--devices=block:disk")

octets = bytearray(pathlib.Path(echo).read_bytes())
with tempfile.TemporaryDirectory() as folder:
    (phoff,) = struct.unpack_from("<Q", octets, 32)
    broken = pathlib.Path(folder, "writable.hvt")
    broken.write_bytes(octets[:phoff + 4] + struct.pack("<I", 7) + octets[phoff + 8:])
    refused("text that can be written", "writable and executable", form, broken, "--devices=net:service")

print("\n".join(wrong) or "all are refused")
sys.exit(bool(wrong))
