#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A cable that puts what comes from one end into a VLAN, and takes it out towards that end, for kernels without VLANs.

    tagging_cable.py TAGGED_DESCRIPTOR PLAIN_DESCRIPTOR ID
"""

import os
import select
import sys


def main():
    tagged, plain, number = map(int, sys.argv[1:])
    tag = b"\x81\0" + number.to_bytes(2, "big")
    print("ready", flush=True)
    while True:
        for end in select.select([tagged, plain], [], [])[0]:
            frame = os.read(end, 65536)
            if end == plain:
                os.write(tagged, frame[:12] + tag + frame[12:])
            elif frame[12:14] == tag[:2] and int.from_bytes(frame[14:16], "big") & 0xFFF == number:
                os.write(plain, frame[:12] + frame[16:])


if __name__ == "__main__":
    main()
