#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An appliance that keeps its address by DHCP (RFC 2131), against dnsmasq, or libslirp's own server."""

import os
import socket
import subprocess

from interop import check, equal, in_text, main
from testnet import Skip, require_root, subjects
from testnet.wait import wait_until

LEASED = subjects.App("leased", "test/interop/leased")
GUARDED = subjects.App("guarded", "test/interop/leased")  # the same with an address_guard
SERVER = "10.0.0.1"
T1 = "--dhcp-option=option:T1,5"  # renew after 5 s or a little less
DISCOVER = bytes([53, 1, 1])  # the message type, as an option


def attach(lab, case, user=False, app=LEASED):
    """A network for the appliance; the subject itself is started by start()."""
    if case.target is None:
        raise Skip("the reference has no DHCP client of ours")
    if case.target.user_networking != user:
        raise Skip("needs user networking" if user else "user networking has a DHCP server of its own")
    require_root("tcpdump", "tshark", *([] if user else ["dnsmasq"]))
    subjects.available(app, case.target, case.build)
    return subjects.attach_user(lab, app) if user else subjects.attach_bridged(lab, app)


def start(case, running, app=LEASED):
    words = subjects.command(app, case.target, case.build)
    running.process = running.server.start(*(word for word in words if not word.startswith("--ipv4")))
    return running.process


def serve(lab, running, address, *options):
    """A DHCP server that has one address to give."""
    directory = os.path.join(lab.directory, f"dnsmasq-{address}")
    os.makedirs(directory)
    process = running.client.start(
        "dnsmasq", "--no-daemon", "--log-dhcp", "--conf-file=/dev/null", "--port=0", "--user=root", "--no-ping",
        f"--interface={running.device}", "--bind-interfaces", "--dhcp-authoritative",
        f"--dhcp-leasefile={directory}/leases", f"--pid-file={directory}/pid",
        f"--dhcp-range={address},{address},255.255.255.0,2m", *options)
    process.wait_for_log("DHCP, IP range", 5)
    return process


def wait_for_count(process, text, count, seconds):
    def seen():
        process.check()
        return process.log().count(text) >= count
    wait_until(seen, seconds, f"{count} times {text!r} from {process.name}")


def answers(running, address):
    """The subject has the address: it says that nothing listens on a port of it (ICMP)."""
    with running.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect((address, 9))
        for _ in range(60):  # the first may be lost while the subject asks for our link-layer address
            client.send(b"anyone?")
            try:
                client.recv(1)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                return
    raise AssertionError(f"{address} does not say that a port is closed")


def gets_an_address(lab, case):
    running = attach(lab, case)
    with case.judged(running) as capture:
        server = serve(lab, running, "10.0.0.50")
        subject = start(case, running)
        subject.wait_for_log(f"leased 10.0.0.50/24 from {SERVER}, router {SERVER}", 10)
        in_text("DHCPACK.*10.0.0.50.*leased", server.log(), "the server's log")
        answers(running, "10.0.0.50")
    said = subprocess.run(["tshark", "-n", "-r", capture.path, "-Y", "dhcp", "-Tfields", "-edhcp.option.dhcp",
                           "-edhcp.client_id.iaid"], capture_output=True, text=True, check=True).stdout.splitlines()
    equal([line.split("\t")[0] for line in said], ["1", "2", "3", "5"], "DISCOVER, OFFER, REQUEST, ACK")
    check(said[0].split("\t")[1], "tshark sees no IAID: the client identifier is not that of RFC 4361")
    running.stop()


def waits_for_a_server(lab, case):
    running = attach(lab, case)
    with case.judged(running):
        begin = running.client.packet_socket(running.device)
        begin.settimeout(100)
        subject = start(case, running)
        while DISCOVER not in begin.recv(2048):  # this one has nobody to answer it
            pass
        begin.close()
        server = serve(lab, running, "10.0.0.51")
        subject.wait_for_log("leased 10.0.0.51/24", 20)
        in_text("DHCPDISCOVER", server.log(), "the server's log")
    running.stop()


def renews_its_lease(lab, case):
    running = attach(lab, case)
    with case.judged(running):
        server = serve(lab, running, "10.0.0.52", T1)
        subject = start(case, running)
        subject.wait_for_log("leased 10.0.0.52/24", 10)
        wait_for_count(server, "DHCPACK", 3, 20)
        wait_for_count(subject, "leased 10.0.0.52/24", 3, 5)
        equal(server.log().count("DHCPDISCOVER"), 1, "discovers")
        check("lost" not in subject.log(), "the lease was lost on the way")
    running.stop()


def moves_when_it_is_told(lab, case):
    running = attach(lab, case)
    with case.judged(running):
        server = serve(lab, running, "10.0.0.53", T1)
        subject = start(case, running)
        subject.wait_for_log("leased 10.0.0.53/24", 10)
        server.stop()
        server = serve(lab, running, "10.0.0.54")
        subject.wait_for_log("lease lost", 20)
        subject.wait_for_log("leased 10.0.0.54/24", 20)
        in_text("DHCPNAK", server.log(), "the server's log")
        answers(running, "10.0.0.54")
    running.stop()


def declines_what_somebody_has(lab, case):
    running = attach(lab, case, app=GUARDED)
    with case.judged(running, allow="arp.duplicate-address-detected"):
        running.switch.ip("address", "add", "10.0.0.60/24", "dev", "bridge")
        server = serve(lab, running, "10.0.0.60")
        subject = start(case, running, GUARDED)
        server.wait_for_log("DHCPDECLINE", 20)
        check("leased 10" not in subject.log(), f"the address was used:\n{subject.log()}")
        server.stop()
        server = serve(lab, running, "10.0.0.61")
        subject.wait_for_log("leased 10.0.0.61/24", 60)
        answers(running, "10.0.0.61")
    running.stop()


def gets_an_address_from_libslirp(lab, case):
    running = attach(lab, case, user=True)
    start(case, running).wait_for_log(f"leased {subjects.USER_SUBJECT}/24 from {subjects.USER_GATEWAY}", 10)
    running.stop()


if __name__ == "__main__":
    main(gets_an_address, waits_for_a_server, renews_its_lease, moves_when_it_is_told,
         declines_what_somebody_has, gets_an_address_from_libslirp)
