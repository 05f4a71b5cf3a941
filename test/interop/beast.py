#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A server written with Boost.Beast, over our TCP, as curl sees it."""

import os

from interop import check, ended_well, equal, in_text, main
from testnet.subjects import BEAST


def curl(running, *words):
    return running.client.run("curl", "-sS", "--max-time", "100", *words).stdout


def curl_loads_a_page(lab, case):
    case.needs("curl")
    running = case.start(lab, BEAST)
    with case.judged(running):
        page = curl(running, "-D", "-", running.url + "/")
        in_text(r"^HTTP/1\.1 200 OK", page, "status line")
        in_text(r"Server: Boost\.Beast/", page, "server")
        in_text(r"Beast over Mirage\n$", page, "page")
        equal(curl(running, "-o", os.devnull, "-w", "%{http_code}", running.url + "/no/such/page"), "404", "status")
        check(curl(running, "--http1.0", running.url + "/") == "Beast over Mirage\n", "HTTP/1.0, which ends the stream")
    ended_well(running)


def curl_keeps_one_connection(lab, case):
    case.needs("curl")
    running = case.start(lab, BEAST)
    with case.judged(running):
        # an output file for each address, or the pages precede their counts on the output
        said = curl(running, "-w", "%{num_connects} ", *["-o", os.devnull, running.url + "/"] * 10)
    equal(sum(int(n) for n in said.split()), 1, "connections of ten requests")
    ended_well(running)


def a_mebibyte_goes_down_and_half_of_it_comes_back(lab, case):
    case.needs("curl")
    running = case.start(lab, BEAST)
    path, _ = case.stream_file(lab, 1 << 19)
    back = os.path.join(lab.directory, "back")
    with case.judged(running):
        equal(len(curl(running, running.url + "/big")), 1 << 20, "octets")
        curl(running, "-T", path, "-o", back, running.url + "/echo")
    with open(path, "rb") as sent, open(back, "rb") as received:
        check(sent.read() == received.read(), "what comes back differs")
    ended_well(running)


if __name__ == "__main__":
    main(curl_loads_a_page, curl_keeps_one_connection, a_mebibyte_goes_down_and_half_of_it_comes_back)
