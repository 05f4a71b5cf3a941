# SPDX-License-Identifier: MIT
"""What is measured: the works, the subjects that do them, and the marks."""

import dataclasses
import os

from testnet import Skip
from testnet import subjects as table

PAGE = "/"


@dataclasses.dataclass(frozen=True)
class Work:
    """A fixed amount of work for one load generator."""
    name: str
    title: str
    generator: tuple
    amount_option: str
    amount: int        # about one second for the slowest Linux peer on one core
    unit: str          # what one unit of `amount` is, for the table
    reference: str     # the peer that counts as 1
    app: table.App

    def command(self, build, running, factor):
        amount = max(1, int(self.amount * factor))
        program = os.path.join(build, "bench", self.generator[0])
        return [program, "--address", running.address, *self.generator[1:], self.amount_option, str(amount)]


WORKS = (
    Work("http16", "HTTP keep-alive, 16 connections", ("http_load", "--path", PAGE, "--connections", "16"),
         "--requests", 60_000, "requests", "nginx", table.WEBSITE),
    Work("http64", "HTTP keep-alive, 64 connections", ("http_load", "--path", PAGE, "--connections", "64"),
         "--requests", 60_000, "requests", "nginx", table.WEBSITE),
    Work("connect", "connect, close", ("connect_rate",), "--connections", 20_000, "connections", "nginx",
         table.WEBSITE),
    Work("connect-get", "connect, GET, close", ("connect_rate", "--path", PAGE), "--connections", 15_000,
         "connections", "nginx", table.WEBSITE),
    Work("bulk-receive", "bulk receive (to the subject)", ("bulk", "--direction", "send"), "--mib", 4096, "MiB",
         "epoll", table.SERVICES),
    Work("bulk-send", "bulk send (from the subject)", ("bulk", "--direction", "receive"), "--mib", 4096, "MiB",
         "epoll", table.SERVICES),
    Work("udp-echo", "UDP echo, 32 in flight", ("udp_echo_load",), "--datagrams", 100_000, "datagrams", "epoll",
         table.SERVICES),
)

# (work, subject or its family, least ratio to the reference on one processor)
MARKS = (
    ("http16", "host", 1.35),
    ("http16", "hvt-tap", 1.00),
    ("bulk-receive", "host-vnet", 0.80),
)


@dataclasses.dataclass(frozen=True)
class Subject:
    """Something that can do works. `slow` scales the amount down where segmentation offload is not there."""
    name: str
    title: str
    works: frozenset
    slow_bulk: float = 1.0

    def factor(self, work):
        return self.slow_bulk if work.name.startswith("bulk") else 1.0


def page_file(lab, options):
    path = os.path.join(lab.directory, "page.html")
    with open(path, "wb") as file:
        file.write(options.page)
    return path


class LinuxPeer(Subject):
    offloads = True

    def available(self, work, options):
        program = self.program(options)
        if not os.path.exists(program):
            raise Skip(f"{program} is not there")

    def attach(self, lab, work):
        return table.attach_veth(lab, work.app, offloads=self.offloads)


class Nginx(LinuxPeer):
    @staticmethod
    def program(options):
        return options.nginx

    def start(self, running, work, options, cpus):
        folder = os.path.join(running.lab.directory, running.server.name)
        os.makedirs(folder, exist_ok=True)
        pages = os.path.join(folder, "pages")
        os.makedirs(pages, exist_ok=True)
        with open(os.path.join(pages, "index.html"), "wb") as page:
            page.write(options.page)
        with open(os.path.join(folder, "nginx.conf"), "w") as configuration:
            configuration.write(_NGINX.format(folder=folder))
        running.start([options.nginx, "-p", folder, "-c", os.path.join(folder, "nginx.conf"), "-e", "stderr"], cpus)


class Epoll(LinuxPeer):
    @staticmethod
    def program(options):
        return os.path.join(options.build, "bench", "epoll_server")

    def start(self, running, work, options, cpus):
        running.start([self.program(options), "--page", page_file(running.lab, options)], cpus)


class EpollWithoutOffloads(Epoll):
    offloads = False


class Null(Subject):
    """What no stack on a plain TAP device can beat."""

    def available(self, work, options):
        if not os.path.exists(self.program(options)):
            raise Skip("bench/null_stack is not built")

    @staticmethod
    def program(options):
        return os.path.join(options.build, "bench", "null_stack")

    def attach(self, lab, work):
        return table.attach_tap(lab, work.app)

    def start(self, running, work, options, cpus):
        running.start([self.program(options), "--device", table.TAP, "--page", page_file(running.lab, options)], cpus)


class Mirage(Subject):
    @property
    def target(self):
        return table.TARGETS[self.name]

    def available(self, work, options):
        table.available(work.app, self.target, options.build)

    def attach(self, lab, work):
        return table.attach_tap(lab, work.app)

    def start(self, running, work, options, cpus):
        running.start(table.command(work.app, self.target, options.build), cpus)


_ALL = frozenset(work.name for work in WORKS)
_BULK = frozenset(name for name in _ALL if name.startswith("bulk"))

SUBJECTS = (
    Nginx("nginx", "Linux, nginx", frozenset({"http16", "http64", "connect", "connect-get"})),
    Epoll("epoll", "Linux, epoll server", _ALL),
    EpollWithoutOffloads("epoll-no-offload", "Linux, epoll server, no offload", _BULK, slow_bulk=0.2),
    Null("null", "no stack, plain TAP: the limit", _ALL - {"bulk-send"}, slow_bulk=0.1),
    Mirage("host-tap", "mirage host, plain TAP", _ALL, slow_bulk=0.1),
    Mirage("host-vnet", "mirage host, vnet header", _ALL),
    Mirage("hvt-tap", "mirage hvt, TAP", _ALL, slow_bulk=0.1),
)

# one worker, no log, connections kept for ever, the page in the cache. Without sendfile and tcp_nopush: for a page of
# a few KiB they cost nginx a third of its rate (measured), and the peer is to be met at its best.
_NGINX = """\
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; use epoll; multi_accept on; }}
http {{
    access_log off;
    sendfile off;
    tcp_nopush off;
    tcp_nodelay on;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    open_file_cache max=16 inactive=1h;
    open_file_cache_valid 1h;
    server_tokens off;
    types {{ text/html html; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 80 backlog=4096; root {folder}/pages; }}
}}
"""
