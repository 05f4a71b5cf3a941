#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes docs/conformance.md: which part of which RFC is cited by which file of the library, and by which test.

Reads citations of the form "RFC 9293 section 3.10.7.4" ("sections 2.2 and 2.3", "section 5.2, 5.3") in include/ and
test/. Prints the document; --write puts it in its place; --check fails when what is there is out of date."""
import argparse
import collections
import difflib
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = TOP / "docs/conformance.md"
TITLES = {
    768: "User Datagram Protocol", 791: "Internet Protocol", 792: "Internet Control Message Protocol",
    815: "IP Datagram Reassembly Algorithms", 826: "Ethernet Address Resolution Protocol", 850: "USENET Messages (dates)",
    862: "Echo Protocol", 863: "Discard Protocol", 864: "Character Generator Protocol", 894: "IP over Ethernet",
    919: "Broadcasting Internet Datagrams", 950: "Internet Standard Subnetting Procedure",
    1042: "IP over IEEE 802 Networks", 1071: "Computing the Internet Checksum", 1112: "Host Extensions for IP Multicasting",
    1122: "Requirements for Internet Hosts", 1141: "Incremental Updating of the Internet Checksum",
    1191: "Path MTU Discovery", 1340: "Assigned Numbers", 1542: "Clarifications and Extensions for BOOTP",
    1624: "Computation of the Internet Checksum via Incremental Update", 1812: "Requirements for IP Version 4 Routers",
    1858: "Security Considerations for IP Fragment Filtering", 2018: "TCP Selective Acknowledgment Options",
    2083: "PNG Specification", 2131: "Dynamic Host Configuration Protocol", 2132: "DHCP Options and BOOTP Vendor Extensions",
    2474: "Differentiated Services Field", 2525: "Known TCP Implementation Problems",
    3021: "31-Bit Prefixes on Point-to-Point Links", 3042: "Limited Transmit", 3128: "Protection Against a Tiny Fragment Attack",
    3168: "Explicit Congestion Notification", 3396: "Encoding Long Options in DHCPv4",
    3465: "Appropriate Byte Counting", 3927: "IPv4 Link-Local Addresses", 3986: "Uniform Resource Identifier",
    4361: "Node-specific Client Identifiers for DHCPv4", 4963: "IPv4 Reassembly Errors at High Data Rates",
    4987: "TCP SYN Flooding Attacks and Common Mitigations", 5227: "IPv4 Address Conflict Detection",
    5237: "Allocation of the Protocol Field", 5681: "TCP Congestion Control", 5722: "Handling of Overlapping IPv6 Fragments",
    5771: "IPv4 Multicast Address Assignments", 5789: "PATCH Method for HTTP", 5927: "ICMP Attacks against TCP",
    5961: "Improving TCP's Robustness to Blind In-Window Attacks", 6056: "Transport-Protocol Port Randomization",
    6093: "TCP Urgent Mechanism", 6191: "Reducing the TIME-WAIT State Using TCP Timestamps",
    6298: "Computing TCP's Retransmission Timer", 6335: "Service Name and Port Number Procedures",
    6528: "Defending against Sequence Number Attacks", 6582: "The NewReno Modification", 6585: "Additional HTTP Status Codes",
    6633: "Deprecation of ICMP Source Quench", 6691: "TCP Options and Maximum Segment Size",
    6864: "Updated Specification of the IPv4 ID Field", 6890: "Special-Purpose IP Address Registries",
    6928: "Increasing TCP's Initial Window", 6937: "Proportional Rate Reduction", 7323: "TCP Extensions for High Performance",
    7661: "Updating TCP to Support Rate-Limited Traffic", 8200: "Internet Protocol, Version 6",
    8415: "DHCP for IPv6", 8439: "ChaCha20 and Poly1305", 9110: "HTTP Semantics", 9112: "HTTP/1.1",
    9293: "Transmission Control Protocol", 9542: "IANA Considerations for IEEE 802 Parameters",
    1034: "Domain Names: Concepts", 1035: "Domain Names: Implementation",
    2181: "Clarifications to the DNS Specification", 2308: "Negative Caching of DNS Queries", 2782: "DNS SRV",
    3596: "DNS Extensions to Support IPv6", 3597: "Handling of Unknown DNS Record Types",
    4035: "DNSSEC Protocol Modifications", 4343: "DNS Case Insensitivity Clarification", 6762: "Multicast DNS",
    6891: "Extension Mechanisms for DNS (EDNS(0))", 8499: "DNS Terminology",
    9619: "In the DNS, QDCOUNT Is (Usually) One",
    1535: "A Security Problem with DNS Software", 1123: "Requirements for Internet Hosts: Application and Support",
    3397: "DHCP Domain Search Option", 5452: "Measures for Making DNS More Resilient against Forged Answers",
    6761: "Special-Use Domain Names", 7686: "The .onion Special-Use Domain Name", 7766: "DNS Transport over TCP",
    8767: "Serving Stale Data", 9520: "Negative Caching of DNS Resolution Failures",
    9715: "IP Fragmentation Avoidance in DNS over UDP",
    4330: "Simple Network Time Protocol (obsolete)", 5905: "Network Time Protocol", 8633: "NTP Best Current Practices",
    9109: "NTP Port Randomization",
    2236: "Internet Group Management Protocol, Version 2", 3376: "Internet Group Management Protocol, Version 3",
    2113: "IP Router Alert Option",
    2464: "IPv6 over Ethernet", 2675: "IPv6 Jumbograms", 2711: "IPv6 Router Alert Option",
    3493: "Basic Socket Interface Extensions for IPv6", 3590: "Source Address Selection for MLD", 3810: "Multicast Listener Discovery, Version 2", 3971: "Secure Neighbor Discovery",
    4193: "Unique Local IPv6 Unicast Addresses", 4291: "IPv6 Addressing Architecture", 4443: "ICMPv6",
    4861: "Neighbor Discovery for IP version 6", 4862: "IPv6 Stateless Address Autoconfiguration",
    5095: "Deprecation of Type 0 Routing Headers in IPv6", 5453: "Reserved IPv6 Interface Identifiers",
    5952: "A Recommendation for IPv6 Address Text Representation", 6104: "Rogue IPv6 Router Advertisements",
    6724: "Default Address Selection for IPv6", 6946: "Processing of IPv6 Atomic Fragments",
    7112: "Implications of Oversized IPv6 Header Chains", 7217: "Semantically Opaque Interface Identifiers",
    7527: "Enhanced Duplicate Address Detection", 7559: "Packet-Loss Resiliency for Router Solicitations",
    8021: "IPv6 Atomic Fragments Considered Harmful", 8106: "Router Advertisement Options for DNS",
    6583: "Operational Neighbor Discovery Problems", 8201: "Path MTU Discovery for IP version 6", 8504: "IPv6 Node Requirements", 8981: "Temporary IPv6 Addresses",
}
NUMBER = r"\d+(?:\.\d+)*"
CITATION = re.compile(rf"\bRFC (\d{{3,5}})\b(?:,? (?:s|S)ection(s?) ({NUMBER})"
                      rf"((?:(?:, (?:and )?| and | to |, section )(?:\d+(?:\.\d+)+|(?<=and )\d+(?=[\s]*[:.,;)\"])))*))?")
FOOT = """
Sections without a test of their own are marked -. A file is listed where it cites a section; that a test cites one
says that it checks a rule of it, not that it checks every rule.

## Not implemented

| what | where it would go |
|---|---|
| F-RTO (RFC 5682): a needless timeout is found by timestamps instead (RFC 3522, RFC 4015), without which there is no such detection | `net/tcp/recovery/rack.hpp` |
| Marks on single fragments of a TCP segment (RFC 3168 section 5.3): the first fragment's header counts; ours are never cut | `net/reassembly.hpp` |
| Explicit congestion notification for connections that a SYN cookie made (RFC 3168 section 6.1.1) | `net/tcp/syn_cookie.hpp` |
| Urgent data (RFC 9293 section 3.8.5): delivered as ordinary data, never sent | `net/tcp/input.hpp` |
| Checksum and segmentation offload over IPv6 on hvt, and the checksums of UDP over IPv6 anywhere: done by us | `net/udp.hpp`, the ring |
| Multicast DNS over IPv6 (RFC 6762 section 3) | `net/dns.hpp` |
| IP options: skipped; packets with a source route are discarded (RFC 1122 section 3.2.1.8) | `wire/ipv4.hpp` |
"""


def files(*folders):
    for folder in folders:
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix in (".hpp", ".h", ".cpp", ".py", ".S") and "corpus" not in path.parts and path.is_file():
                yield path


def citations(text):
    """(RFC, section) of everything that is cited; section "" when the RFC is cited as a whole."""
    text = re.sub(r"\s*\n\s*(?://[/<!]*|\*|#)?\s*", " ", text)
    for rfc, _, first, rest in CITATION.findall(text):
        sections = [first] + re.findall(NUMBER, rest) if first else [""]
        for section in sections:
            yield int(rfc), section


def collect():
    found = collections.defaultdict(lambda: (set(), set()))
    for which, folder in enumerate(["include", "test"]):
        for path in files(folder):
            for citation in citations(path.read_text(errors="replace")):
                found[citation][which].add(path.relative_to(TOP / folder).as_posix())
    return found


def order(section):
    return [int(n) for n in section.split(".")] if section else []


def cell(names, folder):
    strip = "mirage/" if folder == "include" else ""
    return ", ".join(f"[{n.removeprefix(strip)}](../{folder}/{n})" for n in sorted(names)) or "-"


def document():
    found = collect()
    rfcs = sorted({rfc for rfc, _ in found})
    of_code = [s for s, (code, _) in found.items() if code]
    tested = [s for s in of_code if found[s][1]]
    lines = ["<!-- SPDX-License-Identifier: MIT -->", "<!-- Made by tools/conformance.py --write; do not edit. -->",
             "# Conformance: which RFC is where", "",
             f"{len(of_code)} parts of {len(rfcs)} RFCs are cited in the library; tests cite {len(tested)} of them by the "
             "same section.", "", FOOT.strip(), ""]
    for rfc in rfcs:
        lines += [f"## RFC {rfc}" + (f": {TITLES[rfc]}" if rfc in TITLES else ""), "",
                  "| section | library | tests |", "|---|---|---|"]
        for section in sorted((s for r, s in found if r == rfc), key=order):
            code, tests = found[rfc, section]
            lines.append(f"| {section or 'as a whole'} | {cell(code, 'include')} | {cell(tests, 'test')} |")
        lines.append("")
    return "\n".join(lines)


def self_test():
    text = ("/// RFC 9293 section 3.10.7.4, RFC 768\n// (RFC 6298 sections 5.2, 5.3), RFC 9110\n// section 8.8.3.2, 13.1.1 and 7: "
            "RFC 9293 section 3.4.2, 2 MSL; RFC 1122 sections 3.2.1.3 and 3.3.6")
    wanted = [(9293, "3.10.7.4"), (768, ""), (6298, "5.2"), (6298, "5.3"), (9110, "8.8.3.2"), (9110, "13.1.1"),
              (9110, "7"), (9293, "3.4.2"), (1122, "3.2.1.3"), (1122, "3.3.6")]
    found = list(citations(text))
    return [] if found == wanted else [f"read {found}", f"not  {wanted}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if wrong := self_test():
        sys.exit("conformance.py reads citations wrongly:\n" + "\n".join(wrong))
    text = document()
    if options.write:
        DOCUMENT.write_text(text)
    elif options.check:
        there = DOCUMENT.read_text() if DOCUMENT.exists() else ""
        changes = list(difflib.unified_diff(there.splitlines(), text.splitlines(), "docs/conformance.md", "what it should be",
                                            lineterm="", n=0))
        if changes:
            print("\n".join(changes[:40]))
            sys.exit("docs/conformance.md is out of date: run python3 tools/conformance.py --write and commit it")
        print("docs/conformance.md is current")
    else:
        print(text)


if __name__ == "__main__":
    main()
