#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns a folder of files into static data of an image, for mirage/app/static_files.hpp.

Writes a blob with all contents, an assembly file that puts the blob into .rodata, and a C++ header with the table of
files: paths, media types, ETags, whole response heads, and a hash table without collisions. The same folder always
gives the same octets."""

import argparse
import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zlib

ALIGNMENT = 64
NONE = 0xFFFF
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8", ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml", ".json": "application/json", ".xml": "application/xml", ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json", ".ico": "image/x-icon", ".png": "image/png", ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif",
    ".woff2": "font/woff2", ".pdf": "application/pdf", ".gz": "application/gzip",
}
COMPRESSIBLE = {".html", ".css", ".js", ".txt", ".svg", ".json", ".xml", ".wasm", ".webmanifest", ".ico"}
PATH_OCTETS = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/-]+")


class Failure(Exception):
    """What is wrong with the input, for the user."""


def gzip_of(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31, 9)  # 31: a gzip wrapper, with no name and no time in it
    return packer.compress(data) + packer.flush()


def brotli_of(data, program):
    return subprocess.run([program, "--quality=11", "--stdout"], input=data, check=True, capture_output=True).stdout


def worth_it(small, large):
    """Compression that saves less than a twentieth costs the client more than the network saves."""
    return len(small) + max(64, len(large) // 20) <= len(large)


@dataclasses.dataclass
class Form:
    """One representation of a file."""
    body: bytes
    coding: str = ""
    offset: int = 0


@dataclasses.dataclass
class File:
    path: str
    media_type: str = ""
    location: str = ""
    forms: dict = dataclasses.field(default_factory=dict)


def read_folder(folder, brotli):
    files = []
    for name in sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*")):
        source = folder / name
        if not source.is_file() or any(part.startswith(".") for part in name.split("/")):
            continue
        if not PATH_OCTETS.fullmatch(name):
            raise Failure(f"{name}: a path in a URL has letters, digits and -._~!$&'()*+,;=:@ only")
        suffix = source.suffix.lower()
        if suffix not in MEDIA_TYPES:
            raise Failure(f"{name}: no media type is known for '{suffix}'")
        body = source.read_bytes()
        forms = {"identity": Form(body)}
        if suffix in COMPRESSIBLE:
            packed = gzip_of(body)
            if worth_it(packed, body):
                forms["gzip"] = Form(packed, "gzip")
            if brotli:
                packed = brotli_of(body, brotli)
                if worth_it(packed, body):
                    forms["brotli"] = Form(packed, "br")
        path = "/" + name
        if path.endswith("/index.html"):
            directory = path[:-len("index.html")]
            files.append(File(directory, MEDIA_TYPES[suffix], forms=forms))
            if directory != "/":
                files.append(File(directory[:-1], location=directory))
            files.append(File(path, location=directory))
        else:
            files.append(File(path, MEDIA_TYPES[suffix], forms=forms))
    if not files:
        raise Failure(f"{folder}: there is no file in it")
    return files


def path_hash(path, seed):
    """The same as mirage::http::path_hash()."""
    value = seed ^ 0x811C9DC5
    for octet in path.encode():
        value = (value ^ octet) * 0x01000193 & 0xFFFFFFFF
    return value ^ value >> 15


def perfect_hash(paths):
    """The smallest table, and for it the first seed, that gives every path a slot of its own."""
    size = 1
    while size < len(paths):
        size *= 2
    while True:
        for seed in range(20000):
            slots = [NONE] * size
            for index, path in enumerate(paths):
                slot = path_hash(path, seed) & (size - 1)
                if slots[slot] != NONE:
                    break
                slots[slot] = index
            else:
                return seed, slots
        size *= 2


class Texts:
    """All texts of the table in one array, so that they count as what they are: part of the pages."""

    def __init__(self):
        self.text = ""

    def view(self, text):
        """The C++ expression for a text, which is in the array once."""
        if not text:
            return "{}"
        at = self.text.find(text)
        if at < 0:
            at = len(self.text)
            self.text += text
        return f"{{texts + {at}, {len(text)}}}"

    def literal(self):
        lines = re.findall(r".*?(?:\r\n)+|.+", self.text)
        escaped = (l.replace("\\", "\\\\").replace('"', '\\"').replace("\r\n", "\\r\\n") for l in lines)
        return "\n".join(f'    "{line}"' for line in escaped)


def lay_out(files):
    """The blob; equal contents are in it once."""
    blob, where = bytearray(), {}
    for form in (form for file in files for form in file.forms.values()):
        if form.body not in where:
            blob += bytes(-len(blob) % ALIGNMENT)
            where[form.body] = len(blob)
            blob += form.body
        form.offset = where[form.body]
    return bytes(blob) or b"\0"


def head(file, form, fields, modified):
    """Content-Type and kin; what a 304 repeats; the length. RFC 9110 section 15.4.5"""
    kind = f"Content-Type: {file.media_type}\r\n"
    if form.coding:
        kind += f"Content-Encoding: {form.coding}\r\n"
    kind += "X-Content-Type-Options: nosniff\r\nAccept-Ranges: bytes\r\n" + "".join(f"{f}\r\n" for f in fields)
    tag = '"' + hashlib.sha256(form.body).hexdigest()[:16] + '"'
    common = f"ETag: {tag}\r\n"
    if len(file.forms) > 1:
        common += "Vary: Accept-Encoding\r\n"
    common += "Cache-Control: " + ("no-cache" if file.media_type.startswith("text/html") else "max-age=3600") + "\r\n"
    if modified:
        common += f"Last-Modified: {modified}\r\n"
    return tag, kind, common, f"Content-Length: {len(form.body)}\r\n\r\n"


def http_date(seconds):
    import email.utils
    return email.utils.formatdate(seconds, usegmt=True)


def write_header(files, name, blob, arguments):
    modified = http_date(arguments.modified) if arguments.modified else ""
    listed = [i for i, file in enumerate(files) if file.path != "/404.html"]
    seed, slots = perfect_hash([files[i].path for i in listed])
    slots = [NONE if slot == NONE else listed[slot] for slot in slots]
    missing = [i for i, file in enumerate(files) if file.path == "/404.html"]
    texts = Texts()
    rows = []
    for file in files:
        rows.append(f"    {{.path = {texts.view(file.path)},")
        if file.location:
            rows.append(f"     .location = {texts.view(file.location)},")
        for key, form in file.forms.items():
            tag, kind, common, length = head(file, form, arguments.field, modified)
            fields = texts.view(kind + common + length)  # the ETag is in it
            rows.append(f"     .{key} = {{{{{name}_octets + {form.offset}, {len(form.body)}}}, {texts.view(tag)}, {fields},"
                        f" {len(kind)}, {len(kind + common)}}},")
        rows.append(f"     .modified = {arguments.modified}}},")
    lines = ["// SPDX-License-Identifier: MIT", "#pragma once", "// Made by tools/embed.py.",
             '#include "mirage/app/static_files.hpp"', "",
             f'extern "C" const std::byte {name}_octets[{len(blob)}];', "", f"namespace {name} {{", "",
             f"inline constexpr std::size_t size = {len(blob)}; // octets of all contents", "",
             "inline constexpr char texts[] =", texts.literal() + ";", "",
             "inline constexpr mirage::http::static_file files[] = {", *rows, "};", "",
             f"inline constexpr std::uint16_t slots[] = {{{', '.join(map(str, slots))}}};", "",
             f"inline constexpr mirage::http::static_site site{{files, slots, {seed}u, "
             + (f"&files[{missing[0]}]" if missing else "nullptr") + "};", "", f"}} // namespace {name}", ""]
    return "\n".join(lines)


def assembly(name, blob_path):
    return f"""/* SPDX-License-Identifier: MIT */
/* Made by tools/embed.py. */
    .section .rodata.{name}, "a"
    .balign {ALIGNMENT}
    .globl {name}_octets
    .type {name}_octets, %object
{name}_octets:
    .incbin "{blob_path}"
    .size {name}_octets, . - {name}_octets

    .section .note.GNU-stack, "", %progbits
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--name", required=True, help="the C++ namespace, and the beginning of the symbol")
    parser.add_argument("--header", required=True, type=pathlib.Path)
    parser.add_argument("--assembly", required=True, type=pathlib.Path)
    parser.add_argument("--blob", required=True, type=pathlib.Path)
    parser.add_argument("--depfile", type=pathlib.Path, help="what the result was made of, for ninja")
    parser.add_argument("--field", action="append", default=[], help="one more response field, 'Name: value'")
    parser.add_argument("--modified", type=int, default=int(os.environ.get("SOURCE_DATE_EPOCH", 0)),
                        help="Last-Modified of all files, seconds since 1970; 0: none (default)")
    parser.add_argument("--brotli", default="brotli", help="the program; '' for no brotli variants")
    arguments = parser.parse_args()
    try:
        if not re.fullmatch(r"[A-Za-z]\w*", arguments.name):
            raise Failure(f"{arguments.name}: not a C++ name")
        for field in arguments.field:
            if not re.fullmatch(r"[A-Za-z0-9-]+: [\x20-\x7e]+", field):
                raise Failure(f"{field}: not a field, 'Name: value'")
        if not arguments.folder.is_dir():
            raise Failure(f"{arguments.folder}: no such folder")
        brotli = shutil.which(arguments.brotli) if arguments.brotli else None
        files = read_folder(arguments.folder, brotli)
        blob = lay_out(files)
        arguments.blob.write_bytes(blob)
        arguments.assembly.write_text(assembly(arguments.name, arguments.blob.resolve().as_posix()))
        arguments.header.write_text(write_header(files, arguments.name, blob, arguments))
        if arguments.depfile:
            sources = sorted(str(p) for p in [arguments.folder, *arguments.folder.rglob("*")])
            arguments.depfile.write_text(f"{arguments.header}: " + " ".join(s.replace(" ", "\\ ") for s in sources) + "\n")
    except (Failure, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"embed.py: {problem}")


if __name__ == "__main__":
    main()
