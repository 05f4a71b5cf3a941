# SPDX-License-Identifier: MIT
"""The first root file systems: dom0's, and that of the Linux guest the bed tests itself with."""

import glob
import os
import re
import subprocess

from .archive import Archive
from .packages import XEN

HERE = os.path.dirname(os.path.abspath(__file__))
XEN_PROGRAMS = f"/usr/lib/xen-{XEN}/bin"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"

DOM0_MODULES = ("xenfs", "xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "bridge", "xen-netback",
                "xen-blkback", "loop", "virtio_pci", "virtio_blk", "virtio_net", "virtio_console")
GUEST_MODULES = ("xen-netfront", "xen-blkfront")
DOM0_PROGRAMS = (*(f"{XEN_PROGRAMS}/{name}" for name in (
    "xl", "xenstored", "xenconsoled", "xen-init-dom0", "libxl-save-helper", "lsevtchn")),
    "/usr/bin/xenstore-read", "/usr/bin/xenstore-write", "/usr/bin/xenstore-ls", "/usr/bin/xenstore-rm",
    "/usr/bin/xenstore-exists", "/usr/bin/xenstore-watch", "/usr/bin/tcpdump", "/usr/bin/curl")


class Image:
    """A root file system in the making, out of the unpacked packages."""

    def __init__(self, packages):
        self.packages = packages
        self.archive = Archive()
        self._there = set()
        self._modules = []

    def program(self, path, name=None):
        """A program of the packages, with every library that the packages' own loader finds for it."""
        source = self.packages.file(path)
        self._add(name or path, source)
        if not os.path.basename(path) == "busybox":
            self.libraries_of(source)

    def libraries_of(self, program):
        root = self.packages.root
        loader = self._loader()
        self._add("/lib64/ld-linux-x86-64.so.2", loader)
        done = subprocess.run([loader, "--library-path", f"{root}{LIBRARIES}:{root}/lib/x86_64-linux-gnu", "--list",
                               program], capture_output=True, text=True)
        for name, where in re.findall(r"^\s*(\S+) => (.*?)(?: \(0x[0-9a-f]+\))?$", done.stdout, re.M):
            if where.startswith(root):
                self._add(f"{LIBRARIES}/{name}", where)
            elif name != "ld-linux-x86-64.so.2":
                raise FileNotFoundError(f"{program} needs {name}, which is in none of the packages of the test bed")
        if done.returncode != 0:
            raise FileNotFoundError(f"the libraries of {program} are not complete: {done.stderr.strip()}")

    def library(self, name):
        """A library that nothing names: it is loaded at run time only."""
        self._add(f"{LIBRARIES}/{name}", glob.glob(f"{self.packages.root}/**/{name}", recursive=True)[0])

    def modules(self, names):
        """Kernel modules with all that they stand on, and /modules/order, the order in which they load."""
        for name in names:
            self._module(name)
        self.archive.add("/modules/order", "".join(name + "\n" for name in self._modules))

    def text(self, name, source, mode=0o755):
        """A file of this folder, or of another one by its whole path; @NAMES@ in it are replaced."""
        with open(os.path.join(HERE, source), encoding="utf-8") as file:
            content = file.read()
        content = content.replace("@XEN_PROGRAMS@", XEN_PROGRAMS).replace("@LIBRARIES@", LIBRARIES)
        self.archive.add(name, content, mode)

    def _module(self, name):
        # file names use - and _ as they like; the modules' own names have _ only
        pattern = re.sub("[-_]", "[-_]", name)
        found = glob.glob(f"{self.packages.root}/lib/modules/{self.packages.release()}/kernel/**/{pattern}.ko",
                          recursive=True)
        if not found:
            raise FileNotFoundError(f"the kernel of the test bed has no module {name}")
        file = os.path.basename(found[0])
        if file in self._modules:
            return
        with open(found[0], "rb") as module:
            content = module.read()
        for needed in re.findall(rb"\0depends=([^\0]*)\0", content)[:1]:
            for other in filter(None, needed.decode().split(",")):
                self._module(other)
        self.archive.add(f"/modules/{file}", content)
        self._modules.append(file)

    def _loader(self):
        return glob.glob(f"{self.packages.root}/lib*/**/ld-linux-x86-64.so.2", recursive=True)[0]

    def _add(self, name, source):
        if name not in self._there:
            self._there.add(name)
            self.archive.add_file(name, os.path.realpath(source))


def dom0(packages):
    """The octets of dom0's root file system."""
    image = Image(packages)
    image.program("/bin/busybox")
    for program in DOM0_PROGRAMS:
        image.program(program)
    image.library("libgcc_s.so.1")  # by pthread_cancel in xl
    image.modules(DOM0_MODULES)
    image.text("/init", "dom0/init")
    for name in ("vif-bridge", "block"):
        image.text(f"/etc/xen/scripts/{name}", f"dom0/{name}")
    image.text("/lib/guest.sh", "dom0/guest.sh")
    image.text("/bin/agent", "dom0/agent")
    image.archive.add("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    image.archive.add("/etc/xen/xl.conf", 'autoballoon="off"\n')
    return image.archive.octets()


def linux_guest(packages):
    """The octets of the root file system of a small Linux guest that answers on the network and writes to a disk."""
    image = Image(packages)
    image.program("/bin/busybox")
    image.modules(GUEST_MODULES)
    image.text("/init", "linux/init")
    return image.archive.octets()
