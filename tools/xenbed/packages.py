# SPDX-License-Identifier: MIT
"""What the bed is made of: Debian packages, downloaded and unpacked (never installed) into a cache of the user's."""

import fcntl
import glob
import gzip
import os
import shutil
import subprocess

from testnet import Skip

XEN = "4.17"
PACKAGES = f"""
    xen-hypervisor-{XEN}-amd64 xen-utils-{XEN} xen-utils-common xenstore-utils libxencall1 libxendevicemodel1
    libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxenhypfs1 libxenmisc{XEN} libxenstore4
    libxentoolcore1 libxentoollog1 libyajl2 libuuid1 libncurses6 libtinfo6 libc6 libgcc-s1 libstdc++6 zlib1g
    libbz2-1.0 liblzma5 libzstd1 liblzo2-2 libfdt1 libnl-3-200 libnl-route-3-200 libaio1 busybox-static
    curl libcurl4 libbrotli1 libnghttp2-14 libidn2-0 libunistring2 librtmp1 libssh2-1 libpsl5 libssl3
    libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1 libldap-2.5-0 libsasl2-2
    libgnutls30 libp11-kit0 libtasn1-6 libhogweed6 libnettle8 libgmp10 libffi8
    tcpdump libpcap0.8 libdbus-1-3 libsystemd0 libcap2 libgcrypt20 liblz4-1 libgpg-error0
    nginx nginx-common libpcre2-8-0 libcrypt1
""".split()


def cache_folder():
    """Where everything is kept: $MIRAGE_CACHE_DIR, or mirage in the user's cache directory."""
    base = os.environ.get("MIRAGE_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mirage")
    return os.path.join(base, "xenbed")


class Packages:
    """The unpacked packages. `root` is what would be / if they were installed."""

    def __init__(self, folder=None):
        self.folder = os.path.abspath(folder or cache_folder())
        self.root = os.path.join(self.folder, "root")
        self.hypervisor = os.path.join(self.folder, "xen")
        self.kernel = os.path.join(self.folder, "vmlinuz")
        self._stamp = os.path.join(self.folder, "unpacked")

    def release(self):
        """Of the kernel: what uname -r says in dom0."""
        with open(os.path.join(self.folder, "release")) as file:
            return file.read().strip()

    def present(self):
        """Whether everything that this version of the bed wants has been unpacked."""
        try:
            with open(self._stamp) as file:
                return file.read() == self._wanted()
        except FileNotFoundError:
            return False

    def prepare(self, say=print):
        """Downloads and unpacks what is missing. Raises Skip when that cannot be done here."""
        if self.present():
            return
        for tool, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
            if not shutil.which(tool):
                raise Skip(f"{tool} is missing (Debian package {package}): the test bed is made of Debian packages")
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs may begin at once
            if not self.present():
                self._fetch(say)

    def file(self, path):
        """The unpacked file that would be installed as `path`."""
        whole = self.root + path
        if not os.path.exists(whole):
            raise FileNotFoundError(f"{path} is in none of the packages of the test bed")
        return whole

    @staticmethod
    def _wanted():
        return " ".join(sorted(PACKAGES)) + "\n"

    def _fetch(self, say):
        downloads = os.path.join(self.folder, "downloads")
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.rmtree(downloads, ignore_errors=True)
        os.makedirs(downloads)
        os.makedirs(self.root)
        options = self._apt_options()
        kernel = self._kernel_package(options)
        say(f"downloading {len(PACKAGES) + 1} Debian packages to {self.folder}")
        done = subprocess.run(["apt-get", *options, "download", *PACKAGES, kernel], cwd=downloads, capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise Skip("the packages of the test bed cannot be downloaded: " + last_line(done.stderr))
        for package in sorted(glob.glob(os.path.join(downloads, "*.deb"))):
            subprocess.run(["dpkg-deb", "-x", package, self.root], check=True)
        shutil.rmtree(downloads)
        with gzip.open(self.file(f"/boot/xen-{XEN}-amd64.gz")) as packed, open(self.hypervisor, "wb") as plain:
            shutil.copyfileobj(packed, plain)
        release = kernel.removeprefix("linux-image-")
        shutil.copyfile(self.file(f"/boot/vmlinuz-{release}"), self.kernel)
        with open(os.path.join(self.folder, "release"), "w") as file:
            file.write(release + "\n")
        with open(self._stamp, "w") as file:
            file.write(self._wanted())

    def _apt_options(self):
        """None where the machine's package lists are there; lists of our own otherwise, which takes no privilege."""
        if self._kernel_name([]):
            return []
        state = os.path.join(self.folder, "apt")
        for part in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(state, part), exist_ok=True)
        options = [f"-oDir::State={state}/state", "-oDir::State::status=/var/lib/dpkg/status",
                   f"-oDir::Cache={state}/cache", "-oAPT::Sandbox::User="]
        subprocess.run(["apt-get", *options, "update"], capture_output=True)
        return options

    @staticmethod
    def _kernel_name(options):
        said = subprocess.run(["apt-cache", *options, "depends", "linux-image-amd64"], capture_output=True,
                              text=True).stdout
        names = [line.split()[-1] for line in said.splitlines() if "Depends: linux-image-" in line]
        return names[0] if names else None

    def _kernel_package(self, options):
        name = self._kernel_name(options)
        if not name:
            raise Skip("apt knows no linux-image-amd64: are Debian 12's sources configured, and is the network up?")
        return name


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it did not say why"
