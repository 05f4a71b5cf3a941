#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A cable on which every Nth IPv4 packet that may be marked meets congestion (RFC 3168 section 5), in both directions.

    marking_cable.py DESCRIPTOR DESCRIPTOR N
"""

import os
import select
import sys

ECT_0, CE = 2, 3


def marked(frame):
    """The frame with CE and a checksum that is right again (RFC 1624)."""
    frame = bytearray(frame)
    old = int.from_bytes(frame[14:16], "big")
    frame[15] |= CE
    total = (~int.from_bytes(frame[24:26], "big") & 0xFFFF) + (~old & 0xFFFF) + int.from_bytes(frame[14:16], "big")
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    frame[24:26] = (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(frame)


def main():
    first, second, every = map(int, sys.argv[1:])
    seen = {first: 0, second: 0}
    print("ready", flush=True)
    while True:
        for end in select.select([first, second], [], [])[0]:
            frame = os.read(end, 65536)
            if frame[12:14] == b"\x08\0" and frame[15] & 3 == ECT_0:
                seen[end] += 1
                if seen[end] % every == 0:
                    frame = marked(frame)
            os.write(second if end == first else first, frame)


if __name__ == "__main__":
    main()
