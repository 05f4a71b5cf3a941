#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The echo example on TCP and UDP (RFC 862), and the host requirements that a ping and an ARP request see."""

import json
import os
import re
import socket
import subprocess
import threading

from frames import Maker, checksum
from interop import MIB, check, ended_well, equal, main
from testnet.subjects import ECHO


def tcp_echo_gives_back_every_octet(lab, case):
    running = case.start(lab, ECHO)
    path, _ = case.stream_file(lab, MIB)
    with open(path, "rb") as file:
        text = file.read()
    with case.judged(running):
        with running.client.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(100)
            client.connect((running.address, running.port))
            # both directions at once: an echo that cannot be written stops the reading, and must not stop for good
            sender = threading.Thread(target=lambda: (client.sendall(text), client.shutdown(socket.SHUT_WR)))
            sender.start()
            heard = b""
            while part := client.recv(65536):
                heard += part
            sender.join()
    equal(len(heard), len(text), "octets")
    check(heard == text, "the echo differs")
    ended_well(running)


def tcp_echo_of_single_octets(lab, case):
    running = case.start(lab, ECHO)
    with case.judged(running):
        with running.client.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(100)
            client.connect((running.address, running.port))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in range(256):
                client.sendall(bytes([octet]))
                equal(client.recv(1), bytes([octet]), "octet")
    ended_well(running)


def udp_echo(lab, case):
    case.needs_frames()  # user networking forwards the TCP port alone
    running = case.start(lab, ECHO)
    with case.judged(running):
        with running.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(100)
            client.connect((running.address, 7))
            for size in (0, 1, 2, 63, 64, 65, 511, 1471, 1472):
                text = os.urandom(size)
                client.send(text)
                check(client.recv(65536) == text, f"the echo of {size} octets differs")
    ended_well(running)


def udp_echo_with_32_in_flight(lab, case):
    case.needs_frames()
    load = case.program("bench", "udp_echo_load")
    running = case.start(lab, ECHO)
    with case.judged(running):
        done = running.client.run(load, "--address", running.address, "--datagrams", 10_000, "--in-flight", 32)
    equal(json.loads(done.stdout)["errors"], 0, "datagrams without the right answer")
    ended_well(running)


def ping_is_answered(lab, case):
    """RFC 1122 section 3.2.2.6: an echo reply gives back identity, sequence and data of the request."""
    case.needs_frames()
    running = case.start(lab, ECHO)
    with case.judged(running):
        with running.client.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as client:
            client.settimeout(100)
            # 2000 octets do not fit a frame: the request comes in fragments, and so must the reply go
            for sequence, size in enumerate((0, 1, 56, 1471, 1472, 2000)):
                request = Maker.echo_request(sequence, os.urandom(size))
                client.sendto(request, (running.address, 0))
                reply = client.recv(65536)[20:]
                equal(reply[:2], b"\0\0", f"type and code of the reply to {size} octets")
                equal(checksum(reply), 0, "sum over the reply")
                check(reply[4:] == request[4:], f"the reply to {size} octets differs")
    ended_well(running)


def arp_is_answered(lab, case):
    """RFC 826: a request for its address is answered with one link-layer address, a request for another is not."""
    case.needs_frames()
    running = case.start(lab, ECHO)
    address = running.client.neighbour(running.address, running.device)
    check(address and re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", address), f"link-layer address {address}")
    check(int(address[:2], 16) & 1 == 0, f"{address} is a group address")
    with case.judged(running) as capture:
        running.client.forget_neighbours()
        check(running.client.can_connect(running.address, running.port, 5), "no connection after ARP")
        equal(running.client.neighbour(running.address, running.device), address, "link-layer address")
        # nobody has .77; the kernel's question about it must stay without an answer until .2 has answered again
        with running.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.sendto(b"anyone?", ("10.0.0.77", 7))
        running.client.forget_neighbours()
        check(running.client.can_connect(running.address, running.port, 5), "no connection after ARP")
    said = subprocess.run(["tshark", "-n", "-r", capture.path, "-Y", "arp.opcode == 2", "-Tfields",
                           "-earp.src.proto_ipv4"], capture_output=True, text=True).stdout.split()
    check("10.0.0.77" not in said, "ARP answers for an address that is not the subject's")
    check(running.address in said, "no ARP answer in the capture")
    ended_well(running)


if __name__ == "__main__":
    main(tcp_echo_gives_back_every_octet, tcp_echo_of_single_octets, udp_echo, udp_echo_with_32_in_flight,
         ping_is_answered, arp_is_answered)
