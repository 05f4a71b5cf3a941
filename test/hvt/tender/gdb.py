#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--gdb: the real gdb, and a client that says what gdb never would.

usage: gdb.py TENDER INTERPRETER HELLO FAULTS"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from guest import *

tender, interpreter, hello, faults = sys.argv[1:5]
need_kvm(tender)
failures = Failures()
folder = tempfile.TemporaryDirectory()
WAITING = re.compile(r"waiting for gdb; in it: target remote (\S+)")


class Debugged:
    """A guest that waits for gdb, and the address where it does."""

    def __init__(self, *arguments, where="127.0.0.1:0"):
        self.process = subprocess.Popen([tender, "--mem=8", f"--gdb={where}", *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.where = WAITING.search(self.process.stderr.readline())[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self):
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


class Client:
    """The protocol by hand."""

    def __init__(self, where):
        host, port = where.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, text, sum_of=None):
        octets = text if isinstance(text, bytes) else text.encode()
        self.socket.sendall(b"$" + octets + b"#%02x" % (sum(octets if sum_of is None else sum_of) & 255))

    def receive(self):
        while (c := self.file.read(1)) != b"$":
            if not c:
                return None
        text = b""
        while (c := self.file.read(1)) != b"#":
            text += bytes([self.file.read(1)[0] ^ 0x20]) if c == b"}" else c
        self.file.read(2)
        self.socket.sendall(b"+")
        return text.decode()

    def ask(self, text):
        self.send(text)
        return self.receive()


def by_gdb(image, arguments, commands, where="127.0.0.1:0"):
    with Debugged(image, *arguments, where=where) as guest:
        script = ["set pagination off", "set confirm off", "set width 0", f"target remote {guest.where}", *commands]
        done = subprocess.run(["gdb", "-q", "-nx", "-batch", *(w for c in script for w in ("-ex", c)), image],
                              capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)
        return (*guest.end(), done.stdout + done.stderr)


def expect(text, *patterns):
    at = 0
    for p in patterns:
        found = re.compile(p, re.M).search(text, at)
        failures.check(found is not None, f"no {p!r} at its place in:\n{text}")
        if found is None:
            return
        at = found.end()


def session():
    """Break, step, look at variables and memory, change them, go back the stack, to the end."""
    status, out, err, said = by_gdb(hello, [], [
        "print $rip == (long) &_start", "x/1xb 0x100000",
        "break mirage_application", "continue", "backtrace", "stepi", "print/x $cs & 3", "step", "info locals",
        "print platform", "info registers mxcsr", "set var $r10 = 0x1234", "set var $xmm3.v2_int64[0] = 0x77", "print $xmm3.v2_int64[0] == 0x77", "print $r10 == 0x1234", "hbreak mirage::hvt::put", "continue", "backtrace 1", "delete",
        "continue"])
    failures.check(status == 0 and "Hello, world!" in out, f"{status} {out} {err}")
    expect(said, r"^\$1 = (1|true)", r"0x100000.*:\s+0x[0-9a-f]{2}$", r"^Breakpoint 1, mirage_application",
           r"^#0 .*mirage_application", r"^#1 .*mirage_hvt_start", r"boot_run", r"^\$2 = 0x3", r"^mxcsr +<unavailable>", r"^\$\d = (1|true)$", r"^\$\d = (1|true)$",
           r"^Breakpoint 2(\.\d+)?, .*mirage::hvt::", r"^#0 .*mirage::hvt::", r"exited normally")


def watches():
    """A variable that is written to: by the processor, or by looking after every step."""
    _, _, _, said = by_gdb(hello, [], ["break mirage_hvt_start", "continue", "print __stack_chk_guard == 0", "watch __stack_chk_guard",
                                       "continue", "print __stack_chk_guard == 0", "delete", "continue"])
    expect(said, r"^\$1 = true", r"^Hardware watchpoint 2: ", r"^Old value = 0$", r"^New value = [1-9]", r"^\$2 = false", r"exited normally")


def unix_path():
    path = os.path.join(folder.name, "gdb")
    status, out, err, said = by_gdb(hello, [], ["continue"], where=path)
    failures.check(status == 0 and "exited normally" in said and not os.path.exists(path), f"{status} {said} {err}")


def status_told():
    program = str(Program().halt(7)).split()
    status, _, err, said = by_gdb(interpreter, program, ["continue"])
    failures.check(status == 7 and "exited with code 07" in said, f"{status} {said} {err}")


def gives_up():
    """A fault is shown where it was, with who called."""
    status, out, err, said = by_gdb(faults, ["null-write"], ["continue", "backtrace", "continue"])
    expect(said, r"received signal SIGSEGV", r"^#0 ", r"mirage_application", r"mirage_hvt_start", r"exited with code 0377")
    failures.check(status == 255 and "the guest faulted: page fault" in err, f"{status} {err}")
    status, out, err, said = by_gdb(faults, ["panic"], ["continue", "backtrace", "continue"])
    expect(said, r"received signal SIGABRT", r"mirage_panic|panic", r"exited with code 0377")
    status, out, err, said = by_gdb(faults, ["breakpoint"], ["break mirage_application", "continue", "continue"])
    failures.check(status == 255 and "breakpoint (vector 3" in out, f"a breakpoint of the guest's own: {status} {out} {said}")


def steps():
    """A thousand instructions, one by one, through a call to the host: the guest does not see it."""
    with Debugged(hello) as guest, Client(guest.where) as gdb:
        symbols = dict(reversed(line.split()[::2]) for line in subprocess.run(
            ["nm", hello], capture_output=True, text=True, check=True).stdout.splitlines() if len(line.split()) == 3)
        start = int(symbols["_Z18mirage_applicationRN6mirage3hvt8platformE"], 16)
        failures.check(gdb.ask(f"Z0,{start:x},1") == "OK" and gdb.ask("c").startswith("T05swbreak"), "a breakpoint")
        failures.check(gdb.ask(f"m{start:x},1") == "cc" and gdb.ask(f"z0,{start:x},1") == "OK"
                       and gdb.ask(f"m{start:x},1") == "55", "what it hides")
        seen, answer = set(), "T05"
        for _ in range(4000):
            answer = gdb.ask("s")
            if not answer.startswith("T05"):
                break
            seen.add(gdb.ask("p10"))
        failures.check(answer == "W00" and len(seen) > 100, f"{answer}, {len(seen)} places")
        status, out, _ = guest.end()
        failures.check(status == 0 and out.endswith("Hello, world!\n"), f"{status} {out}")


def refuses():
    """What makes no sense is an error, or no answer; the guest is none the worse for it."""
    with Debugged(interpreter, *str(Program().halt(3)).split()) as guest, Client(guest.where) as gdb:
        for command, answer in [("m0,8", "E0e"), (f"m{OUTSIDE:x},8", "E0e"), ("mffffffffffffff00,100", "E0e"), ("m800000000000,1", "E0e"),
                                ("m", "E01"), ("m100000", "E01"), ("m100000,ffffffffffffffff", "E01"), ("m100000,zz", "E01"),
                                ("M100000,2:00", "E01"), ("M0,1:00", "E0e"), ("M100000,1:zz", "E01"), ("X100000,3:a", "E01"),
                                ("Z0,0,1", "E0e"), ("Z0", "E01"), ("Z9,100000,1", ""), ("p", "E01"), ("pffff", "E01"), ("P10=12", "E01"),
                                ("G00", "E01"), ("qXfer:features:read:target.xml:ffffff,1", "E01"), ("vMustReplyEmpty", ""),
                                ("qUnknown", ""), ("!", ""), ("R00", "")]:
            got = gdb.ask(command)
            failures.check(got == answer, f"{command}: {got!r}, not {answer!r}")
        inside = OUTSIDE - 4
        failures.check(gdb.ask(f"m{inside:x},8") == "0" * 8, "the end of memory")
        gdb.send("?", sum_of=b"!")
        failures.check(gdb.file.read(1) in b"+-", "a wrong sum")
        text = gdb.ask("g")
        failures.check(len(text) == 2 * 552 and text.count("x") == 8 and gdb.ask("G" + text) == "OK" and gdb.ask("g") == text, f"g: {len(text)}")
        failures.check(gdb.ask(b"X310000,4:a}\x03c}\x04") == "OK" and gdb.ask("m310000,4") == b"a#c$".hex(), "X")
        failures.check(gdb.ask("c") == "W03" and guest.end()[0] == 3, "the end")
    for where, why in [("0.0.0.0:0", "loopback"), ("127.0.0.1:x", "expected ADDRESS:PORT"), ("nowhere", "expected"),
                       (folder.name + "/none/there", "No such file")]:
        done = subprocess.run([tender, f"--gdb={where}", interpreter], capture_output=True, text=True, timeout=60)
        failures.check(done.returncode == 1 and why in done.stderr, f"{where}: {done.stderr}")


def interrupts():
    """Ctrl-C while the guest sleeps in a call, and while it spins; then leaving it alone, killing it, and vanishing."""
    sleep = str(Program().call(PUTS, TEXT, 1).call(POLL, 2**62)).split()
    p = Program().call(PUTS, TEXT, 1)
    spin = str(p("g", p.here())).split()
    for kind, program in (("sleeps", sleep), ("spins", spin)):
        for farewell in ("D", "k", ""):
            with Debugged(interpreter, *program) as guest, Client(guest.where) as gdb:
                gdb.send("c")
                guest.process.stdout.read(1)
                for _ in range(3):
                    gdb.socket.sendall(b"\x03")
                    answer = gdb.receive()
                    failures.check(answer is not None and answer.startswith("T02"), f"{kind}: {answer}")
                    gdb.send("c")
                gdb.socket.sendall(b"\x03")
                gdb.receive()
                if farewell == "D":
                    failures.check(gdb.ask("D;1") == "OK", "D")
                elif farewell == "k":
                    gdb.send("k")
                    status, _, err = guest.end()
                    failures.check(status == 1 and "ended by gdb" in err, f"{kind}, k: {status} {err}")
                    continue
                else:
                    gdb.file.close()
                    gdb.socket.close()
                    failures.check("gdb is gone" in guest.process.stderr.readline(), "gone")
                guest.process.terminate()
                status, _, err = guest.end()
                failures.check(status == 1 and "ended by a signal" in err, f"{kind}, {farewell}: {status} {err}")


parts = [steps, refuses, interrupts]
if shutil.which("gdb"):
    parts += [session, watches, unix_path, status_told, gives_up]
for part in parts:
    part()
failures.end()
