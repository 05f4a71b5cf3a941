# SPDX-License-Identifier: MIT
"""The one table of what is tested and measured: how each is attached, and the command that starts it."""

import dataclasses
import os

from .lab import Skip
from .wait import wait_until

CLIENT, SUBJECT, PREFIX = "10.0.0.1", "10.0.0.2", 24
TAP = "tap0"
USER_SUBJECT, USER_GATEWAY = "10.0.2.15", "10.0.2.2"  # the network that libslirp makes


def _address_keys(device):
    if device.startswith("user"):
        return [f"--ipv4={USER_SUBJECT}/24", f"--ipv4-gateway={USER_GATEWAY}"]
    return [f"--ipv4={SUBJECT}/{PREFIX}", f"--ipv4-gateway={CLIENT}"]


def host(app, build, device):
    """The appliance as a Linux process."""
    return [app.image(build, ""), f"--net:service={device}", *_address_keys(device), *app.keys]


def hvt(app, build, device):
    """The appliance as a guest of the project's own tender."""
    tender = os.path.join(build, "platform/hvt/tender/mirage-hvt")
    return [tender, f"--net:service={device}", "--", app.image(build, ".hvt"), *_address_keys(device),
            *app.keys]


@dataclasses.dataclass(frozen=True)
class App:
    """An appliance: where it is built, its boot keys, and its port."""
    name: str
    folder: str
    keys: tuple = ()
    port: int = 80     # TCP; it answers when the appliance is up

    def image(self, build, suffix):
        return os.path.join(build, self.folder, self.name + suffix)


WEBSITE = App("website", "examples/website", ("--port=80",))
ECHO = App("echo", "examples/echo", port=7)
TRANSFER = App("transfer", "test/interop/appliance")  # a test stream down, a SHA-256 of what goes up
BEAST = App("beast", "test/interop/beast")            # a server written with Boost.Beast; the host platform alone
SERVICES = App("services", "bench/appliance")         # what mirage bench measures beside HTTP


@dataclasses.dataclass(frozen=True)
class Target:
    """A way to run an appliance: the platform and its attachment to the network."""
    name: str
    title: str
    command: object  # host or hvt, above
    device: str      # what follows --net:service=
    needs_kvm: bool = False

    @property
    def user_networking(self):
        return self.device.startswith("user")


_FORWARD = "user,hostfwd=tcp:127.0.0.1:8080-:{port}"

TARGETS = {target.name: target for target in (
    Target("host-tap", "host, plain TAP", host, TAP),
    Target("host-vnet", "host, TAP with vnet header", host, TAP + ",vnet"),
    Target("host-user", "host, user networking", host, _FORWARD),
    Target("hvt-tap", "hvt, TAP", hvt, TAP, needs_kvm=True),
    Target("hvt-user", "hvt, user networking", hvt, _FORWARD, needs_kvm=True),
)}


def command(app, target, build):
    """The words that start `app` on `target`, to be run in the namespace that the attachment made."""
    return target.command(app, build, target.device.format(port=app.port))


def available(app, target, build):
    """Raises Skip with the reason when this appliance cannot be run this way here."""
    for word in command(app, target, build):
        if word.startswith(build + os.sep) and not os.path.exists(word):
            raise Skip(f"{os.path.relpath(word, build)} is not built")
    if target.needs_kvm and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("/dev/kvm is not there or may not be opened")


class Running:
    """A subject and its network. Programs in the namespace `client` reach it at `address`:`port`."""

    def __init__(self, lab, client, server, address, port, device, switch=None):
        self.lab = lab
        self.client = client
        self.server = server    # where the subject runs, and its TAP device is
        self.address = address
        self.port = port
        self.device = device    # the client's device; None for user networking
        self.switch = switch    # where the bridge is, when there is one
        self.process = None

    def start(self, words, cpus=None, seconds=10):
        """Starts the subject and waits until its port answers."""
        self.client.forget_neighbours()  # a subject may come back with another link-layer address
        self.process = self.server.start(*words, cpus=cpus)

        def answers():
            self.process.check()
            return self.client.can_connect(self.address, self.port)
        wait_until(answers, seconds, f"{self.process.name} to answer on port {self.port}")
        return self

    def stop(self):
        """Stops the subject; raises when it had ended by itself."""
        self.process.check()
        self.process.stop()

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"


def attach_user(lab, app):
    """User networking: one namespace, where a port of the loopback address leads to the subject."""
    client = lab.namespace("user")
    return Running(lab, client, client, "127.0.0.1", 8080, None)


def attach_tap(lab, app):
    """The shortest way: client and subject share a TAP device in one namespace."""
    client = lab.namespace("tap")
    client.add_tap(TAP, address=f"{CLIENT}/{PREFIX}")
    return Running(lab, client, client, SUBJECT, app.port, TAP)


def attach_veth(lab, app, *, offloads=True):
    """For a Linux peer: two namespaces and a cable."""
    client, server = lab.namespace("client"), lab.namespace("server")
    lab.veth((client, "eth0", f"{CLIENT}/{PREFIX}"), (server, "eth0", f"{SUBJECT}/{PREFIX}"), offloads=offloads)
    return Running(lab, client, server, SUBJECT, app.port, "eth0")


def attach_bridged(lab, app, *, linux=False, cable=None):
    """For captures and bad cables: the subject's TAP device is bridged to a cable that the client is at the end of.

    The kernel finishes checksums and segments at the bridge, so every frame on the client's `eth0` is as a wire
    would carry it, whatever was offloaded on the TAP device. `linux` puts a Linux peer on the TAP's place. `cable`
    is the command of a program that carries frames between two TAP descriptors, whose numbers are appended to
    its first word.
    """
    client, switch = lab.namespace("client"), lab.namespace("switch")
    if cable:
        ends = switch.open_tap("port"), client.open_tap("eth0", address=f"{CLIENT}/{PREFIX}")
        client.start(cable[0], *ends, *cable[1:], pass_fds=ends).wait_for_log("ready", 5)
    else:
        lab.veth((switch, "port", None), (client, "eth0", f"{CLIENT}/{PREFIX}"), offloads=False)
    if linux:
        server = lab.namespace("server")
        lab.veth((switch, TAP, None), (server, "eth0", f"{SUBJECT}/{PREFIX}"))
    else:
        server = switch
        switch.add_tap(TAP)
    switch.add_bridge("bridge", ["port", TAP])
    return Running(lab, client, server, SUBJECT, app.port, "eth0", switch)
