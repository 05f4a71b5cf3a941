# SPDX-License-Identifier: MIT
"""The owner of everything a test makes, and the runner of tests."""

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from .namespace import Namespace

SKIPPED = 77
_PREFIX = "mirage-"


class Skip(Exception):
    """This test cannot run here, and why."""


def not_installed(what):
    """Raises Skip, since `what` is not installed here.

    Where `mirage test` has installed its packages this is a fault of that list and fails the test: a skip would hide
    what was to be shown.
    """
    if os.environ.get("MIRAGE_TEST_PACKAGES") == "installed":
        raise RuntimeError(f"{what} is not installed: test_packages or xen_packages of tools/mirage lack it")
    raise Skip(f"{what} is not installed")


def require_tools(*tools):
    """Calls `not_installed` unless every one of `tools` is."""
    for tool in tools:
        if shutil.which(tool) is None:
            not_installed(tool)


def require_root(*tools):
    """Raises Skip unless namespaces and TAP devices can be made and every one of `tools` is installed."""
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise Skip("/dev/net/tun is not there or may not be opened")
    require_tools("ip", "ethtool", "sysctl", *tools)
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        raise Skip(f"the kernel refuses network namespaces: {probe.stderr.strip()}")


class Lab:
    """Namespaces, devices and processes with one owner: the last made is the first removed.

        with Lab() as lab:
            client, server = lab.namespace("client"), lab.namespace("server")
            lab.veth((client, "eth0", "10.0.0.1/24"), (server, "eth0", "10.0.0.2/24"))
    """

    _numbers = itertools.count()
    _signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self):
        self._owned = contextlib.ExitStack()
        for number in self._signals:
            self._owned.callback(signal.signal, number, signal.signal(number, self._interrupted))
        remove_leftovers()
        self.directory = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-lab-")
        self.own(self.directory, shutil.rmtree)
        return self

    def __exit__(self, *exception):
        # the signals are restored last; until then a second one must not cut the removal short
        for number in self._signals:
            signal.signal(number, signal.SIG_IGN)
        self._owned.close()
        return False

    @staticmethod
    def _interrupted(number, _frame):
        raise SystemExit(128 + number)

    def own(self, thing, remove):
        """Registers `remove(thing)` for the end and returns the thing."""
        def remove_and_report():
            try:
                remove(thing)
            except Exception as error:  # the rest must still be removed
                print(f"cannot remove {thing}: {error}", file=sys.stderr)
        self._owned.callback(remove_and_report)
        return thing

    def namespace(self, purpose="net", congestion_control="reno"):
        """A new namespace with loopback up; its name starts with this process's id."""
        name = f"{_PREFIX}{os.getpid()}-{next(self._numbers)}-{purpose}"
        subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True, text=True)
        self.own(name, _remove_namespace)
        here = Namespace(self, name)
        here.ip("link", "set", "lo", "up")
        here.sysctl(net__ipv4__tcp_congestion_control=congestion_control)
        return here

    def veth(self, one, other, *, offloads=True):
        """A virtual cable. Each end is (namespace, device name, address with prefix length or None)."""
        (left, left_name, _), (right, right_name, _) = one, other
        left.ip("link", "add", left_name, "type", "veth", "peer", "name", right_name, "netns", right.name)
        for here, device, address in (one, other):
            here._quiet(device)
            if address:
                here.ip("addr", "add", address, "dev", device)
            if not offloads:
                here.offloads(device, False)
            here.ip("link", "set", device, "up")


def _remove_namespace(name):
    done = subprocess.run(["ip", "netns", "del", name], capture_output=True, text=True)
    if done.returncode != 0 and os.path.exists(f"/run/netns/{name}"):
        raise RuntimeError(done.stderr.strip())


def remove_leftovers():
    """Removes the namespaces and folders of runs that were killed before they could."""
    def killed(folder, pattern):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            made_by = re.match(pattern, name)
            if made_by and not os.path.exists(f"/proc/{made_by[1]}"):
                yield name
    for name in killed("/run/netns", rf"{_PREFIX}(\d+)-"):
        with contextlib.suppress(RuntimeError):
            _remove_namespace(name)
    for name in killed(tempfile.gettempdir(), rf"{_PREFIX}(\d+)-lab-"):
        shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)


def run_tests(tests, *arguments):
    """Runs each test function as test(lab, *arguments), each with a lab of its own, prints one line for each, and exits.

    Status 0: none failed and one passed at least; 77: all were skipped; 1: one failed, or there was none.
    """
    outcomes = []
    for test in tests:
        begin = time.monotonic()
        try:
            with Lab() as lab:
                test(lab, *arguments)
            outcome = "ok"
        except Skip as reason:
            outcome = "SKIP"
            print(f"SKIP: {test.__name__}: {reason}", flush=True)
        except Exception:
            outcome = "FAILED"
            traceback.print_exc()
        outcomes.append(outcome)
        if outcome != "SKIP":
            print(f"{outcome}: {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
    if "FAILED" in outcomes or not outcomes:
        sys.exit(1)
    sys.exit(0 if "ok" in outcomes else SKIPPED)
