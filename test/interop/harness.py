#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tests of the tests: the judge sees what is wrong, the bad cable is bad, and nothing is left behind."""

import os
import signal
import struct
import sys

from frames import Maker
from interop import ROOT, check, equal, main
from testnet import Capture, JudgeError, Lab, Process, Skip, Timeout, judge, require_root, wait_until

HERE_MAC, THERE_MAC = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"
MAKE = Maker(HERE_MAC, THERE_MAC, "10.0.0.1", "10.0.0.2")


def write_capture(path, *frames):
    """A capture file with these frames (the classic pcap format)."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            file.write(struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame)
    return path


def the_judge_sees_every_wrong_packet(lab, _case):
    require_root("tshark")
    right = [MAKE.ipv4(1, MAKE.echo_request(1)), MAKE.ipv4(6, MAKE.tcp(4000, 80)), MAKE.ipv4(17, MAKE.udp(4000, 7))]
    path = os.path.join(lab.directory, "judged.pcap")
    equal(judge(write_capture(path, *right)), len(right), "right packets")
    wrong = {
        "IPv4 checksum": MAKE.ipv4(1, MAKE.echo_request(1), wrong_checksum=True),
        "ICMP checksum": MAKE.ipv4(1, MAKE.echo_request(1, wrong_checksum=True)),
        "TCP checksum": MAKE.ipv4(6, MAKE.tcp(4000, 80, wrong_checksum=True)),
        "UDP checksum": MAKE.ipv4(17, MAKE.udp(4000, 7, wrong_checksum=True)),
        "IPv4 header length": MAKE.ipv4(1, MAKE.echo_request(1), words=4),
        "IPv4 total length": MAKE.ipv4(1, MAKE.echo_request(1), length=1500),
        "TCP data offset": MAKE.ipv4(6, MAKE.tcp(4000, 80, words=4)),
        "TCP option length": MAKE.ipv4(6, MAKE.tcp(4000, 80, words=6, options=b"\x02\x00\x05\xb4")),
        "UDP length": MAKE.ipv4(17, MAKE.udp(4000, 7, length=2000)),
        "ICMP cut short": MAKE.ipv4(1, MAKE.echo_request(1)[:5]),
    }
    for name, frame in wrong.items():
        try:
            judge(write_capture(path, *right, frame, *right))
        except JudgeError:
            continue
        raise AssertionError(f"the judge does not see a wrong {name}")
    allowed = judge(write_capture(path, *wrong.values(), *right), allow=f"frame.number <= {len(wrong)}")
    equal(allowed, len(wrong) + len(right), "packets, where the wrong ones are allowed")


def a_capture_misses_nothing(lab, _case):
    require_root("tcpdump", "tshark")
    left, right = lab.namespace("left"), lab.namespace("right")
    lab.veth((left, "eth0", "10.0.0.1/24"), (right, "eth0", "10.0.0.2/24"), offloads=False)
    capture = Capture(right, "eth0", os.path.join(lab.directory, "all.pcap"), "udp port 7")
    with left.packet_socket("eth0") as raw:
        for number in range(500):
            raw.send(MAKE.ipv4(17, MAKE.udp(4000 + number, 7)))
    equal(judge(capture.stop()), 500, "packets captured")


def the_bad_cable_loses_the_same_frames_each_time(lab, case):
    require_root()
    program = case.program("test/interop", "impaired_link")
    arrived = []
    for _ in range(2):
        left, right = lab.namespace("left"), lab.namespace("right")
        ends = left.open_tap("eth0"), right.open_tap("eth0")
        cable = left.start(program, *ends, "--loss", 20, "--duplicate", 5, "--seed", 3, pass_fds=ends)
        cable.wait_for_log("ready", 5)
        with left.packet_socket("eth0") as sender, right.packet_socket("eth0") as receiver:
            receiver.settimeout(100)
            for number in range(300):
                sender.send(MAKE.frame(0x88B5, struct.pack("!H", number)))
            seen = []
            # the last of many ends the stream, as some of them may be lost too
            for _ in range(60):
                sender.send(MAKE.frame(0x88B5, b"\xff\xff"))
            while (frame := receiver.recv(2048))[14:16] != b"\xff\xff":
                if frame[12:14] == b"\x88\xb5":
                    seen.append(frame[14:16])
        arrived.append(seen)
    equal(arrived[0], arrived[1], "frames that arrived")
    check(150 < len(arrived[0]) < 300, f"{len(arrived[0])} of 300 arrived")
    check(len(set(arrived[0])) < len(arrived[0]), "none was doubled")


def waiting_has_an_end(_lab, _case):
    try:
        wait_until(lambda: False, 0.05, "what never comes")
    except Timeout as error:
        check("what never comes" in str(error), str(error))
    else:
        raise AssertionError("no Timeout")


def a_signal_leaves_nothing_behind(lab, _case):
    """SIGTERM and SIGINT remove everything at once; what SIGKILL leaves goes with the next run."""
    require_root()
    program = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
               "from testnet import Lab\n"
               "with Lab() as lab:\n"
               "    here = lab.namespace('victim'); here.add_tap('tap0'); held = here.start('sleep', '1000')\n"
               "    print(here.name, held.pid, lab.directory, flush=True); time.sleep(1000)\n")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        victim = lab.own(Process([sys.executable, "-c", program, os.path.join(ROOT, "tools")]), Process.close)
        wait_until(lambda: victim.log().count("\n"), 10, "the victim's namespace")
        name, held, directory = victim.log().split()
        check(os.path.exists(f"/run/netns/{name}") and os.path.exists(f"/proc/{held}"), "the victim made nothing")
        victim.signal(number)
        victim.wait(10)
        if number == signal.SIGKILL:
            with Lab():
                pass
        check(not os.path.exists(directory), f"{directory} is left after signal {number}")
        check(not os.path.exists(f"/run/netns/{name}"), f"{name} is left after signal {number}")
        wait_until(lambda: not os.path.exists(f"/proc/{held}"), 5, f"the end of the child after signal {number}")


def without_root_it_is_skipped(_lab, _case):
    require_root()
    os.seteuid(65534)
    try:
        require_root()
    except Skip as reason:
        check("root" in str(reason), str(reason))
    else:
        raise AssertionError("no Skip without root")
    finally:
        os.seteuid(0)


if __name__ == "__main__":
    main(the_judge_sees_every_wrong_packet, a_capture_misses_nothing, the_bad_cable_loses_the_same_frames_each_time,
         waiting_has_an_end, a_signal_leaves_nothing_behind, without_root_it_is_skipped)
