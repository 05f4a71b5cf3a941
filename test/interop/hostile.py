#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Frames that no honest peer sends. None is answered as if it were right, and the site still answers after them."""

import random
import select
import struct
import time

from frames import Maker
from interop import check, ended_well, in_text, main
from testnet.capture import count
from testnet.subjects import CLIENT, WEBSITE

# a subject may tell the sender of a wrong packet about it, quoting it (RFC 1122 section 3.2.2)
QUOTES = "icmp.type == 3 || icmp.type == 4 || icmp.type == 11 || icmp.type == 12"


class Wire:
    """A raw socket beside the client's own stack, and what is needed to make frames for it."""

    def __init__(self, running):
        self.raw = running.client.packet_socket(running.device)
        mine = self.raw.getsockname()[4]
        with_colons = running.client.neighbour(running.address, running.device)
        self.subject = bytes.fromhex(with_colons.replace(":", ""))
        self.source = with_colons
        self.make = Maker(mine, self.subject, CLIENT, running.address)

    def send(self, *frames):
        for frame in frames:
            self.raw.send(frame[:1514])

    def ping(self, sequence, **wrong):
        return self.make.ipv4(1, self.make.echo_request(sequence, **wrong))

    def replies_until(self, last, seconds=100):
        """The sequence numbers of all echo replies until that of `last` has come."""
        seen, deadline = [], time.monotonic() + seconds
        while last not in seen:
            ready, _, _ = select.select([self.raw], [], [], max(0, deadline - time.monotonic()))
            check(ready, f"no echo reply {last} in {seconds} s; seen: {seen}")
            frame = self.raw.recv(65536)
            # from the subject, IPv4, ICMP, echo reply, our identity
            if frame[6:12] == self.subject and frame[12:14] == b"\x08\0" and frame[23] == 1:
                text = frame[14 + (frame[14] & 15) * 4:]
                if text[0] == 0 and text[4:6] == b"MI":
                    seen.append(struct.unpack("!H", text[6:8])[0])
        return seen


def begin(lab, case):
    case.needs_frames()
    running = case.start(lab, WEBSITE)
    return running, Wire(running)


def still_serves(running):
    page = running.client.run("curl", "-sS", "--max-time", "100", "-i", running.url + "/").stdout
    in_text(r"^HTTP/1\.1 200 ", page, "the site after the frames")
    ended_well(running)


def unanswered(wire, *frames):
    """Sends wrong echo requests with sequence 1 and up, then a right one: only that may be answered."""
    wire.send(*frames, wire.ping(999))
    seen = wire.replies_until(999)
    check(seen == [999], f"wrong packets were answered: {seen}")


def wrong_ipv4_headers(lab, case):
    """RFC 1122 section 3.2.1: version, header length, total length and checksum are verified, errors are dropped."""
    running, wire = begin(lab, case)
    make, text = wire.make, wire.make.echo_request
    with case.judged(running, source=wire.source, allow=QUOTES):
        unanswered(wire,
                   make.ipv4(1, text(1), wrong_checksum=True),
                   make.ipv4(1, text(2), version=6),
                   make.ipv4(1, text(3), version=0),
                   make.ipv4(1, text(4), words=4),
                   make.ipv4(1, text(5), words=0),
                   make.ipv4(1, text(6), words=15),
                   make.ipv4(1, text(7), length=19),
                   make.ipv4(1, text(8), length=0),
                   make.ipv4(1, text(9), length=1500),
                   make.ipv4(1, text(10), length=65535),
                   make.ipv4(1, text(11), source=b"\xff\xff\xff\xff"),
                   make.ipv4(1, text(12), source=b"\xe0\0\0\1"),
                   make.ipv4(1, text(13), destination=bytes([10, 0, 0, 99])),
                   make.frame(0x0800, b""), make.frame(0x0800, b"\x45")[:15],
                   make.ipv4(1, text(14))[:33], make.ipv4(1, text(15))[:14 + 20 + 4])
        still_serves(running)


def wrong_icmp_tcp_and_udp(lab, case):
    """A transport checksum or length that is wrong is a packet that did not come."""
    running, wire = begin(lab, case)
    make = wire.make
    with case.judged(running, source=wire.source, allow=QUOTES):
        unanswered(wire,
                   wire.ping(1, wrong_checksum=True),
                   make.ipv4(1, make.echo_request(2)[:7]), make.ipv4(1, b""), make.ipv4(1, b"\x08"),
                   make.ipv4(6, make.tcp(4001, 80, wrong_checksum=True)),
                   make.ipv4(6, make.tcp(4002, 80, words=4)), make.ipv4(6, make.tcp(4003, 80, words=15)),
                   make.ipv4(6, make.tcp(4004, 80)[:19]), make.ipv4(6, b""),
                   make.ipv4(6, make.tcp(4005, 80, words=6, options=b"\x02\x00\x05\xb4")),
                   make.ipv4(6, make.tcp(4006, 80, words=6, options=b"\x02\xff\x05\xb4")),
                   make.ipv4(6, make.tcp(4007, 80, words=6, options=b"\x03\x03\xff\x01")),
                   make.ipv4(6, make.tcp(4008, 80, flags=0x03)), make.ipv4(6, make.tcp(4009, 80, flags=0)),
                   make.ipv4(6, make.tcp(4010, 80, flags=0xFF)),
                   make.ipv4(6, make.tcp(80, 80, source=make.destination), source=make.destination),
                   make.ipv4(17, make.udp(4011, 7, wrong_checksum=True)), make.ipv4(17, make.udp(4012, 7, length=4)),
                   make.ipv4(17, make.udp(4013, 7, length=2000)), make.ipv4(17, b"\0\0\0"),
                   make.ipv4(255, b"unknown protocol"))
        still_serves(running)


def no_connection_from_a_wrong_checksum(lab, case):
    """The same SYN is answered when its checksum is right, so that the silence above means something."""
    running, wire = begin(lab, case)
    make = wire.make
    with case.judged(running, source=wire.source) as capture:
        wire.send(make.ipv4(6, make.tcp(4101, 80, wrong_checksum=True)), make.ipv4(6, make.tcp(4102, 80)))
        unanswered(wire)
        still_serves(running)
    answered = "tcp.srcport == 80 && tcp.flags.syn == 1 && tcp.dstport == "
    check(count(capture.path, answered + "4101") == 0, "a SYN with a wrong checksum was answered")
    check(count(capture.path, answered + "4102") > 0, "a right SYN was not answered")


def fragments_that_overlap_or_never_end(lab, case):
    """Overlapping, too long, empty and endless fragments (RFC 815, RFC 1858, RFC 3128): nothing grows, nothing breaks."""
    running, wire = begin(lab, case)
    make, more = wire.make, 0x2000
    text = make.echo_request(1, bytes(range(248)))
    with case.judged(running, source=wire.source, allow=QUOTES):
        overlapping = [make.ipv4(1, text[:128], identity=10, fragment=more),
                       make.ipv4(1, b"X" * 64, identity=10, fragment=more | 8),
                       make.ipv4(1, text[128:], identity=10, fragment=16)]
        beyond = [make.ipv4(1, b"Y" * 1400, identity=11, fragment=8191),
                  make.ipv4(1, b"Y" * 1480, identity=11, fragment=more | 8100)]
        empty = [make.ipv4(1, b"", identity=12, fragment=more), make.ipv4(1, b"", identity=12, fragment=more | 5)]
        uneven = [make.ipv4(1, b"Z" * 13, identity=13, fragment=more), make.ipv4(1, b"Z" * 8, identity=13, fragment=2)]
        two_ends = [make.ipv4(1, b"E" * 64, identity=14, fragment=8), make.ipv4(1, b"E" * 64, identity=14, fragment=4)]
        tiny = [make.ipv4(6, make.tcp(4200, 80)[:8], identity=15, fragment=more),
                make.ipv4(6, make.tcp(4200, 80)[8:], identity=15, fragment=1)]
        endless = [make.ipv4(1, b"N" * 1480, identity=1000 + i, fragment=more | i % 4 * 185) for i in range(600)]
        wire.send(*overlapping, *beyond, *empty, *uneven, *two_ends, *tiny, *endless, wire.ping(999))
        wire.replies_until(999)
        still_serves(running)


def fragments_in_any_order(lab, case):
    """RFC 791 section 3.2: a right datagram is put together again, whatever the order of its fragments."""
    running, wire = begin(lab, case)
    text = wire.make.echo_request(321, bytes(i & 255 for i in range(2400)))
    pieces = [wire.make.ipv4(1, text[at:at + 800], identity=77, fragment=(0x2000 if at + 800 < len(text) else 0)
                             | at // 8) for at in range(0, len(text), 800)]
    with case.judged(running):
        for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):
            wire.send(*(pieces[i] for i in order))
            wire.replies_until(321)
        still_serves(running)


def wrong_arp(lab, case):
    """RFC 826: other hardware, other lengths and cut packets are dropped; a claim to our own address does no harm."""
    running, wire = begin(lab, case)
    make, mine = wire.make, wire.raw.getsockname()[4]
    address = running.address
    with case.judged(running, source=wire.source):
        unanswered(wire,
                   make.arp(1, mine, CLIENT, address, hardware=99), make.arp(1, mine, CLIENT, address, hardware_length=8),
                   make.arp(1, mine, CLIENT, address, protocol_length=16), make.arp(1, mine, CLIENT, address)[:30],
                   make.arp(9, mine, CLIENT, address), make.arp(2, b"\x02\0\0\0\0\x99", address, address),
                   make.arp(2, b"\xff" * 6, "10.0.0.50", address), make.frame(0x0806, b""))
        still_serves(running)


def mutations(lab, case):
    """Right frames with random octets changed, cut or doubled, from a fixed seed."""
    running, wire = begin(lab, case)
    make, chance = wire.make, random.Random(20240229)
    seeds = [make.ipv4(1, make.echo_request(5)), make.ipv4(6, make.tcp(4300, 80)),
             make.ipv4(6, make.tcp(4301, 80, flags=0x10, acknowledgment=7, data=b"GET / HTTP/1.1\r\n\r\n")),
             make.ipv4(17, make.udp(4302, 7)), make.ipv4(17, make.udp(67, 68, bytes(300))),
             make.arp(1, wire.raw.getsockname()[4], "10.0.0.51", running.address),
             make.ipv4(6, make.tcp(4303, 80, words=8, options=b"\x02\x04\x05\xb4\x01\x03\x03\x07\x04\x02\0\0"))]
    with case.judged(running, source=wire.source, allow=QUOTES):
        for number in range(3000):
            frame = bytearray(chance.choice(seeds))
            for _ in range(chance.randint(1, 4)):
                frame[chance.randrange(12, len(frame))] = chance.randrange(256)
            if chance.random() < 0.2:
                del frame[chance.randrange(14, len(frame)):]
            wire.send(bytes(frame))
            if number % 100 == 99:  # a device's queue is short: each hundred is taken before the next comes
                wire.send(wire.ping(10_000 + number))
                wire.replies_until(10_000 + number)
        still_serves(running)


if __name__ == "__main__":
    main(wrong_ipv4_headers, wrong_icmp_tcp_and_udp, no_connection_from_a_wrong_checksum,
         fragments_that_overlap_or_never_end, fragments_in_any_order, wrong_arp, mutations)
