# SPDX-License-Identifier: MIT
"""The one table of what is tested and measured: how each is attached, and the command that starts it."""

import dataclasses
import os

from .lab import Skip
from .wait import wait_until

CLIENT, SUBJECT, PREFIX = "10.0.0.1", "10.0.0.2", 24
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
    return [tender, "--mem=64", f"--net:service={device}", "--", app.image(build, ".hvt"), *_address_keys(device),
            *app.keys]


@dataclasses.dataclass(frozen=True)
class App:
    """An appliance: where it is built, its boot keys, and a TCP port that says that it is up."""
    name: str
    folder: str
    keys: tuple = ()
    ready_port: int = 80

    def image(self, build, suffix):
        return os.path.join(build, self.folder, self.name + suffix)


WEBSITE = App("website", "examples/website", ("--port=80",))
ECHO = App("echo", "examples/echo", ready_port=7)
SERVICES = App("services", "bench/appliance")


@dataclasses.dataclass(frozen=True)
class Target:
    """A way to run an appliance: the platform and its attachment to the network."""
    name: str
    title: str
    command: object
    device: str  # what follows --net:service=, {tap} being the TAP device; "user..." needs none
    needs_kvm: bool = False

    @property
    def user_networking(self):
        return self.device.startswith("user")


_FORWARD = "user,hostfwd=tcp:127.0.0.1:8080-:{port}"

TARGETS = {target.name: target for target in (
    Target("host-tap", "host, plain TAP", host, "{tap}"),
    Target("host-vnet", "host, TAP with vnet header", host, "{tap},vnet"),
    Target("host-user", "host, user networking", host, _FORWARD),
    Target("hvt-tap", "hvt, TAP", hvt, "{tap}", needs_kvm=True),
    Target("hvt-user", "hvt, user networking", hvt, _FORWARD, needs_kvm=True),
)}


class Running:
    """A subject on its own network. `client` is the namespace whose programs reach it at `address`:`port`."""

    def __init__(self, lab, client, server, address, port, device):
        self.lab = lab
        self.client = client
        self.server = server
        self.address = address
        self.port = port
        self.device = device  # the client's device, where captures are made; None for user networking
        self.process = None

    def start(self, command, cpus=None, ready_port=None, seconds=10):
        """Starts the subject and waits until its port answers."""
        self.client.forget_neighbours()  # a subject may come back with another link-layer address
        self.process = self.server.start(*command, cpus=cpus)

        def answers():
            self.process.check()
            return self.client.can_connect(self.address, ready_port or self.port)
        wait_until(answers, seconds, f"{self.process.name} to answer on port {ready_port or self.port}")
        return self

    def stop(self):
        """Stops the subject; raises when it had ended by itself."""
        self.process.check()
        self.process.stop()

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"


def available(app, target, build):
    """Raises Skip with the reason when this appliance cannot be run this way here."""
    command = target.command(app, build, target.device)
    for word in command:
        if word.startswith(build) and not os.path.exists(word):
            raise Skip(f"{os.path.relpath(word, build)} is not built")
    if target.needs_kvm and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("/dev/kvm is not there or may not be opened")


def attach(lab, app, target, *, offloads=True):
    """Makes the network of a target: one namespace, with a TAP device unless networking is in user space."""
    client = lab.namespace(target.name)
    if target.user_networking:
        return Running(lab, client, client, "127.0.0.1", 8080, None)
    client.add_tap("tap0", address=f"{CLIENT}/{PREFIX}", offloads=offloads)
    return Running(lab, client, client, SUBJECT, app.ready_port, "tap0")


def attach_linux(lab, *, offloads=True):
    """The same for a Linux peer: two namespaces and a virtual cable."""
    client, server = lab.namespace("client"), lab.namespace("server")
    lab.veth((client, "eth0", f"{CLIENT}/{PREFIX}"), (server, "eth0", f"{SUBJECT}/{PREFIX}"), offloads=offloads)
    return Running(lab, client, server, SUBJECT, 80, "eth0")


def command(app, target, build):
    """The words that start `app` on `target`, to be run in the namespace made by attach()."""
    device = target.device.format(tap="tap0", port=app.ready_port)
    return target.command(app, build, device)
