#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many peers at once: ten thousand who are silent and a thousand who talk, and a flood of those who never meant it."""

import re
import resource
import socket

from interop import Skip, check, ended_well, equal, in_text, main
from testnet.subjects import ECHO, WEBSITE

IDLE, ACTIVE, REQUESTS = 10_000, 1_000, 300


def resident(process):
    """Octets of memory that a process has."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024


def eleven_thousand_connections(lab, case):
    """All are established at the same time; the last thousand talk, then the first, who were silent until then."""
    case.needs_frames()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < IDLE + ACTIVE + 100:
        raise Skip(f"a process may have {most} open files here, too few for {IDLE + ACTIVE} connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    running = case.start(lab, ECHO)
    peers = []
    before = resident(running.process)
    try:
        with running.client.entered():
            peers += (socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(IDLE + ACTIVE))
        for peer in peers:
            peer.settimeout(30)
            peer.connect((running.address, running.port))
        each = (resident(running.process) - before) / len(peers)
        print(f"  {len(peers)} connections: {each:.0f} octets each, with the tasks that serve them", flush=True)
        for some in (peers[IDLE:], peers[:ACTIVE]):
            for number, peer in enumerate(some):
                peer.sendall(b"question %d" % number)
            for number, peer in enumerate(some):
                equal(peer.recv(100), b"question %d" % number, "echo")
    finally:
        for peer in peers:
            peer.close()
    ended_well(running)


def requests_during_a_syn_flood(lab, case):
    """RFC 4987: SYNs of strangers, as fast as the cable takes them, and at least 99 of 100 requests are served."""
    case.needs_frames()
    flooder = case.program("test/interop", "syn_flood")
    running = case.start(lab, WEBSITE)
    mine = running.client.run("cat", f"/sys/class/net/{running.device}/address").stdout.strip()
    subject = running.client.neighbour(running.address, running.device)
    flood = running.client.start(flooder, running.device, mine, subject, running.address, str(running.port))
    flood.wait_for_log("ready", 5)
    served = 0
    for _ in range(REQUESTS):
        try:
            with running.client.socket(socket.AF_INET, socket.SOCK_STREAM) as peer:
                peer.settimeout(30)
                peer.connect((running.address, running.port))
                peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = b""
                while part := peer.recv(65536):
                    answer += part
                served += answer.startswith(b"HTTP/1.1 200 ") and answer.rstrip().endswith(b"</html>")
        except OSError as problem:
            print(f"  a request failed: {problem}", flush=True)
    flood.check()
    flood.stop()
    sent = int(in_text(r"sent (\d+)", flood.log(), "the flood's log")[1])
    print(f"  {served} of {REQUESTS} requests served during {sent} SYNs", flush=True)
    check(sent > 2_000, f"only {sent} SYNs were sent, where the backlog takes 256: this was no flood")
    check(served >= 0.99 * REQUESTS, f"{served} of {REQUESTS} requests were served during {sent} SYNs")
    ended_well(running)


if __name__ == "__main__":
    main(eleven_thousand_connections, requests_during_a_syn_flood)
