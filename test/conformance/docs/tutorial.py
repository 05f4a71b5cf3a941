#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the tutorial's appliance as the tutorial does.

usage: tutorial.py host|TENDER APPLIANCE APPLIANCE_WITH_FAULT"""
import http.client
import os
import socket
import subprocess
import sys
import time

how, whole, faulty = sys.argv[1:]
if how != "host" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
    print("SKIP: no access to /dev/kvm")
    sys.exit(77)
KEYS = ["--ipv4=10.0.2.15/24", "--ipv4-gateway=10.0.2.2"]


def start(image, *keys):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    net = f"--net:service=user,hostfwd=tcp:127.0.0.1:{port}-:80"
    command = [image, net] if how == "host" else [how, "--mem=8", net, "--", image]
    return port, subprocess.Popen([*command, *KEYS, *keys], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def get(port, path):
    """Status and text, or None when the appliance ends instead of answering."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (ConnectionError, http.client.HTTPException, socket.timeout):
        return None
    finally:
        connection.close()


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)


def ask(port, process, path):
    """Asks until the appliance is up and answers, or has ended."""
    for _ in range(100):
        answer = get(port, path)
        if answer or process.poll() is not None:
            return answer
        time.sleep(0.05)
    return None


port, process = start(whole, "--greeting=Welcome")
try:
    check(ask(port, process, "/interval") == (404, "404 Not Found\n"), "/interval before the first visit is 404")
    check(get(port, "/") == (200, "Welcome, visitor 1\n"), "the first visitor is greeted")
    check(get(port, "/") == (200, "Welcome, visitor 2\n"), "so is the second")
    status, text = get(port, "/interval")
    check(status == 200 and text.startswith("one visitor in ") and text.endswith(" ms\n"), f"/interval: {text}")
finally:
    process.terminate()
    process.communicate(timeout=20)

port, process = start(faulty)
try:
    ask(port, process, "/interval")
    said = process.communicate(timeout=20)[0]
finally:
    if process.poll() is None:
        process.kill()
if how == "host":
    check(process.returncode < 0 or "division by zero" in said, f"a signal or a sanitizer: {process.returncode}\n{said}")
else:
    check(process.returncode == 255, f"the fault ends the guest with 255: {process.returncode}")
    check("divide error" in said and "visits" in said, f"the report names the fault and the function:\n{said}")
print("as the tutorial says")
