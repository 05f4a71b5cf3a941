#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`mirage run` names devices as the tender and host builds do: what reaches the program that it starts.

usage: run_options.py MIRAGE"""
import os
import subprocess
import sys
import tempfile

mirage = sys.argv[1]
if not os.access("/dev/kvm", os.R_OK | os.W_OK):
    print("SKIP: no usable /dev/kvm")
    sys.exit(77)
failures = []
folder = tempfile.TemporaryDirectory()
build = os.path.join(folder.name, "build")


def script(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + text + "\n")
    os.chmod(path, 0o755)


# Nothing is built or installed: what is started says how.
for name, text in (("ninja", "exit 0"), ("dpkg-query", "printf 'ii '")):
    script(os.path.join(folder.name, "bin", name), text)
for started in ("platform/hvt/tender/mirage-hvt", "examples/echo/echo", "examples/disk/disk", "examples/hello/hello"):
    script(os.path.join(build, started), 'printf "%s\\n" "$@"')
script(os.path.join(build, "platform/hvt/tender/kvm-floor"), "exit 0")
open(os.path.join(build, "build.ninja"), "w").close()
environment = {**os.environ, "PATH": os.path.join(folder.name, "bin") + ":" + os.environ["PATH"], "MIRAGE_BUILD_DIR": build}


def run(*words):
    done = subprocess.run([mirage, "run", *words], capture_output=True, text=True, env=environment, timeout=60)
    return done.returncode, done.stdout.splitlines(), done.stderr


def starts(words, expected):
    status, out, err = run(*words)
    if (status, out) != (0, expected):
        failures.append(f"{words}: {status}, {out}, not {expected}: {err}")


def refused(words, why):
    status, out, err = run(*words)
    if status == 0 or why not in err:
        failures.append(f"{words}: {status}, {out}, {err!r}: no {why!r}")


image = os.path.join(build, "examples/{0}/{0}.hvt").format
host = ["--target", "host"]
starts(["echo", "--net", "tap0"], ["--mem=32", "--net:service=tap0", "--", image("echo")])
starts(["echo", "--net:service=tap0"], ["--mem=32", "--net:service=tap0", "--", image("echo")])
starts(["echo", "--net:service=tap0", *host], ["--net:service=tap0"])
starts(["echo", "--net:service=tap0", "--pcap:service=a.pcapng", "--net-mac:service=02:00:00:00:00:01", "--", "--ipv4=10.0.0.2/24"],
       ["--mem=32", "--net:service=tap0", "--pcap:service=a.pcapng", "--net-mac:service=02:00:00:00:00:01", "--", image("echo"),
        "--ipv4=10.0.0.2/24"])
starts(["disk"], ["--mem=32", f"--block:disk={build}/disk.img", "--", image("disk")])
starts(["disk", "--block:disk=my.img", "--block-sector-size:disk=4096"],
       ["--mem=32", "--block:disk=my.img", "--block-sector-size:disk=4096", "--", image("disk")])
starts(["disk", "--block:disk=my.img", *host], ["--block:disk=my.img"])
starts(["hello", "--gdb", "--trace=calls", "--dumpcore=."], ["--mem=32", "--gdb", "--trace=calls", "--dumpcore=.", "--", image("hello")])
starts(["hello", "--net:service=tap0", "--block:disk=a"], ["--mem=32", "--net:service=tap0", "--block:disk=a", "--", image("hello")])
refused(["hello", "--gdb", *host], "--gdb is of mirage-hvt")
refused(["hello", "--block:data=x", "--target", "xen"], "on Xen, devices have no names")
refused(["hello", "--netif:x=y"], "unknown option '--netif:x=y'")
print("\n".join(failures) or "all of it arrives")
sys.exit(bool(failures))
