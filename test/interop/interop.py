# SPDX-License-Identifier: MIT
"""What the interop tests share: the subject they were asked to test, its tools, and a judge over every capture."""

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from testnet import Capture, Skip, judge, require_root, require_tools, run_tests  # noqa: E402
from testnet import subjects  # noqa: E402

MIB = 1 << 20


class Case:
    """One test's view of the subject under test."""

    def __init__(self, build, target, keep=None):
        self.build = build
        self.keep = keep      # a folder for the captures, when they are to be looked at afterwards
        self.target = subjects.TARGETS.get(target)  # None: the Linux reference, which proves the tests themselves

    def program(self, folder, name):
        """A program of ours for tests."""
        path = os.path.join(self.build, folder, name)
        if not os.path.exists(path):
            raise Skip(f"{name} is not built")
        return path

    @staticmethod
    def needs(*tools):
        """Skips the test unless every tool is installed (see `require_tools`); returns the path of the first."""
        require_tools(*tools)
        return shutil.which(tools[0]) if tools else None

    def needs_frames(self):
        """Skips the test where the frames of the subject cannot be reached."""
        if self.target and self.target.user_networking:
            raise Skip("user networking has no frames to see")

    def start(self, lab, app, cable=None):
        """Attaches and starts `app` on the target; returns subjects.Running."""
        require_root("tcpdump", "tshark")
        if self.target is None:
            running = subjects.attach_bridged(lab, app, linux=True, cable=cable)
            program = self.program("test/interop", "pattern")
            return running.start([sys.executable, os.path.join(HERE, "reference.py"), program])
        subjects.available(app, self.target, self.build)
        if self.target.user_networking:
            running = subjects.attach_user(lab, app)
        else:
            running = subjects.attach_bridged(lab, app, cable=cable)
        return running.start(subjects.command(app, self.target, self.build))

    @contextlib.contextmanager
    def judged(self, running, name="capture", **verdict):
        """Everything on the client's cable inside the block is captured and judged by tshark at its end."""
        if running.device is None:
            yield None
            return
        capture = Capture(running.client, running.device, os.path.join(running.lab.directory, name + ".pcap"))
        try:
            yield capture
        finally:
            capture.stop()
            if self.keep:
                shutil.copy(capture.path, self.keep)
        count = judge(capture.path, **verdict)
        print(f"  tshark: {count} packets, none malformed, no wrong checksum", flush=True)

    def stream_file(self, lab, octets):
        """A file with the first octets of the test stream, and its SHA-256 in hexadecimal."""
        path = os.path.join(lab.directory, f"stream-{octets}")
        with open(path, "wb") as file:
            subprocess.run([self.program("test/interop", "pattern"), str(octets)], stdout=file, check=True)
        with open(path, "rb") as file:
            return path, hashlib.file_digest(file, "sha256").hexdigest()


def ended_well(running):
    """The subject is still there, and ends when it is told to."""
    running.stop()


def check(condition, message):
    """An assertion that no interpreter option takes away."""
    if not condition:
        raise AssertionError(message)


def equal(found, expected, what):
    check(found == expected, f"{what}: {found!r}, expected {expected!r}")


def in_text(pattern, text, what):
    found = re.search(pattern, text)
    check(found, f"{what}: no {pattern!r} in\n{text}")
    return found


def main(*tests):
    """Runs the tests of a file against one target, or those whose names contain a word of the command line."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="DIR", help="Meson's build directory")
    parser.add_argument("--target", default="linux", choices=["linux", *subjects.TARGETS],
                        help="linux (default) is the reference, which proves the tests")
    parser.add_argument("--keep", metavar="DIR", help="leave the capture of the last test in DIR")
    parser.add_argument("words", nargs="*", help="run only tests whose names contain one of these")
    options = parser.parse_args()
    chosen = [test for test in tests if not options.words or any(word in test.__name__ for word in options.words)]
    run_tests(chosen, Case(os.path.abspath(options.build), options.target, options.keep))
