#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`mirage new` makes a project outside of this one that builds, tests and runs; names that cannot be are refused in a sentence."""

import os
import subprocess
import sys
import tempfile

MIRAGE = sys.argv[1]
SAYS = b"Hello from greeter\n"


def run(*words, status=0, **options):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != status:
        sys.exit(f"FAIL {' '.join(words)}: status {done.returncode}, wanted {status}\n{done.stdout.decode()[-4000:]}")
    return done.stdout


def main():
    with tempfile.TemporaryDirectory(prefix="mirage-new-") as home:
        for name, reason in (("Greeter", b"small letters"), ("2nd", b"small letters"), ("../up", b"small letters"),
                             ("class", b"a word of C++"), ("co_await", b"a word of C++"), ("install", b"a word of C++ or of Meson"),
                             ("printf", b"a word of C++"), ("x" * 41, b"1 to 40")):
            said = run(MIRAGE, "new", name, status=1, cwd=home)
            if reason not in said or said.count(b"\n") != 1:
                sys.exit(f"FAIL mirage new {name}: {said.decode()}")
        if os.listdir(home):
            sys.exit(f"FAIL a refused name left something behind: {os.listdir(home)}")
        run(MIRAGE, "new", "greeter", cwd=home)
        project = os.path.join(home, "greeter")
        before = sorted(os.listdir(project))
        if b"is there already" not in run(MIRAGE, "new", "greeter", status=1, cwd=home):
            sys.exit("FAIL an existing folder is not named")
        if sorted(os.listdir(project)) != before:
            sys.exit("FAIL an existing folder was changed")

        environment = {key: value for key, value in os.environ.items() if key not in ("CXXFLAGS", "CPPFLAGS", "LDFLAGS")}
        run("meson", "setup", "build", "-Dmirage:tender=false", cwd=project, env=environment)
        run("ninja", "-C", "build", cwd=project)
        run("meson", "test", "-C", "build", cwd=project)
        said = run("build/greeter", cwd=project)
        if not said.endswith(SAYS):
            sys.exit(f"FAIL the host build says {said!r}")
        images = ["greeter.hvt"] + (["greeter.xen", "greeter.xl"] if os.path.exists("/usr/include/xen/xen.h") else [])
        for image in images:
            if not os.path.getsize(os.path.join(project, "build", image)):
                sys.exit(f"FAIL {image} is empty")
        tender = sys.argv[2] if len(sys.argv) > 2 else ""
        if tender and os.access("/dev/kvm", os.R_OK | os.W_OK):
            said = run(tender, os.path.join(project, "build", "greeter.hvt"))
            if SAYS not in said:
                sys.exit(f"FAIL the guest says {said!r}")
            print("a project of its own: built, tested, run as a process and as a guest")
        else:
            print("a project of its own: built, tested, run as a process (as a guest not: no /dev/kvm, or no tender)")


if __name__ == "__main__":
    main()
