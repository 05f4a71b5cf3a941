#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A link that ends while its guest sleeps: said once, the guest lives, and its next sleep is one.

A POLL that came back at once from then on would turn a waiting guest into one that uses a whole processor.
usage: lost_links.py TENDER INTERPRETER"""
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile

from guest import *

tender, interpreter = sys.argv[1:3]
need_kvm(tender)
failures = Failures()
folder = tempfile.TemporaryDirectory()
path = Image(interpreter, [("service", NET)]).write(os.path.join(folder.name, "guest.hvt"))
NAP = 50_000_000  # nanoseconds
BEFORE, AFTER, READ = ARGUMENT + 64, ARGUMENT + 128, ARGUMENT + 192
TUNSETIFF, TAP, TUN, NO_PI, VNET_HEADER = 0x400454CA, 2, 1, 0x1000, 0x4000


def sleeper():
    """Says that it is there, sleeps until there is nothing to read any more, and then: how long is a nap?"""
    program = Program().call(PUTS, TEXT, 1)
    again = program.here()
    # A host says this and that on an interface of its own accord.
    program.call(POLL, 2**62).call(NET_READ, 1, BUFFER, 2000, 0, at=READ)("n", READ + 24, AGAIN, again)
    program.call(POLL, 1).call(POLL, 1)  # the end may be reported once as something to read
    program.call(WALLTIME, at=BEFORE).call(POLL, NAP).show(ARGUMENT + 8).call(WALLTIME, at=AFTER)
    return program.show(READ + 24, BEFORE, AFTER)


def ends_well(what, attachment, end, keep=()):
    """`end(process)` ends the link once the guest sleeps, or is about to."""
    with subprocess.Popen([tender, "--mem=8", f"--net:service={attachment}", path, *str(sleeper()).split()],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=keep) as process:
        failures.check(process.stdout.read(1) != b"", f"{what}: the guest runs")
        end(process)
        out, err = process.communicate(timeout=60)
    failures.check(process.returncode == 0, f"{what}: status {process.returncode}, {err!r}")
    failures.check(err.count(b"the interface is gone") == 1, f"{what}: {err!r}")
    ready, read, before, after = numbers(out.decode()) if out.count(b"\n") == 4 else (1, 1, 1, 1)
    failures.check(ready == 0 and read & 0xFFFFFFFF == AGAIN, f"{what}: ready {ready:x}, read {read:x}")
    # The clock is the host's, and somebody may set it: a sleep is what takes nearly as long as it should.
    failures.check(after - before > NAP * 9 // 10, f"{what}: a nap of {after - before} ns")


def children_of(pid):
    return [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]


def tap(name, flags=TAP | NO_PI):
    """The descriptor of a new interface that ends with it."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    return descriptor


def ip(command):
    return subprocess.run(["ip", *command.split()], capture_output=True).returncode == 0


def sockets():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def close(_):
        theirs.close()
        ours.close()
    ends_well("a socket", f"@{theirs.fileno()}", close, [theirs.fileno()])


def user_network():
    def kill(process):
        os.kill(children_of(process.pid)[0], signal.SIGKILL)
    ends_well("the user network", "user", kill)


def interfaces():
    own_namespace = os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).unshare(0x40000000) == 0
    if not own_namespace or not os.path.exists("/dev/net/tun") or not ip("tuntap add tap7 mode tap"):
        print("not checked with TAP interfaces: may not make them here")
        return
    ip("link set tap7 up")
    ends_well("an interface", "tap7", lambda _: ip("link del tap7"))
    descriptor = tap("tap8")
    ip("link set tap8 up mtu 1400")
    adopt(descriptor)
    ends_well("an interface by its descriptor", f"@{descriptor}", lambda _: ip("link del tap8"), [descriptor])
    os.close(descriptor)
    descriptor = tap("tap9")
    status, _, err = run([tender, f"--net:service=@{descriptor}", path], pass_fds=[descriptor])
    failures.check(status == 0 and "`ip link set tap9 up`" in err, f"a descriptor, down: {err!r}")
    os.close(descriptor)
    others = {"vnet header": TAP | NO_PI | VNET_HEADER, "TUN": TUN | NO_PI}
    for what, flags in others.items():
        descriptor = tap("tap9", flags)
        status, _, err = run([tender, f"--net:service=@{descriptor}", path], pass_fds=[descriptor])
        failures.check(status == 1 and f"descriptor {descriptor} is not a plain TAP" in err, f"{what}: {err!r}")
        os.close(descriptor)


def adopt(descriptor):
    """Frames both ways through a descriptor that somebody else has opened."""
    host = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    host.bind(("tap8", 0x88B5))
    host.settimeout(30)
    frame = b"\xff" * 6 + b"\2\0\0\0\0\1" + b"\x88\xb5" + b"to the guest".ljust(46, b".")
    program = Program().show(0x10000 + 56 + 8 + 104 + 72)
    again = program.here()
    # Whatever comes goes back, until it is what we sent.
    program.call(POLL, 2**62).call(NET_READ, 1, BUFFER, 2000, 0)("n", BUFFER + 12, 0x6F74B588, again)
    program.call(NET_WRITE, 1, BUFFER, len(frame), 0)
    with subprocess.Popen([tender, "--mem=8", f"--net:service=@{descriptor}", path, *str(program).split()],
                          stdout=subprocess.PIPE, pass_fds=[descriptor]) as process:
        properties, = numbers(process.stdout.readline().decode())
        host.send(frame)
        seen = host.recv(2000)
        failures.check(process.wait(60) == 0 and seen == frame, f"through a descriptor: {seen!r}")
    failures.check(properties >> 48 == 1400, f"the MTU of a descriptor: {properties >> 48}")
    host.close()


for part in (sockets, user_network, interfaces):
    part()
failures.end()
