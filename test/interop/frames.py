# SPDX-License-Identifier: MIT
"""Ethernet frames made by hand, right and wrong in every field that a test wants wrong."""

import socket
import struct


def checksum(octets):
    """The Internet checksum (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Maker:
    """Frames from one station to another; addresses as bytes (link layer) and text (IPv4)."""

    def __init__(self, source_mac, destination_mac, source, destination):
        self.ethernet = destination_mac + source_mac
        self.source, self.destination = socket.inet_aton(source), socket.inet_aton(destination)

    def frame(self, ethertype, payload):
        return (self.ethernet + struct.pack("!H", ethertype) + payload).ljust(60, b"\0")

    def ipv4(self, protocol, payload, *, version=4, words=None, length=None, identity=1, fragment=0, ttl=64,
             options=b"", wrong_checksum=False, source=None, destination=None):
        """One IPv4 packet in a frame; `fragment` is the field with its flags (RFC 791 section 3.1)."""
        header_words = 5 + len(options) // 4 if words is None else words
        total = 20 + len(options) + len(payload) if length is None else length
        head = struct.pack("!BBHHHBBH4s4s", version << 4 | header_words, 0, total, identity, fragment, ttl, protocol, 0,
                           source or self.source, destination or self.destination) + options
        value = checksum(head) ^ (0x5555 if wrong_checksum else 0)
        return self.frame(0x0800, head[:10] + struct.pack("!H", value) + head[12:] + payload)

    @staticmethod
    def echo_request(sequence, data=b"abcdefgh", wrong_checksum=False, identity=0x4D49):
        text = struct.pack("!BBHHH", 8, 0, 0, identity, sequence) + data
        value = checksum(text) ^ (0x5555 if wrong_checksum else 0)
        return text[:2] + struct.pack("!H", value) + text[4:]

    def tcp(self, source_port, port, *, flags=0x02, sequence=1000, acknowledgment=0, words=5, options=b"", data=b"",
            wrong_checksum=False, source=None):
        text = struct.pack("!HHIIBBHHH", source_port, port, sequence, acknowledgment, words << 4, flags, 8192, 0, 0)
        text += options + data
        pseudo = (source or self.source) + self.destination + struct.pack("!BBH", 0, 6, len(text))
        value = checksum(pseudo + text) ^ (0x5555 if wrong_checksum else 0)
        return text[:16] + struct.pack("!H", value) + text[18:]

    def udp(self, source_port, port, data=b"hello", *, length=None, wrong_checksum=False):
        text = struct.pack("!HHHH", source_port, port, 8 + len(data) if length is None else length, 0) + data
        pseudo = self.source + self.destination + struct.pack("!BBH", 0, 17, 8 + len(data))
        value = (checksum(pseudo + text) or 0xFFFF) ^ (0x5555 if wrong_checksum else 0)
        return text[:6] + struct.pack("!H", value) + text[8:]

    def arp(self, operation, sender_mac, sender, target, *, hardware=1, hardware_length=6, protocol_length=4):
        return self.frame(0x0806, struct.pack("!HHBBH", hardware, 0x0800, hardware_length, protocol_length, operation)
                          + sender_mac + socket.inet_aton(sender) + bytes(6) + socket.inet_aton(target))
