#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tools that every site meets: nmap, hping3, and scapy's fragments. While they run and afterwards curl gets its page,
and when they are done everything that was in use is free again."""

import dataclasses
import os
import re
import subprocess

from interop import HERE, Skip, check, ended_well, equal, in_text, main
from testnet import not_installed, subjects, wait_until
from testnet.capture import count
from testnet.subjects import WEBSITE

# a subject may tell the sender of a wrong packet about it, quoting it (RFC 1122 section 3.2.2, RFC 4443 section 2.4)
QUOTES = "icmp.type == 3 || icmp.type == 4 || icmp.type == 11 || icmp.type == 12 || icmpv6.type < 128"
# and a tool may have its own words echoed, right or wrong (RFC 1122 section 3.2.2.6)
ECHOED = QUOTES + " || icmp.type == 0"

CLIENT6, SUBJECT6 = "2001:db8:7::1", "2001:db8:7::2"
WEBSITE6 = dataclasses.replace(WEBSITE, name="website6", keys=(*WEBSITE.keys, f"--ipv6={SUBJECT6}/64"))
GAUGES = ("net_receive_pool_free", "http_pages_free")


class Besieged:
    """The site, and what it had before it was attacked."""

    def __init__(self, case, running, url):
        self.case, self.running, self.url = case, running, url
        self.page()
        self.before = self.held()

    def page(self):
        page = self.running.client.run("curl", "-gsS", "--max-time", 60, "-i", self.url + "/").stdout
        in_text(r"^HTTP/1\.1 200 ", page, "the site under attack")

    def held(self):
        """What is free in the subject's pools, and what it holds of its host: descriptors."""
        found = {"descriptors": len(os.listdir(f"/proc/{self.running.process.pid}/fd"))}
        if self.case.target is not None:
            text = self.running.client.run("curl", "-gsSf", "--max-time", 60, self.url + "/metrics").stdout
            for gauge in GAUGES:
                found[gauge] = int(in_text(rf"(?m)^{gauge} (\d+)$", text, "metrics")[1])
        return found

    def is_free_again(self):
        """Nothing is held that was not held before; the page before may have held something itself yet."""
        now = self.held()
        return (now["descriptors"] <= self.before["descriptors"]
                and all(now[gauge] >= self.before[gauge] for gauge in GAUGES if gauge in now))

    def under(self, *command):
        """Runs an attack to its end, and meanwhile loads the page once and again. Returns what the attacker printed."""
        return self.under_all(command)[0]

    def under_all(self, *commands):
        """The same with several attacks at once."""
        attacks = [self.running.client.start(*command) for command in commands]
        loaded = 0
        while loaded == 0 or any(attack.alive() for attack in attacks):
            self.page()
            loaded += 1
        print(f"  {len(attacks)} x {attacks[0].name}: {loaded} pages meanwhile", flush=True)
        return [attack.log() for attack in attacks]

    def survived(self):
        self.page()
        # what peers left half open is given up in its own time, but it holds none of these
        wait_until(self.is_free_again, 30, f"everything to be free again, as in {self.before}")
        ended_well(self.running)


def begin(lab, case, *tools):
    case.needs("curl", *tools)
    case.needs_frames()
    running = case.start(lab, WEBSITE)
    return Besieged(case, running, running.url)


def link_addresses(running):
    """The client's and the subject's, for frames made by hand."""
    words = running.client.run("ip", "-o", "link", "show", running.device).stdout.split()
    return words[words.index("link/ether") + 1], running.client.neighbour(running.address, running.device)


def nmap_scans(lab, case):
    """Port scans and the guess at the system: one open port is found, the others are refused, all is answered rightly."""
    site = begin(lab, case, "nmap")
    address = site.running.address
    scan = ("nmap", "-n", "-Pn", "--disable-arp-ping", "-T4", "--max-retries", 2)
    with case.judged(site.running, source=link_addresses(site.running)[1], allow=ECHOED):
        found = site.under(*scan, "-sS", "-p", "1-1000", address)
        in_text(r"(?m)^80/tcp\s+open\s", found, "SYN scan")
        alone = case.target is not None  # the reference has an echo service, too
        if alone:
            equal(re.findall(r"(?m)^(\d+)/tcp\s+open\s", found), ["80"], "open ports")
        for kind in ("-sF", "-sN", "-sX", "-sA", "-sW", "-sM"):
            site.under(*scan, kind, "-p", "79-82", address)
        found = site.under(*scan, "-sU", "--max-rtt-timeout", "100ms", "--max-retries", 0, "-p", "1-100", address)
        check(not alone or not re.search(r"(?m)^\d+/udp\s+open\s", found), f"an open UDP port:\n{found}")
        site.under(*scan, "-sO", "--max-rtt-timeout", "100ms", "--max-retries", 0, address)
        found = site.under(*scan, "-O", "--max-os-tries", 1, "-p", "80,81", address)
        in_text("OS", found, "the guess at the system")
        print("  " + (re.search(r"(?m)^(Aggressive OS|OS details|No exact OS|Too many fing).*$", found) or [""])[0][:110])
    site.survived()


def hping3_floods(lab, case):
    """Malformed packets at ten thousand in a second: flags, lengths and checksums that mean nothing, sources that are not."""
    site = begin(lab, case, "hping3")
    address = site.running.address
    floods = (
        ("-S", "-p", 80, "--rand-source"),                                   # half-open connections of nobody
        ("-S", "-p", 80, "-s", 80, "-k", "-a", address),                     # land: from us to us
        ("-F", "-S", "-R", "-P", "-A", "-U", "-X", "-Y", "-p", 80),          # every flag at once
        ("-p", 80), ("-A", "-p", 80, "-d", 600), ("-R", "-p", 80),           # none; data and resets of no connection
        ("-S", "-p", 80, "-O", 1), ("-S", "-p", 80, "-O", 15),               # data offsets (RFC 9293 section 3.1)
        ("-S", "-p", 80, "-b"),                                              # wrong checksums
        ("--udp", "-p", 53, "-d", 100), ("--udp", "-p", 53, "-b"), ("--udp", "-p", 7, "--rand-source"),
        ("--icmp", "-d", 1200), ("--icmp", "-C", 5, "-K", 0), ("--icmp", "-C", 13),
        ("--icmp", "-C", 3, "-K", 4, "--icmp-iplen", 9999), ("--icmp", "-C", 5, "-K", 1, "--icmp-gw", "10.0.0.66"),
        ("--icmp", "-a", "10.0.0.255"),                                      # smurf: the answer would go to all
        ("--rawip", "-H", 255, "-d", 40), ("-S", "-p", 80, "-f", "-d", 64), ("--icmp", "-x", "-g", 1024, "-d", 64),
    )
    with case.judged(site.running, source=link_addresses(site.running)[1], allow=ECHOED) as capture:
        for first in range(0, len(floods), 7):
            site.under_all(*(("hping3", "-q", "-n", "-c", 3000, "-i", "u700", *flood, address)
                             for flood in floods[first:first + 7]))
    if case.target is not None:  # Linux without a broadcast address of its own takes .255 for a host
        equal(count(capture.path, f"ip.dst == 10.0.0.255 && ip.src == {address}"), 0, "answers to everybody")
    site.survived()


def fragments_by_scapy(lab, case):
    """Overlap, tiny, teardrop, ping of death and their kin over IPv4 (RFC 791 section 3.2, RFC 1858, RFC 3128)."""
    site = begin(lab, case)
    own, subject = link_addresses(site.running)
    with case.judged(site.running, source=subject, allow=ECHOED) as capture:
        site.under(*fragments(), site.running.device, own, subject, subjects.CLIENT, site.running.address, 40)
    check(count(capture.path, "eth.src == " + own + " && ip.frag_offset > 0") > 1000, "scapy sent no fragments")
    site.survived()


def fragments_by_scapy_over_ipv6(lab, case):
    """The same over IPv6, where what overlaps is not answered (RFC 8200 section 4.5, RFC 5722 section 4)."""
    if case.target is None:
        raise Skip("the Linux reference serves IPv4")
    case.needs("curl", "ping")
    case.needs_frames()
    script = fragments()
    running = case.start(lab, WEBSITE6)
    running.client.run("sysctl", "-qw", f"net.ipv6.conf.{running.device}.disable_ipv6=0",
                       f"net.ipv6.conf.{running.device}.accept_dad=0")
    running.client.ip("-6", "addr", "replace", f"{CLIENT6}/64", "dev", running.device, "nodad")
    wait_until(lambda: running.client.run("ping", "-6", "-c", 1, "-W", 1, SUBJECT6, check=False).returncode == 0, 20,
               "an answer over IPv6")
    site = Besieged(case, running, f"http://[{SUBJECT6}]:80")
    own, subject = link_addresses(running)
    with case.judged(running, source=subject, allow=QUOTES) as capture:
        site.under(*script, running.device, own, subject, CLIENT6, SUBJECT6, 40)
    check(count(capture.path, "eth.src == " + own + " && ipv6.fraghdr.offset > 0") > 1000, "scapy sent no fragments")
    equal(count(capture.path, "icmpv6.type == 129 && icmpv6.echo.identifier == 0xbad0"), 0, "answered overlaps")
    site.survived()


def fragments():
    """The command of fragments.py, by an interpreter that has scapy; Debian's is not always the first in the path."""
    for python in ("python3", "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import scapy"], capture_output=True).returncode == 0:
            return python, os.path.join(HERE, "fragments.py")
    return not_installed("scapy")


if __name__ == "__main__":
    main(nmap_scans, hping3_floods, fragments_by_scapy, fragments_by_scapy_over_ipv6)
