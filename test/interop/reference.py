#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the subjects of these tests are asked to do, done with Linux sockets: it proves the tests themselves.

HTTP on port 80 (GET / a page, GET /test/N the first N octets of the test stream, PUT /upload the SHA-256 of the
content), and echo on TCP and UDP port 7.
"""

import asyncio
import hashlib
import socket
import subprocess
import sys

PAGE = b"<!doctype html><html lang=\"en\"><title>Reference</title><h1>It works</h1><p>Linux serves this.</p></html>\n"


class Stream:
    """The test stream, made once as far as it was asked for."""

    def __init__(self, program):
        self._program = program
        self._made = b""

    def first(self, octets):
        if len(self._made) < octets:
            self._made = subprocess.run([self._program, str(octets)], stdout=subprocess.PIPE, check=True).stdout
        return memoryview(self._made)[:octets]


async def content(reader, headers):
    if headers.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            yield await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return
    left = int(headers.get("content-length", 0))
    while left:
        part = await reader.read(min(left, 1 << 18))
        if not part:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(part)
        yield part


async def serve(reader, writer, stream):
    try:
        while request := await reader.readline():
            method, path, _ = request.decode().split()
            headers = {}
            while (line := (await reader.readline()).decode().strip()):
                name, value = line.split(":", 1)
                headers[name.lower()] = value.strip()
            if headers.get("expect") == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            digest = hashlib.sha256()
            async for part in content(reader, headers):
                digest.update(part)
            status, kind, body = "200 OK", "text/plain", b""
            if method == "GET" and path == "/":
                kind, body = "text/html; charset=utf-8", PAGE
            elif method == "GET" and path.startswith("/test/"):
                kind, body = "application/octet-stream", stream.first(int(path[6:]))
            elif method == "PUT" and path == "/upload":
                body = digest.hexdigest().encode() + b"\n"
            else:
                status, body = "404 Not Found", b"no such page\n"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
            for begin in range(0, len(body), 1 << 18):
                writer.write(body[begin:begin + (1 << 18)])
                await writer.drain()
            await writer.drain()
            if headers.get("connection", "").lower() == "close":
                return
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def echo(reader, writer):
    try:
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def echo_datagram(sock):
    text, sender = sock.recvfrom(65536)
    sock.sendto(text, sender)


async def main(program, congestion=None):
    stream = Stream(program)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("0.0.0.0", 7))
    asyncio.get_running_loop().add_reader(datagrams, echo_datagram, datagrams)
    servers = [await asyncio.start_server(lambda r, w: serve(r, w, stream), "0.0.0.0", 80, backlog=1024),
               await asyncio.start_server(echo, "0.0.0.0", 7)]
    if congestion:  # what they accept inherits it
        for listener in (sock for server in servers for sock in server.sockets):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main(*sys.argv[1:]))
