#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Walks a newcomer's path in a fresh Debian: README's first command, the tutorial, a project outside of the checkout.

usage: newcomer.py [--root DIR] [--port N] [--mirror URL]

A Debian of its own is made by debootstrap in DIR, a temporary folder by default (one that is there already is used as it is). Nothing is
installed there beforehand: packages come by the commands that the documents give, and every command is one that they quote. Needs root,
debootstrap and a network for Debian's packages; takes some five minutes, most of them downloads."""
import argparse
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HOME = "root/mirage"  # of the checkout, in the new Debian
ENTER = """mount --bind /dev "$1/dev" && mount -t proc proc "$1/proc" && cp /etc/resolv.conf "$1/etc/resolv.conf" || exit 1
exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 sh -c "cd /$2 && exec $3" """


def fail(what):
    print(f"FAIL: {what}")
    sys.exit(1)


class debian:
    """The folder with the new system; commands run in namespaces of their own, which end with them."""

    def __init__(self, folder, port):
        self.folder, self.port, self.log = folder, port, folder.parent / "newcomer.log"

    def words(self, command):
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh", str(self.folder), HOME, command]

    def run(self, command, status=0):
        """The command's text, as it is in one of the documents."""
        began = time.monotonic()
        done = subprocess.run(self.words(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
        print(f"{time.monotonic() - began:6.1f} s  {command}", flush=True)
        if done.returncode != status:
            fail(f"{command}: status {done.returncode}, wanted {status}\n{done.stdout[-4000:]}")
        return done.stdout

    def serve(self, command, checks):
        """Starts a server, asks it, ends it. `checks`: a path, and what the answer has to contain; None: no answer at all."""
        began = time.monotonic()
        with open(self.log, "w+", encoding="utf-8") as log:
            server = subprocess.Popen(self.words(command), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            try:
                for path, wanted in checks:
                    self.ask(server, path, wanted, command)
                    if wanted is None:
                        server.wait(60)  # what ends by itself tells why
            except subprocess.TimeoutExpired:
                fail(f"{command}: {path} has no answer, and yet it runs on")
            finally:
                server.send_signal(signal.SIGKILL)
                server.wait()
                self.until_silent()
        print(f"{time.monotonic() - began:6.1f} s  {command}", flush=True)
        return self.log.read_text(encoding="utf-8")

    def until_silent(self):
        """What was killed ends when the kernel has come to it; the next server must not be taken for this one."""
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                    return
            time.sleep(0.05)

    def ask(self, server, path, wanted, command):
        while True:  # until it is built and up
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                    said = answer.read().decode()
                break
            except urllib.error.HTTPError as error:
                said = error.read().decode()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                if isinstance(error, ConnectionRefusedError) or isinstance(getattr(error, "reason", None), ConnectionRefusedError):
                    if server.poll() is not None:
                        fail(f"{command}: ended\n{self.log.read_text(encoding='utf-8')[-4000:]}")
                    time.sleep(0.2)
                    continue
                said = None
                break
        if (said is None) != (wanted is None) or wanted and wanted not in said:
            fail(f"{command}: {path} says {said!r}, wanted {wanted!r}\n{self.log.read_text(encoding='utf-8')[-4000:]}")


def quoted(command, *documents):
    """Only what a document tells may be typed."""
    if not any(command in (ROOT / name).read_text(encoding="utf-8") for name in documents):
        fail(f"no document says: {command}")
    return command


def bring_checkout(to):
    """What git has, changes that are not committed included; all of it where git is missing."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if listed.returncode == 0:
        for name in listed.stdout.splitlines():
            if (ROOT / name).exists():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, to / name, follow_symlinks=False)
    else:
        shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns("build", ".git"))


def put_visits(checkout, version):
    """What the tutorial's reader types into an editor; `version`: with the fault at first, without it in the end."""
    for name in ("visits.hpp", "main.cpp"):
        source = ROOT / "docs/tutorial" / version / name
        shutil.copy(source if source.exists() else ROOT / "docs/tutorial" / name, checkout / "examples/visits" / name)


def walk(system):
    checkout, port = system.folder / HOME, system.port
    readme, tutorial = "README.md", "docs/tutorial.md"
    kvm = os.access("/dev/kvm", os.R_OK | os.W_OK)
    website = quoted("./tools/mirage run website", readme)
    system.serve(f"{website} --port {port}", [("/", "<html")])

    system.run(quoted("mkdir examples/visits", tutorial))
    system.run(quoted("cp docs/tutorial/meson.build examples/visits/", tutorial))
    listing = checkout / "examples/meson.build"
    listing.write_text(listing.read_text().replace("'website', 'resolve']\n  unikernel", "'website', 'resolve', 'visits']\n  unikernel"))
    put_visits(checkout, "with-fault")
    visits = quoted("./tools/mirage run visits", tutorial)
    said = system.serve(f"{visits} --port {port}", [("/", "Hello, visitor 1"), ("/", "Hello, visitor 2")])
    if kvm and "visits on mirage 0.1.0, hvt" not in said:
        fail(f"the tutorial promises another banner than\n{said}")
    if kvm and "mirage-hvt: the guest faulted: divide error" not in system.serve(f"{visits} --port {port}", [("/interval", None)]):
        fail("the tutorial's fault is not reported as it says")
    on_host = quoted("./tools/mirage run visits --target host", tutorial)
    system.serve(f"{on_host} --port {port}", [("/", "Hello, visitor 1")])
    mistake = quoted("./tools/mirage run visits --target host -- --prot=81", tutorial)
    if "did you mean --port?" not in system.run(mistake.replace(" -- ", f" --port {port} -- "), status=1):
        fail("the mistake with --prot is not explained")
    put_visits(checkout, "")
    system.serve(f"{visits} --port {port}", [("/interval", "404 Not Found"), ("/", "Hello, visitor 1")])
    if "application" not in system.run(quoted("./tools/mirage size visits", tutorial)):
        fail("mirage size lists no layers")
    system.run(quoted("mirage manifest visits", tutorial).replace("mirage", "./tools/mirage"))

    system.run(quoted("./tools/mirage new greeter --dir ../greeter", tutorial))
    build = quoted("meson setup build && ninja -C build && build/greeter", "docs/out-of-tree.md")
    test = quoted("meson test -C build", "docs/out-of-tree.md")
    said = system.run("sh -c " + shlex.quote(f"cd ../greeter && {build} && {test}"))
    if "Hello from greeter" not in said or "1/1 greeter" not in said:
        fail(f"the new project does not say hello, or its test does not run\n{said[-2000:]}")


def main():
    parser = argparse.ArgumentParser(prog="mirage test --newcomer", description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, help="the folder of the new Debian (a temporary one)")
    parser.add_argument("--port", type=int, default=8099, help="of this machine, for what is served (8099)")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian", help="where Debian's packages are")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("SKIP: not root, and debootstrap and chroot need that")
        return 77
    if not shutil.which("debootstrap"):
        print("SKIP: no debootstrap")
        return 77
    with tempfile.TemporaryDirectory(prefix="mirage-newcomer-", ignore_cleanup_errors=True) as temporary:
        folder = (options.root or pathlib.Path(temporary) / "debian").resolve()
        if not (folder / "usr/bin/apt-get").exists():
            print(f"a Debian 12 in {folder}", flush=True)
            done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(folder), options.mirror], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                print(f"SKIP: debootstrap could not make it: {done.stdout.splitlines()[-1]}")
                return 77
        shutil.rmtree(folder / HOME, ignore_errors=True)
        shutil.rmtree(folder / "root/greeter", ignore_errors=True)
        bring_checkout(folder / HOME)
        walk(debian(folder, options.port))
    print("a newcomer gets through")
    return 0


if __name__ == "__main__":
    sys.exit(main())
