#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`mirage new` makes a project outside of this one that builds, tests and runs, with this checkout as its subproject and with an installed
library; names that cannot be are refused in a sentence.

usage: new_project.py tools/mirage BUILD_DIR [TENDER]"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

MIRAGE, BUILD = sys.argv[1:3]
TENDER = sys.argv[3] if len(sys.argv) > 3 else ""
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(MIRAGE)))
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
        # Guests bring how they are optimised; the rest compiles in a third of the time so.
        run("meson", "setup", "build", "--buildtype=debug", "-Dmirage:tender=false", "--force-fallback-for=mirage", cwd=project,
            env=environment)
        run("ninja", "-C", "build", cwd=project)
        if b"1/1 greeter" not in run("meson", "test", "-C", "build", cwd=project):
            sys.exit("FAIL the project has no test")
        said = run("build/greeter", cwd=project)
        if not said.endswith(SAYS):
            sys.exit(f"FAIL the host build says {said!r}")
        images = ["greeter.hvt"] + (["greeter.xen", "greeter.xl"] if os.path.exists("/usr/include/xen/xen.h") else [])
        for image in images:
            if not os.path.getsize(os.path.join(project, "build", image)):
                sys.exit(f"FAIL {image} is empty")
        tender = TENDER if TENDER and os.access("/dev/kvm", os.R_OK | os.W_OK) else ""
        if tender:
            expect_guest(tender, os.path.join(project, "build", "greeter.hvt"))
        by_wrap_file(project, os.path.join(home, "wrapped"), environment)
        installed(project, home, environment)
        print("a project of its own, with a subproject and with an installed library, with Meson and without: built, tested, run as a "
              "process and as a guest" + ("" if tender else " (as a guest not: no /dev/kvm, or no tender)"))


def expect_guest(tender, image):
    said = run(tender, image)
    if SAYS not in said:
        sys.exit(f"FAIL the guest {image} says {said!r}")


def block_of(language):
    """What docs/out-of-tree.md tells to write."""
    with open(os.path.join(ROOT, "docs/out-of-tree.md"), encoding="utf-8") as file:
        return re.search(rf"^```{language}\n(.*?)^```", file.read(), re.S | re.M)[1]


def by_wrap_file(project, home, environment):
    """The wrap file of the documents, with a repository that is here: only Meson's part, for the rest is the same."""
    if not shutil.which("git"):
        print("no git: the wrap file was not tried")
        return
    repository = os.path.join(home, "repository")
    os.makedirs(repository)
    for name in ("meson.build", "meson_options.txt", "include", "platform", "tools", "LICENSE"):
        path = os.path.join(ROOT, name)
        (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, os.path.join(repository, name))
    run("git", "init", "-q", cwd=repository)
    run("git", "add", ".", cwd=repository)
    run("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "all", cwd=repository)
    run("git", "tag", "v0.1.0", cwd=repository)
    wrapped = os.path.join(home, "project")
    shutil.copytree(project, wrapped, ignore=shutil.ignore_patterns("build", "subprojects"))
    os.mkdir(os.path.join(wrapped, "subprojects"))
    with open(os.path.join(wrapped, "subprojects", "mirage.wrap"), "x", encoding="utf-8") as file:
        file.write(re.sub(r"(?m)^url = .*$", f"url = file://{repository}", block_of("ini")))
    run("meson", "setup", "build", "-Dmirage:tender=false", "--force-fallback-for=mirage", cwd=wrapped, env=environment)
    if not os.path.exists(os.path.join(wrapped, "subprojects", "mirage", "meson.build")):
        sys.exit("FAIL the wrap file brought no library")


def installed(project, home, environment):
    """`meson install` of the build that this test is of; the same project with it, and without Meson."""
    prefix = os.path.join(home, "installed")
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", os.path.join(home, "destination"))
    # It is moved: nothing may know where it was.
    folder = os.path.join(home, "destination")
    while "bin" not in os.listdir(folder):
        folder = os.path.join(folder, os.listdir(folder)[0])
    os.rename(folder, prefix)
    packages, = (where for where, _, files in os.walk(prefix) if "mirage.pc" in files)
    environment = environment | {"PKG_CONFIG_PATH": packages, "PATH": os.path.join(prefix, "bin") + os.pathsep + environment["PATH"]}

    run("mirage", "new", "greeter", "--dir", os.path.join(home, "beside"), env=environment)
    beside = os.path.join(home, "beside")
    if os.listdir(os.path.join(beside, "subprojects")):
        sys.exit("FAIL an installed mirage new makes a link to itself")
    run("meson", "setup", "build", "--buildtype=debug", cwd=beside, env=environment)
    run("ninja", "-C", "build", cwd=beside)
    run("meson", "test", "-C", "build", cwd=beside)
    for image in (name for name in os.listdir(os.path.join(project, "build")) if name.startswith("greeter") and "." in name):
        if not os.path.exists(os.path.join(beside, "build", image)) and not image.endswith(".p"):
            sys.exit(f"FAIL the installed library makes no {image}")
    said = run("build/greeter", cwd=beside)
    if not said.endswith(SAYS):
        sys.exit(f"FAIL the host build of the installed library says {said!r}")

    # Without Meson, as the document says, but for the line that boots the guest where nothing can.
    lines = block_of("sh").splitlines()
    guest = TENDER and os.access("/dev/kvm", os.R_OK | os.W_OK)
    said = run("sh", "-ec", "\n".join(line for line in lines if guest or not line.startswith("mirage-hvt")), cwd=beside,
               env=environment)
    if said.count(SAYS) != 1 + bool(guest):
        sys.exit(f"FAIL without Meson: {said.decode()}")
    made = os.path.join(home, "made")
    os.mkdir(made)
    for name in ("main.cpp", "greeter.hpp"):
        shutil.copy(os.path.join(beside, name), made)
    with open(os.path.join(made, "Makefile"), "w", encoding="utf-8") as file:
        file.write(block_of("make"))
    run("make", "-s", cwd=made, env=environment)
    sizes = [run("mirage", "size", os.path.join(where, "greeter.hvt"), "--by", "symbol", env=environment).splitlines()[1:]
             for where in (os.path.join(project, "build"), os.path.join(beside, "build"), beside, made)]
    if any(other != sizes[0] for other in sizes):
        sys.exit("FAIL images differ: " + "\n".join(b"\n".join(lines[:6]).decode() for lines in sizes))
    if b"hvt" not in run("mirage", "manifest", os.path.join(beside, "greeter.hvt"), env=environment):
        sys.exit("FAIL mirage manifest does not know the image")
    said = run("mirage", "run", "website", status=1, env=environment)
    if b"for a checkout" not in said:
        sys.exit(f"FAIL an installed mirage run says {said.decode()}")


if __name__ == "__main__":
    main()
