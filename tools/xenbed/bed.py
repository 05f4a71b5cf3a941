# SPDX-License-Identifier: MIT
"""Xen and a Linux dom0, where guests are made and looked at. The one thing that tests and tools use."""

import os
import re
import shlex
import shutil

from testnet.lab import Skip, not_installed
from testnet.wait import Timeout

from . import image
from .archive import Archive
from .machine import Broken, Machine
from .packages import Packages

DOM0 = "10.0.0.1"


def requirements():
    """Raises Skip where the bed cannot be: it wants an x86_64 machine with QEMU and Debian's packages."""
    if os.uname().machine != "x86_64":
        raise Skip("the test bed runs Debian's x86_64 programs on this machine while it is made")
    if not shutil.which("qemu-system-x86_64"):
        not_installed("qemu-system-x86_64 (Debian package qemu-system-x86)")


class Bed:
    """One boot of Xen. Use it in a `with` block; `put` and `create` from there.

    `files` maps names in dom0 to files of this machine that are to be there from the beginning; `disks` are image
    files that dom0 sees as /dev/vda and so on; `guest_mib` is the memory that all guests share."""

    def __init__(self, *, files=None, disks=(), guest_mib=512, capture=None, progress=lambda text: None):
        requirements()
        self._files, self._disks, self._guest_mib, self._capture = files or {}, disks, guest_mib, capture
        self._progress = progress
        self.machine = None
        self._vifs = 0

    def __enter__(self):
        packages = Packages()
        packages.prepare(self._progress)
        own = Archive()
        for name, path in self._files.items():
            own.add_file(name, path)
        self._progress("Xen starts")
        self.machine = Machine(packages, image.dom0(packages) + own.octets(), guest_mib=self._guest_mib,
                               disks=self._disks, capture=self._capture)
        try:
            self.machine.wait_ready(90, self._progress)
        except BaseException:
            self.machine.close()
            raise
        return self

    def __exit__(self, *_):
        self.machine.close()

    def run(self, script, seconds=60, check=True):
        """Runs a shell script in dom0 and returns what it said. Raises when its status is not 0, unless `check` is
        false; then (status, text) is returned."""
        content = script.encode() + b"\n"
        status, said = self.machine.order(f"run {seconds} {len(content)}", content, seconds + 20)
        text = said.decode(errors="replace")
        if not check:
            return status, text
        if status != 0:
            why = f"was not done in {seconds} s" if status in (124, 137, 143) else f"ended with status {status}"
            raise RuntimeError(f"in dom0: {script.strip()}\n{why}:\n{text.strip()}")
        return text

    def put(self, path, content, mode="644", part=8 << 20):
        """A file in dom0 with these octets."""
        octets = content.encode() if isinstance(content, str) else content
        status, said = self.machine.order(f"put {mode} {len(octets[:part])} {path}", octets[:part])
        for begin in range(part, len(octets), part):
            piece = octets[begin:begin + part]
            status, said = self.machine.order(f"put {mode} {len(piece)} {path}.part", piece)
            self.run(f"cat {path}.part >>{path}; rm {path}.part")
        if status != 0:
            raise Broken(f"{path} cannot be written in dom0: {said.decode(errors='replace')}")
        return path

    def put_file(self, path, source, mode="755"):
        with open(source, "rb") as file:
            return self.put(path, file.read(), mode)

    def get(self, path):
        """The octets of a file in dom0."""
        status, octets = self.machine.order(f"get {path}")
        if status != 0:
            raise Broken(f"{path} cannot be read in dom0: {octets.decode(errors='replace')}")
        return octets

    def forward(self, address, port=0):
        return self.machine.forward(address, port)

    def guest(self, name, kernel, **settings):
        return Guest(self, name, kernel, **settings)

    def next_mac(self):
        """Xen's own prefix, and a number that no other interface of this bed has."""
        self._vifs += 1
        return f"00:16:3e:00:{self._vifs >> 8:02x}:{self._vifs & 255:02x}"


class Guest:
    """A guest of the bed. `kernel` is a path in dom0; so are the targets of `disks`.

    `vifs` is a number, or a list of further words for each ("bridge=xenbr1"); `disks` a list of paths or of whole xl
    disk specifications. A guest that stops is kept, so that it can be seen how it stopped; `close` ends it."""

    def __init__(self, bed, name, kernel, *, memory=32, cmdline="", vifs=0, disks=(), ramdisk=None, vcpus=1,
                 on_reboot="preserve", extra=()):
        self.bed, self.name = bed, name
        self.macs = []
        lines = {"name": quoted(name), "type": quoted("pvh"), "kernel": quoted(kernel), "memory": memory,
                 "vcpus": vcpus,
                 # The time-stamp counter as it is. QEMU claims no invariant one, so Xen would trap it; that is slow,
                 # and QEMU 7.2 reports a trapped RDTSCP as RDTSC, for which Xen gives the guest a fault.
                 "tsc_mode": quoted("native"),
                 "on_poweroff": quoted("preserve"), "on_reboot": quoted(on_reboot), "on_crash": quoted("preserve")}
        if cmdline:
            lines["cmdline"] = quoted(cmdline)
        if ramdisk:
            lines["ramdisk"] = quoted(ramdisk)
        words = [""] * vifs if isinstance(vifs, int) else vifs
        if words:
            self.macs = [bed.next_mac() for _ in words]
            lines["vif"] = listed(",".join(filter(None, (f"mac={mac}", "" if "bridge=" in more else "bridge=xenbr0",
                                                         more))) for mac, more in zip(self.macs, words))
        if disks:
            lines["disk"] = listed(disk if "=" in disk else f"format=raw,vdev=xvd{chr(97 + number)},access=rw,target={disk}"
                                   for number, disk in enumerate(disks))
        self.configuration = "".join(f"{key} = {value}\n" for key, value in lines.items()) \
            + "".join(line + "\n" for line in extra)

    @property
    def _path(self):
        return f"/job/{self.name}.cfg"

    def __enter__(self):
        return self.create()

    def __exit__(self, *_):
        self.close()

    def create(self, options="", seconds=60):
        """xl create. The console of an earlier guest with this name is forgotten."""
        console = f"/var/log/xen/console/guest-{self.name}.log"
        self.bed.put(self._path, self.configuration)
        self.bed.run(f": >{console}; xl create -q {options} {self._path}", seconds)
        return self

    def try_create(self):
        """xl create that may fail: (status, text)."""
        self.bed.put(self._path, self.configuration)
        return self.bed.run(f"xl create -q {self._path}", check=False)

    def xl(self, command, more="", seconds=60):
        """xl COMMAND NAME MORE."""
        return self.bed.run(f"xl {command} {self.name} {more}", seconds)

    def domid(self):
        return int(self.bed.run(f"xl domid {self.name}"))

    def console(self):
        return self.bed.get(f"/var/log/xen/console/guest-{self.name}.log").decode(errors="replace").replace("\r", "")

    def state(self):
        """running, paused, poweroff, reboot, suspend, crash, dying, or gone."""
        return self._ask(f"guest_state {self.name}").strip()

    def wait_text(self, regex, seconds=30):
        """Until a line of its console matches (an extended regular expression); returns the console."""
        status, _ = self.bed.run(f". /lib/guest.sh; guest_wait_text {self.name} {seconds} {shlex.quote(regex)}",
                                 seconds + 30, check=False)
        if status != 0:
            raise Timeout(f"waited {seconds} s for {regex!r} on the console of {self.name} ({self.state()}):\n"
                          + indented(self.console()))
        return self.console()

    def wait_state(self, *wanted, seconds=30):
        status, said = self.bed.run(f". /lib/guest.sh; guest_wait_state {self.name} {seconds} {' '.join(wanted)}",
                                    seconds + 30, check=False)
        if status != 0:
            raise Timeout(f"waited {seconds} s for {self.name} to be {' or '.join(wanted)}, but it is {said.strip()}:\n"
                          + indented(self.console()))
        return said.strip()

    def cpu_seconds(self):
        """Processor time of all its vCPUs, as Xen counts it."""
        rows = self.bed.run(f"xl vcpu-list {self.name}").splitlines()[1:]
        return sum(float(re.split(r"\s+", row)[5]) for row in rows)

    def close(self):
        """Ends it, whatever it does. What it printed stays."""
        if self.bed.machine.process.alive():
            self.bed.run(f"xl domid {self.name} >/dev/null 2>&1 && xl destroy {self.name}", check=False)

    def _ask(self, script):
        return self.bed.run(f". /lib/guest.sh; {script}")


def quoted(text):
    """A string of an xl configuration."""
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def listed(items):
    return "[ " + ", ".join(quoted(item) for item in items) + " ]"


def indented(text, lines=40):
    return "\n".join("    " + line for line in text.splitlines()[-lines:])
