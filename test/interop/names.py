#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Names and time (examples/resolve): DNS against dnsmasq, DHCP's servers, mDNS and SNTP against servers of our own."""

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time

from interop import Skip, check, equal, in_text, main
from testnet import require_root, subjects

RESOLVE = subjects.App("resolve", "examples/resolve")
SERVER, SECOND = "10.0.0.1", "10.0.0.3"
ZONE = ("--local=/test/", "--host-record=www.test,10.0.0.7", "--cname=alias.test,www.test",
        "--cname=again.test,alias.test", "--host-record=six.test,2001:db8::7", "--txt-record=text.test,hello,world",
        "--srv-host=_sip._udp.test,sip.test,5060,1,2", "--host-record=two.test,10.0.0.8",
        "--host-record=two.test,10.0.0.9", "--host-record=www.lan.test,10.0.0.7",
        *(f"--host-record=big.test,10.1.0.{i}" for i in range(1, 201)))


def attach(lab, case):
    """A network for the appliance; the subject itself is started by ask()."""
    if case.target is None:
        raise Skip("the reference has no resolver of ours")
    if case.target.user_networking:
        raise Skip("user networking has no name server of ours")
    require_root("tcpdump", "tshark", "dnsmasq")
    subjects.available(RESOLVE, case.target, case.build)
    return subjects.attach_bridged(lab, RESOLVE)


def serve(lab, running, *options, address=SERVER, leases=False):
    """A name server at `address`, for a zone of its own."""
    directory = os.path.join(lab.directory, f"dnsmasq-{address}-{len(options)}")
    os.makedirs(directory)
    process = running.client.start(
        "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--no-resolv", "--no-hosts", "--log-queries",
        "--bind-interfaces", f"--pid-file={directory}/pid", f"--dhcp-leasefile={directory}/leases",
        *([f"--interface={running.device}"] if leases else [f"--listen-address={address}", "--except-interface=lo"]),
        *ZONE, *options)
    process.wait_for_log("cache", 5)
    return process


def ask(case, running, *keys, server=SERVER, status=0, seconds=60):
    """What the appliance says when it is asked with these keys, until it ends."""
    words = subjects.command(RESOLVE, case.target, case.build)
    if server is None:
        words = [word for word in words if not word.startswith("--ipv4")] + ["--dhcp"]
    else:
        words = [*words, f"--dns={server}"]
    running.client.forget_neighbours()
    process = running.server.start(*words, *keys)
    process.wait(seconds)
    said = process.log()
    equal(process.status(), status, f"the exit status of {' '.join(keys)}, which said\n{said}\n")
    return said


def fields(capture, chosen, *names):
    """These fields of the packets that are chosen, as tshark sees them."""
    done = subprocess.run(["tshark", "-n", "-r", capture.path, "-Y", chosen, "-Tfields", *("-e" + n for n in names)],
                          capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def looks_names_up(lab, case):
    running = attach(lab, case)
    with case.judged(running) as capture:
        server = serve(lab, running)
        in_text(r"www.test A 10\.0\.0\.7", ask(case, running, "--name=www.test"), "an address")
        in_text(r"six.test AAAA 2001:db8:0*:0*:0*:0*:0*:7|six.test AAAA 2001:db8::7",
                ask(case, running, "--name=six.test", "--type=aaaa"), "an IPv6 address")
        in_text('text.test TXT "hello" "world"', ask(case, running, "--name=text.test", "--type=txt"), "a text")
        in_text("_sip._udp.test SRV 1 2 5060 sip.test", ask(case, running, "--name=_sip._udp.test", "--type=srv"),
                "a service")
        in_text("7.0.0.10.in-addr.arpa PTR www.test",
                ask(case, running, "--name=7.0.0.10.in-addr.arpa", "--type=ptr"), "the name of an address")
        both = ask(case, running, "--name=two.test")
        in_text(r"two.test A 10\.0\.0\.8", both, "the first address")
        in_text(r"two.test A 10\.0\.0\.9", both, "the second address")
    server.stop()
    queries = fields(capture, "dns.flags.response==0", "dns.qry.name", "dns.id", "udp.srcport")
    check(any(name != name.lower() for name, _, _ in queries), f"all letters are small: {queries}")
    equal([len(set(column)) for column in list(zip(*queries))[1:]], [len(queries)] * 2, "different IDs and ports")


def follows_aliases(lab, case):
    running = attach(lab, case)
    with case.judged(running):
        server = serve(lab, running)
        in_text(r"again.test A 10\.0\.0\.7", ask(case, running, "--name=again.test"), "by way of two aliases")
        in_text("alias.test CNAME www.test", ask(case, running, "--name=alias.test", "--type=cname"), "an alias")
    server.stop()


def says_what_is_not_there(lab, case):
    running = attach(lab, case)
    with case.judged(running):
        server = serve(lab, running)
        in_text("none.test A: not found", ask(case, running, "--name=none.test", status=1), "NXDOMAIN")
        in_text("www.test AAAA: not found", ask(case, running, "--name=www.test", "--type=aaaa", status=1), "no data")
        in_text("www.elsewhere A: input/output error", ask(case, running, "--name=www.elsewhere", status=1), "REFUSED")
    server.stop()


def takes_long_answers_over_tcp(lab, case):
    running = attach(lab, case)
    with case.judged(running) as capture:
        server = serve(lab, running)
        said = ask(case, running, "--name=big.test")
        check(said.count("big.test A 10.1.0.") > 50, f"few addresses in\n{said}")
        in_text("2 queries, .* 1 over TCP", said, "the statistics")
    server.stop()
    equal(fields(capture, "dns.flags.response==1", "dns.flags.truncated", "tcp.srcport"), [["1", ""], ["0", "53"]],
          "truncated by UDP, whole by TCP")


def keeps_what_it_has_heard(lab, case):
    running = attach(lab, case)
    with case.judged(running):
        server = serve(lab, running, "--local-ttl=60")
        said = ask(case, running, "--name=www.test", "--times=5")
        equal(said.count("www.test A 10.0.0.7"), 5, "answers")
        in_text("1 queries, 4 from the cache", said, "the statistics")
    server.stop()


def asks_the_next_server(lab, case):
    running = attach(lab, case)
    with case.judged(running):
        running.client.ip("address", "add", f"{SECOND}/24", "dev", running.device)
        server = serve(lab, running, address=SECOND)
        with running.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind((SERVER, 53))
            said = ask(case, running, f"--dns2={SECOND}", "--name=www.test")
            in_text(r"www.test A 10\.0\.0\.7", said, "the second server's answer")
            in_text("1 not answered", said, "the statistics")
            server.stop()
            silent.close()
        # nobody is there any more, and Linux says so (ICMP)
        said = ask(case, running, f"--dns2={SECOND}", "--name=www.test", status=1)
        in_text("connection refused", said, "the reason")


def gives_up_when_nobody_answers(lab, case):
    running = attach(lab, case)
    with case.judged(running):
        with running.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind((SERVER, 53))
            in_text("www.test A: timed out", ask(case, running, "--name=www.test", status=1), "the reason")


def uses_what_dhcp_says(lab, case):
    running = attach(lab, case)
    with case.judged(running):
        server = serve(lab, running, "--dhcp-range=10.0.0.50,10.0.0.50,255.255.255.0,2m", "--dhcp-authoritative",
                       "--dhcp-option=option:domain-search,none.test,lan.test", "--no-ping", leases=True)
        in_text(r"www A 10\.0\.0\.7", ask(case, running, "--name=www", server=None), "a name of the lease's domain")
    server.stop()


@contextlib.contextmanager
def answering(sock, answer):
    """Answers every datagram of `sock` with answer(datagram), until the end of the block."""
    ended = threading.Event()
    sock.settimeout(0.1)

    def run():
        while not ended.is_set():
            try:
                data, sender = sock.recvfrom(2048)
            except TimeoutError:
                continue
            if (reply := answer(data)) is not None:
                sock.sendto(reply, sender)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        sock.close()


def asks_on_the_link(lab, case):
    running = attach(lab, case)
    question = b"\x07printer\x05local\0" + struct.pack("!HH", 1, 1)

    def respond(data):  # to a legacy query: RFC 6762 section 6.7
        if data[12:] != question or data[2:4] != b"\0\0":
            return None
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 10, 4) + socket.inet_aton("10.0.0.77")
        return data[:2] + struct.pack("!HHHHH", 0x8400, 1, 1, 0, 0) + question + record

    with case.judged(running):
        group = running.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        group.bind(("", 5353))
        group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                         socket.inet_aton("224.0.0.251") + socket.inet_aton(SERVER))
        with answering(group, respond):
            in_text(r"printer.local A 10\.0\.0\.77", ask(case, running, "--name=printer.local"), "an answer of the link")
            in_text("scanner.local A: not found", ask(case, running, "--name=scanner.local", status=1), "no answer")


def sets_the_clock(lab, case):
    running = attach(lab, case)
    behind = 3600

    def respond(data):  # RFC 5905 section 7.3, an hour ahead
        now = int((time.time() + behind + 2208988800) * (1 << 32))
        check(data[0] == 0x23 and len(data) == 48, f"not a client's message: {data!r}")
        return (struct.pack("!BBbbIIIQ", 0x24, 1, 6, -20, 0, 0, 0x4C4F434C, now) + data[40:48]
                + struct.pack("!QQ", now, now))

    with case.judged(running):
        server = serve(lab, running, f"--host-record=time.test,{SERVER}")
        clock = running.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        clock.bind((SERVER, 123))
        with answering(clock, respond):
            said = ask(case, running, "--ntp=time.test")
        moved = float(in_text(r"it is 20\d\d-.*Z, the clock was moved by (\S+) s", said, "the time").group(1))
        check(abs(moved - behind) < 5, f"moved by {moved} s")
        in_text("connection refused", ask(case, running, f"--ntp={SERVER}", status=1), "nobody there")
    server.stop()


def connects_to_the_first_that_answers(lab, case):
    running = attach(lab, case)
    with case.judged(running):
        server = serve(lab, running, "--host-record=many.test,10.0.0.200", f"--host-record=many.test,{SERVER}")
        with running.client.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind((SERVER, 8000))
            listener.listen()
            in_text(f"connected to {SERVER}:8000", ask(case, running, "--name=many.test", "--connect=8000"), "a connection")
        in_text("connection refused", ask(case, running, f"--name={SERVER}", "--connect=8001", status=1), "nobody listens")
    server.stop()


if __name__ == "__main__":
    main(looks_names_up, follows_aliases, says_what_is_not_there, takes_long_answers_over_tcp, keeps_what_it_has_heard,
         asks_the_next_server, gives_up_when_nobody_answers, uses_what_dhcp_says, asks_on_the_link, sets_the_clock,
         connects_to_the_first_that_answers)
