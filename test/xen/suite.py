# SPDX-License-Identifier: MIT
"""What the checks of the Xen suite share: the bed, the images, and how a check is reported (Test Anything Protocol)."""

import contextlib
import glob
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from testnet import Skip, Timeout, judge  # noqa: E402
from xenbed.bed import DOM0, Bed, indented, requirements  # noqa: E402

# where a build has what goes to dom0
FOLDERS = ("examples/*", "test/xen/guest", "test/xen")

__all__ = ["Bed", "DOM0", "Skip", "Suite", "Timeout", "check", "equal", "judge", "requirements"]


def check(condition, message):
    """An assertion that no interpreter option takes away."""
    if not condition:
        raise AssertionError(message)


def equal(found, expected, what):
    check(found == expected, f"{what}: {found!r}, expected {expected!r}")


class Suite:
    """The bed, and what the checks start in it. Every check gets it, and leaves no guest behind."""

    def __init__(self, bed, build):
        self.bed, self.build = bed, build
        self._sent = {}
        self._guests = []
        self._number = 0

    def image(self, name):
        """The path in dom0 of an image or program of the build. It is sent there when it is first asked for."""
        if name not in self._sent:
            found = [path for folder in FOLDERS for path in glob.glob(os.path.join(self.build, folder, name))]
            if not found:
                raise Skip(f"{name} is not built")
            self._sent[name] = self.bed.put_file(f"/job/images/{name}", found[0])
        return self._sent[name]

    def guest(self, image, name=None, **settings):
        """A guest with an image of ours, not created yet; it ends with the check."""
        self._number += 1
        guest = self.bed.guest(name or f"{image.partition('.')[0]}-{self._number}", self.image(image), **settings)
        self._guests.append(guest)
        return guest

    def served(self, image, address, keys="", **settings):
        """A guest with one vif (unless `vifs` says more), created and reachable: it answers to ARP and ping at `address`."""
        settings.setdefault("vifs", 1)
        guest = self.guest(image, cmdline=f"--ipv4={address}/24 --ipv4-gateway={DOM0} {keys}".strip(), **settings)
        guest.create()
        self.reach(guest, address)
        return guest

    def reach(self, guest, address, seconds=30):
        """Until the guest answers to ping."""
        status, _ = self.bed.run(f"n=0; until ping -c 1 -W 1 {address} >/dev/null; do n=$((n + 1)); "
                                 f"[ $n -ge {seconds} ] && exit 1; done; true", seconds + 30, check=False)
        if status != 0:
            raise AssertionError(f"{guest.name} ({guest.state()}) does not answer at {address}:\n" + indented(guest.console()))

    def talk(self, address):
        """A connection to an echo service that stays open; returns a function that sends a word and waits for it to come
        back."""
        self.bed.run(f"mkfifo /job/tmp/in; nc {address} 7 </job/tmp/in >/job/tmp/out 2>/dev/null & (sleep 600 >/job/tmp/in) &")
        said = []

        def say(word, seconds=30):
            said.append(word + "\n")
            self.bed.run(f"""echo {word} >/job/tmp/in
                n=0; until grep -q {word} /job/tmp/out; do
                    usleep 100000; n=$((n + 1)); [ $n -ge {10 * seconds} ] && {{ cat /job/tmp/out; exit 1; }}
                done; true""", seconds + 30)
            equal(self.bed.get("/job/tmp/out").decode(), "".join(said), "what was echoed")
        return say

    def grants(self):
        """What Xen says of every domain's grants: the key `g` of its console, to the end."""
        return self.bed.run("""xl dmesg -c >/dev/null; xl debug-keys g
            n=0; until xl dmesg >/run/grants; grep -q 'gnttab_usage_print_all \]' /run/grants; do
                usleep 50000; n=$((n + 1)); [ $n -ge 200 ] && exit 1
            done
            cat /run/grants""")

    def device(self, guest, number=0):
        """The name of dom0's end of a vif."""
        return f"vif{guest.domid()}.{number}"

    @contextlib.contextmanager
    def captured(self, device, address, path):
        """tcpdump on a vif in dom0, whose guest has `address`, during the block; the capture is in `path` afterwards, on this
        machine."""
        remote = f"/run/{device}.pcap"
        self.bed.run(f"""rm -f {remote}
            tcpdump -i {device} -n -U --immediate-mode -s 0 -B 16384 -Z root -w {remote} >/run/tcpdump.out 2>&1 &
            echo $! >/run/tcpdump.pid
            n=0
            until grep -q 'listening on' /run/tcpdump.out; do
                usleep 50000; n=$((n + 1)); [ $n -ge 200 ] && {{ cat /run/tcpdump.out; exit 1; }}
            done
            true""")
        try:
            yield
            # what was sent before is in the file when a mark that is sent afterwards is
            self.bed.run(f"""n=0
                until ping -c 1 -W 1 -s 773 {address} >/dev/null && tcpdump -Z root -n -r {remote} 'icmp and len = 815' 2>/dev/null | grep -q .; do
                    n=$((n + 1)); [ $n -ge 100 ] && {{ echo "no mark in the capture"; exit 1; }}
                done
                true""", 150)
        finally:
            self.bed.run("""kill -INT $(cat /run/tcpdump.pid)
                n=0; while [ -e /proc/$(cat /run/tcpdump.pid) ] && [ $n -lt 100 ]; do usleep 50000; n=$((n + 1)); done
                true""")
        with open(path, "wb") as file:
            file.write(self.bed.get(remote))
        self.bed.run(f"rm {remote}")

    def tidy(self):
        """Ends what a check has left, even what it did not make here."""
        self._guests.clear()
        # the next guest under an address is another one
        self.bed.run("ip neigh flush all; xl list | awk 'NR > 1 && $1 != \"Domain-0\" { print $2 }' | while read d; do xl destroy $d; done; "
                     "rm -rf /job/tmp; mkdir -p /job/tmp", 120, check=False)

    def report_guests(self):
        """The consoles of this check's guests, for a check that failed."""
        for guest in self._guests[-3:]:
            with contextlib.suppress(Exception):
                print(f"  console of {guest.name} ({guest.state()}):\n{indented(guest.console())}", file=sys.stderr)

    def perform(self, checks):
        """Does them one after the other and reports each; returns how many failed."""
        failed = 0
        for number, one in enumerate(checks, 1):
            title = one.__name__.replace("_", " ")
            begin = time.monotonic()
            try:
                one(self)
                print(f"ok {number} - {title}")
            except Skip as reason:
                print(f"ok {number} - {title} # SKIP {reason}")
            except Exception as error:  # whatever it is, the others are to be done
                failed += 1
                print(f"not ok {number} - {title}")
                known = isinstance(error, (AssertionError, RuntimeError, Timeout))
                text = str(error) if known else traceback.format_exc()
                # Meson shows a failed test's standard error only
                print(f"FAILED: {title}: {text}", file=sys.stderr, flush=True)
                if self.bed.machine.process.alive():
                    self.report_guests()
            if not self.bed.machine.process.alive():
                print("Bail out! the emulated machine is gone")
                return failed + 1
            self.tidy()
            print(f"# {time.monotonic() - begin:.1f} s", flush=True)
        return failed
