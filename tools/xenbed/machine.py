# SPDX-License-Identifier: MIT
"""The emulated machine: QEMU with Xen and dom0 in it, and the wires that lead there."""

import contextlib
import json
import os
import queue
import re
import shutil
import socket
import tempfile
import time

from testnet.lab import Skip, not_installed
from testnet.process import Process
from testnet.wait import Timeout, wait_until

# What Xen needs of a processor that QEMU emulates, and what it must not see:
#  * SVM with nested paging, both in QEMU's EPYC model: without them there are no PVH guests.
#  * no MONITOR: Xen would idle with MWAIT and a hint, which QEMU answers with a fault.
#  * no SMAP: QEMU before 9.1 takes the stack accesses of an IRET to ring 3 for the kernel's own, so dom0's first faults.
PROCESSOR = "EPYC,-monitor,-smap"
PROCESSORS = 2  # with one, guests stay silent for ever
DOM0_MIB = 512
XEN_WORDS = (f"console=com1 com1=115200,8n1 dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M dom0_max_vcpus=1 noreboot=1 "
             "bootscrub=0 spec-ctrl=no xpti=no conring_size=256k")
LINUX_WORDS = "console=hvc0 loglevel=4 panic=1 mitigations=off random.trust_cpu=on"
AGENTS = 3


class Broken(RuntimeError):
    """The bed itself failed: what is said is for whoever repairs it."""


class Port:
    """One wire to an agent in dom0. Orders are done one after the other; see dom0/agent."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)
        self._read = self._socket.makefile("rb")

    def order(self, line, content=b"", seconds=60):
        """Returns (status, octets)."""
        self._socket.settimeout(seconds)
        try:
            self._socket.sendall(line.encode() + b"\n" + content)
            head = self._read.readline().split()
            if len(head) != 2:
                raise Broken(f"dom0 is gone (while it was told: {line})")
            status, length = map(int, head)
            octets = self._read.read(length)
        except TimeoutError:
            raise Timeout(f"waited {seconds:g} s for dom0 to {line}") from None
        return status, octets

    def lines(self, seconds):
        """Lines as they come, for the port that nothing is ordered on."""
        self._socket.settimeout(seconds)
        while line := self._read.readline():
            yield line.decode(errors="replace").rstrip("\r\n")

    def close(self):
        self._read.close()
        self._socket.close()


class Machine:
    """QEMU from construction to `close()`. `disks` are raw image files that dom0 sees as /dev/vda, /dev/vdb ..."""

    def __init__(self, packages, initrd, *, guest_mib=512, disks=(), capture=None):
        if not shutil.which("qemu-system-x86_64"):
            not_installed("qemu-system-x86_64 (Debian package qemu-system-x86)")
        self.folder = tempfile.mkdtemp(prefix="xenbed-")
        self.console_file = os.path.join(self.folder, "console")
        initrd_file = os.path.join(self.folder, "initrd")
        with open(initrd_file, "wb") as file:
            file.write(initrd)
        self._free = queue.SimpleQueue()
        self._ports = []
        self.process = None
        try:
            self.process = Process(self._command(packages, initrd_file, guest_mib, disks, capture), name="QEMU")
            self._connect()
        except BaseException:
            self.close()
            raise

    def _command(self, packages, initrd, guest_mib, disks, capture):
        ports = ["progress", *(f"agent{i}" for i in range(AGENTS))]
        # QEMU's loader takes "FILE WORDS,FILE WORDS": a comma within is doubled
        modules = f"{packages.kernel} {LINUX_WORDS},{initrd}"
        if "," in packages.kernel + initrd:
            raise Skip(f"QEMU cannot load from a path with a comma: {packages.kernel}")
        words = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", PROCESSOR,
                 "-smp", PROCESSORS, "-m", DOM0_MIB + guest_mib, "-display", "none", "-vga", "none", "-no-reboot",
                 "-nodefaults", "-kernel", packages.hypervisor, "-append", XEN_WORDS, "-initrd", modules,
                 "-serial", f"file:{self.console_file}",
                 "-qmp", f"unix:{self.folder}/qmp,server=on,wait=off",
                 "-netdev", "user,id=net0,net=10.0.0.0/24,host=10.0.0.254,dhcpstart=10.0.0.200",
                 "-device", "virtio-net-pci,netdev=net0,romfile=",
                 "-device", "virtio-serial-pci"]
        for number, name in enumerate(ports, 1):
            words += ["-chardev", f"socket,id={name},path={self.folder}/{name},server=on,wait=off",
                      "-device", f"virtserialport,chardev={name},name={name},nr={number}"]
        for number, disk in enumerate(disks):
            words += ["-drive", f"file={disk.replace(',', ',,')},format=raw,if=none,id=disk{number},cache=writeback",
                      "-device", f"virtio-blk-pci,drive=disk{number}"]
        if capture:
            words += ["-object", f"filter-dump,id=capture,netdev=net0,file={capture}"]
        return words

    def _connect(self):
        last = os.path.join(self.folder, f"agent{AGENTS - 1}")

        def listening():
            self.process.check()
            return os.path.exists(last)
        wait_until(listening, 20, "QEMU's sockets")
        self.progress = self._port("progress")
        for number in range(AGENTS):
            self._free.put(self._port(f"agent{number}"))
        self._qmp = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._qmp.connect(os.path.join(self.folder, "qmp"))
        self._qmp_lines = self._qmp.makefile("r")
        self._qmp_lines.readline()  # the greeting
        self._tell_qemu("qmp_capabilities")

    def _port(self, name):
        port = Port(os.path.join(self.folder, name))
        self._ports.append(port)
        return port

    def _tell_qemu(self, command, **arguments):
        self._qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        for line in self._qmp_lines:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Broken(f"QEMU on {command}: {answer['error']['desc']}")
        raise Broken(f"QEMU is gone (while it was told {command})")

    def wait_ready(self, seconds, progress=lambda text: None):
        """Until dom0 takes orders. `progress` is called with what it reaches on the way."""
        deadline = time.monotonic() + seconds
        try:
            for line in self.progress.lines(seconds):
                kind, _, text = line.partition(" ")
                if kind == "ready":
                    return
                if kind == "failed":
                    raise Broken(f"dom0: {text}")
                progress(text.partition(" ")[2])
                self.progress._socket.settimeout(max(0.1, deadline - time.monotonic()))
        except TimeoutError:
            pass
        self.process.check()
        raise Broken(f"dom0 was not ready after {seconds} s. The end of Xen's console:\n" + self.console_tail())

    def order(self, line, content=b"", seconds=60):
        """Gives an order to the next free agent: see Port.order."""
        port = self._free.get()
        try:
            return port.order(line, content, seconds)
        finally:
            self._free.put(port)

    def forward(self, address, port=0, to="127.0.0.1"):
        """Leads a TCP port of this machine (0: one that is free) to "ADDRESS:PORT" in the bed; returns its number."""
        if not port:
            with socket.socket() as probe:
                probe.bind((to, 0))
                port = probe.getsockname()[1]
        host, _, number = address.partition(":")
        said = self._tell_qemu("human-monitor-command", **{"command-line": f"hostfwd_add net0 tcp:{to}:{port}-{host}:{number}"})
        if said.strip():
            raise Broken(f"QEMU cannot forward port {port}: {said.strip()}")
        return port

    def console_tail(self, lines=15):
        with contextlib.suppress(FileNotFoundError), open(self.console_file, "rb") as file:
            text = re.sub(rb"\x1b\[[0-9;]*[A-Za-z]|\r", b"", file.read()).decode(errors="replace")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    def close(self):
        for port in self._ports:
            with contextlib.suppress(OSError):
                port.close()
        if self.process:
            self.process.close()
        shutil.rmtree(self.folder, ignore_errors=True)
