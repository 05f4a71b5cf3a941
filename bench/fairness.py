#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who gets how much of a bottleneck: connections of our stack, and of ours and of Linux, to the same Linux client, at once.

The cable (test/interop/impaired_link.cpp) carries 100 Mbit/s to the client, with a queue and a delay. Prints a table of
shares over the time of the measurement. Needs root, for network namespaces."""

import argparse
import dataclasses
import os
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
INTEROP = os.path.join(ROOT, "test", "interop")
sys.dont_write_bytecode = True
sys.path.insert(0, INTEROP)

from interop import Case, Skip  # noqa: E402
from testnet import Lab, wait_until  # noqa: E402
from testnet.subjects import PREFIX, TRANSFER  # noqa: E402

LINUX = "10.0.0.3"
MBITS = 100


def linux_server(lab, case, running, policy, octets):
    """A Linux peer beside the subject, on the same switch, that has the test stream ready; its URL."""
    server = lab.namespace("linux")
    lab.veth((running.switch, "linux", None), (server, "eth0", f"{LINUX}/{PREFIX}"), offloads=False)
    running.switch.ip("link", "set", "linux", "master", "bridge")
    program = case.program("test/interop", "pattern")
    server.start(sys.executable, os.path.join(INTEROP, "reference.py"), program, policy)
    wait_until(lambda: running.client.can_connect(LINUX, running.port), 10, "Linux's server")
    url = f"http://{LINUX}:{running.port}"
    server.run("curl", "-sS", "-o", os.devnull, f"{url}/test/{octets}")
    return url


def octets_of(client, urls, seconds, octets):
    """Octets of each of two downloads of `octets`, as far as they come in `seconds`."""
    got = [0, 0]

    def load(flow, base):
        done = client.run("curl", "-sS", "--max-time", seconds, "-o", os.devnull, "-w", "%{size_download}",
                          f"{base}/test/{octets}", check=False)
        got[flow] = int(done.stdout or 0)

    threads = [threading.Thread(target=load, args=flow) for flow in enumerate(urls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="DIR", help="Meson's build directory")
    parser.add_argument("--target", default="host-tap", help="ours: host-tap, host-vnet or hvt-tap (host-tap)")
    parser.add_argument("--congestion", choices=("cubic", "bbr"), default="cubic", help="ours (cubic)")
    parser.add_argument("--linux", default="cubic", help="Linux's (cubic)")
    parser.add_argument("--delay", type=float, nargs="+", default=[5, 25], metavar="MS", help="each way (5 25)")
    parser.add_argument("--queue", type=int, nargs="+", default=[100, 500], metavar="FRAMES", help="at the bottleneck (100 500)")
    parser.add_argument("--seconds", type=int, default=30, help="of a measurement (30)")
    options = parser.parse_args()
    case = Case(options.build, options.target)
    octets = options.seconds * MBITS * 1_000_000 // 8
    app = TRANSFER if options.congestion == "cubic" else dataclasses.replace(TRANSFER, name="transfer-bbr")
    print(f"Ours: {options.congestion}; Linux: {options.linux}.\n\n"
          f"| who | delay ms | queue | Mbit/s, of the first | of the second | the first's share |\n{'|---' * 6}|")
    for delay in options.delay:
        for queue in options.queue:
            cable = [case.program("test/interop", "impaired_link"), "--rate", MBITS, "--delay", delay, "--queue", queue]
            for pair in (("ours", "ours"), ("ours", "Linux"), ("Linux", "Linux")):
                with Lab() as lab:
                    running = case.start(lab, app, cable=cable)
                    linux = linux_server(lab, case, running, options.linux, octets)
                    urls = [running.url if who == "ours" else linux for who in pair]
                    came = octets_of(running.client, urls, options.seconds, octets)
                first, second = (octets_come * 8 / 1e6 / options.seconds for octets_come in came)
                share = 100 * first / max(first + second, 1e-9)
                print(f"| {', '.join(pair)} | {delay:g} | {queue} | {first:.1f} | {second:.1f} | **{share:.0f} %** |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except Skip as reason:
        sys.exit(f"fairness.py: {reason}")
