#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/embed.py: what it makes of a folder, and what it says about a folder it can make nothing of."""

import gzip
import hashlib
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location("embed", TOOL)
embed = importlib.util.module_from_spec(spec)
sys.modules["embed"] = embed  # dataclasses look their module up
spec.loader.exec_module(embed)


class Embed(unittest.TestCase):
    def setUp(self):
        self.room = tempfile.TemporaryDirectory()
        self.addCleanup(self.room.cleanup)
        self.folder = pathlib.Path(self.room.name, "pages")
        self.folder.mkdir()

    def put(self, name, body):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def run_tool(self, out, *more):
        out = pathlib.Path(self.room.name, out)
        out.mkdir(exist_ok=True)
        done = subprocess.run([sys.executable, TOOL, str(self.folder), "--name", "site", "--header", out / "site.hpp",
                               "--assembly", out / "site.S", "--blob", out / "site.bin", "--depfile", out / "site.d",
                               *more], capture_output=True, text=True)
        return done, out

    def made(self, out="out", *more):
        done, out = self.run_tool(out, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return (out / "site.hpp").read_text(), (out / "site.bin").read_bytes()

    @staticmethod
    def texts(header, member):
        """What the views of one member of all files refer to."""
        array = "".join(re.findall(r'^    "(.*)"', header.split("texts[] =")[1].split(";\n")[0], re.M))
        array = array.replace("\\r\\n", "\r\n").replace('\\"', '"')
        return [array[int(at):int(at) + int(size)]
                for at, size in re.findall(member + r" = \{texts \+ (\d+), (\d+)\}", header)]

    def test_same_folder_same_octets(self):
        self.put("index.html", b"<p>" + b"text " * 1000)
        self.put("a/b.css", b"p { }")
        first = self.made("one")
        os.utime(self.folder / "index.html", (1, 1))
        self.assertEqual(first, self.made("two"))

    def test_contents_and_etags(self):
        body = b"<p>" + b"text " * 1000
        self.put("index.html", body)
        header, blob = self.made("out", "--brotli", "")
        offset, size = map(int, re.search(r"\.identity = \{\{site_octets \+ (\d+), (\d+)\}", header).groups())
        self.assertEqual(blob[offset:offset + size], body)
        self.assertIn('\\"' + hashlib.sha256(body).hexdigest()[:16] + '\\"', header)
        offset, size = map(int, re.search(r"\.gzip = \{\{site_octets \+ (\d+), (\d+)\}", header).groups())
        self.assertEqual(gzip.decompress(blob[offset:offset + size]), body)
        self.assertEqual(offset % 64, 0)
        self.assertNotIn(".brotli", header)
        self.assertIn("Vary: Accept-Encoding", header)

    def test_what_does_not_shrink_stays_as_it_is(self):
        self.put("index.html", b"short")
        self.put("noise.png", os.urandom(1000))
        header, _ = self.made()
        self.assertNotIn(".gzip", header)
        self.assertNotIn("Vary", header)

    def test_paths(self):
        for name in ("index.html", "docs/index.html", "docs/x.txt", ".hidden/x.txt", "404.html"):
            self.put(name, name.encode())
        header, _ = self.made()
        paths = self.texts(header, r"\.path")
        self.assertEqual(sorted(paths), sorted(["/", "/index.html", "/docs", "/docs/", "/docs/index.html",
                                                "/docs/x.txt", "/404.html"]))
        self.assertEqual(sorted(self.texts(header, r"\.location")), ["/", "/docs/", "/docs/"])
        self.assertIn(f"&files[{paths.index('/404.html')}]", header)

    def test_every_path_has_its_own_slot(self):
        for count in (1, 2, 3, 10, 100, 300):
            paths = [f"/file-{i}" for i in range(count)]
            seed, slots = embed.perfect_hash(paths)
            self.assertEqual(len(slots) & (len(slots) - 1), 0)
            for index, path in enumerate(paths):
                self.assertEqual(slots[embed.path_hash(path, seed) % len(slots)], index)

    def test_equal_contents_are_there_once(self):
        body = os.urandom(10000)
        for name in ("a.png", "b.png", "c.png"):
            self.put(name, body)
        _, blob = self.made()
        self.assertEqual(len(blob), len(body))

    def test_fields_and_dates(self):
        self.put("index.html", b"x")
        header, _ = self.made("out", "--field", "X-Own: 1", "--modified", "784111777")
        self.assertIn("X-Own: 1\\r\\n", header)
        self.assertIn("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\\r\\n", header)
        self.assertIn(".modified = 784111777", header)

    def refused(self, text, *more):
        done, _ = self.run_tool("out", *more)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, text)
        self.assertNotIn("Traceback", done.stderr)

    def test_what_cannot_be_embedded_is_named(self):
        self.refused("there is no file in it")
        self.put("odd name.html", b"x")
        self.refused("odd name.html: a path in a URL has")
        (self.folder / "odd name.html").unlink()
        self.put("x.unheard", b"x")
        self.refused(r"x\.unheard: no media type")
        (self.folder / "x.unheard").unlink()
        self.put("x.txt", b"x")
        self.refused("not a field", "--field", "Bad\r\nX: y")
        self.refused("not a C\\+\\+ name", "--name", "1x")

    def test_the_dependencies_are_told(self):
        self.put("index.html", b"x")
        _, out = self.run_tool("out")
        self.assertIn("index.html", (out / "site.d").read_text())


if __name__ == "__main__":
    unittest.main()
