#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The website, as curl, wget, wrk and a browser load it."""

import json
import os
import re

from interop import check, ended_well, equal, in_text, main
from testnet.subjects import WEBSITE


def curl_loads_the_page(lab, case):
    case.needs("curl")
    running = case.start(lab, WEBSITE)
    with case.judged(running):
        page = running.client.run("curl", "-sS", "--max-time", "100", "-D", "-", running.url + "/").stdout
        in_text(r"^HTTP/1\.1 200 ", page, "status line")
        in_text(r"(?i)content-type: text/html", page, "media type")
        in_text(r"(?i)<html", page, "page")
        missing = running.client.run("curl", "-sS", "--max-time", "100", "-o", os.devnull, "-w", "%{http_code}",
                                     running.url + "/no/such/page").stdout
        equal(missing, "404", "status of a page that is not there")
    ended_well(running)


def curl_keeps_one_connection(lab, case):
    case.needs("curl")
    running = case.start(lab, WEBSITE)
    with case.judged(running):
        opened = running.client.run("curl", "-sS", "--max-time", "200", "-o", os.devnull, "-w", "%{num_connects}\n",
                                    *[running.url + "/"] * 10).stdout.split()
    # one output file for the first address only: the other pages precede their counts on the output
    connections = [int(word) for word in opened if word in ("0", "1")]
    equal(sum(connections), 1, "connections of ten requests")
    ended_well(running)


def wget_loads_the_page(lab, case):
    case.needs("wget")
    running = case.start(lab, WEBSITE)
    with case.judged(running):
        target = os.path.join(lab.directory, "page")
        running.client.run("wget", "-q", "--tries=1", "--timeout=100", "-O", target, running.url + "/")
        with open(target) as page:
            in_text(r"(?i)<html", page.read(), "page")
    ended_well(running)


def ten_thousand_requests_over_64_connections(lab, case):
    load = case.program("bench", "http_load")
    running = case.start(lab, WEBSITE)
    with case.judged(running):
        done = running.client.run(load, "--address", running.address, "--port", running.port, "--connections", 64,
                                  "--requests", 10_000)
        outcome = json.loads(done.stdout)
    equal(outcome["errors"], 0, "errors")
    equal(outcome["work"], 10_000, "requests answered")
    ended_well(running)


def wrk_sees_no_error(lab, case):
    case.needs("wrk")
    running = case.start(lab, WEBSITE)
    # not captured: how much wrk does in its time is not bounded
    said = running.client.run("wrk", "-t1", "-c64", "-d2s", running.url + "/").stdout
    check(int(in_text(r"(\d+) requests in", said, "wrk")[1]) > 0, said)
    check(not re.search("Socket errors|Non-2xx", said), said)
    ended_well(running)


def connections_come_and_go(lab, case):
    load = case.program("bench", "connect_rate")
    running = case.start(lab, WEBSITE)
    with case.judged(running):
        for page in ([], ["--path", "/"]):
            done = running.client.run(load, "--address", running.address, "--port", running.port, "--parallel", 32,
                                      "--connections", 2000, *page)
            equal(json.loads(done.stdout)["errors"], 0, f"errors {page}")
    ended_well(running)


if __name__ == "__main__":
    main(curl_loads_the_page, curl_keeps_one_connection, wget_loads_the_page,
         ten_thousand_requests_over_64_connections, wrk_sees_no_error, connections_come_and_go)
