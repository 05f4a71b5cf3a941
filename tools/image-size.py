#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an image loads, and which layer of the library it comes from.

Reads the program headers and the symbol table of an ELF file. A symbol belongs to the layer of the namespace that
the function or variable itself stands in: an instance of mirage::net::stack over an hvt device is part of net. What
has no symbol (string literals, tables of switches) is listed as constants; what only fills up to the next
function or page, as padding."""
import argparse
import bisect
import collections
import json
import re
import struct
import subprocess
import sys

import treemap

PAGE = 4096
LAYERS = ["boot", "runtime", "platform", "core", "async", "device", "wire", "net/stack", "net/ipv4", "net/udp",
          "net/tcp", "net/dns", "net/sntp", "storage", "app", "app/http", "os", "C++ library", "application", "embedded pages", "constants",
          "padding"]
KINDS = ["code", "read-only", "data", "zeroed"]

# The first that matches the qualified name, without template arguments, names the layer.
NAMES = [(re.compile(pattern), layer) for pattern, layer in [
    (r"mirage::runtime::|operator (new|delete)", "runtime"),
    (r"mirage::(hvt|xen|host|hosted)::", "platform"),
    (r"mirage::net::(udp)\b", "net/udp"),
    (r"mirage::net::(tcp|listener)\b|mirage::tcp::", "net/tcp"),
    (r"mirage::net::(\w+_)?dns(_|\b)", "net/dns"),
    (r"mirage::net::sntp", "net/sntp"),
    (r"mirage::net::(stack|config|detail)\b", "net/stack"),
    (r"mirage::net::|mirage::dhcp::", "net/ipv4"),
    (r"mirage::wire::", "wire"),
    (r"mirage::async::", "async"),
    (r"mirage::(memory|archetype|\w+_requires)::", "device"),
    (r"mirage::storage::", "storage"),
    (r"mirage::http::", "app/http"),
    (r"mirage::(metrics|app|metric_\w+|statistics_text)\b", "app"),
    (r"mirage::os::|mirage::version|mirage_application|boost::hana::", "os"),
    (r"mirage::", "core"),
    (r"std::|__gnu_cxx::|void std::", "C++ library"),
    (r"mirage_\w*(note|start|fault)|mirage_panic", "platform"),
    (r"(mem|str)[a-z]+$|bcmp$|__", "runtime"),
]]


class Failure(Exception):
    """What is wrong with the file, for the user."""


class Image:
    """An ELF file for x86-64 or aarch64: loaded segments, sections and symbols."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.octets = file.read()
        if self.octets[:6] != b"\x7fELF\x02\x01":
            raise Failure("not a 64-bit little-endian ELF file")
        (phoff, shoff) = struct.unpack_from("<QQ", self.octets, 32)
        (phsize, phcount, shsize, shcount, names) = struct.unpack_from("<HHHHH", self.octets, 54)
        self.segments = []
        for i in range(phcount):
            kind, flags, offset, address, _, file_size, size = struct.unpack_from("<IIQQQQQ", self.octets,
                                                                                   phoff + i * phsize)
            if kind == 1 and size > 0:
                self.segments.append({"address": address, "file_size": file_size, "size": size,
                                      "flags": "".join(c if flags & bit else "-" for c, bit in
                                                       (("r", 4), ("w", 2), ("x", 1)))})
        raw = [struct.unpack_from("<IIQQQQII", self.octets, shoff + i * shsize) for i in range(shcount)]
        self.sections = {self.text(raw[names][4], s[0]): s for s in raw} if names < len(raw) else {}
        self.symbols = self.read_symbols(raw)

    def text(self, table, at):
        return self.octets[table + at:self.octets.index(b"\0", table + at)].decode(errors="replace")

    def read_symbols(self, sections):
        """(address, size, mangled name) of everything that is in a section, sorted."""
        tables = [s for s in sections if s[1] == 2]
        if not tables:
            raise Failure("it has no symbol table: it was stripped")
        offset, size, link = tables[0][4], tables[0][5], tables[0][6]
        strings = sections[link][4]
        found = []
        for at in range(offset, offset + size, 24):
            name, info, _, section, address, length = struct.unpack_from("<IBBHQQ", self.octets, at)
            if 0 < section < 0xFF00 and info & 15 in (0, 1, 2, 10):
                found.append((address, length, self.text(strings, name)))
        return sorted(found, key=lambda s: (s[0], -s[1], s[2]))


def mangled(name):
    """The function that a compiler's piece of it belongs to, and what the piece is called."""
    frame = re.search(r"(_Z(?!.*\d_Z).*?)\.Frame\.(actor|destroy)", name)  # GCC: pieces of coroutines
    if frame:
        piece = {"actor": "coroutine", "destroy": "coroutine, destroying"}[frame[2]]
        return frame[1], piece
    base, _, suffix = name.partition(".")
    suffix = re.sub(r"\.?\d+", "", suffix)
    return base, {"": "", "actor": "coroutine", "resume": "coroutine", "cleanup": "coroutine, cleaning up",
                  "destroy": "coroutine, destroying", "cold": "unlikely part"}.get(suffix, "")


def demangle(names):
    """Qualified names without parameters and template arguments, in the order of `names`."""
    split = [mangled(name) for name in names]
    try:
        run = subprocess.run(["c++filt", "-p"], input="\n".join(base for base, _ in split) + "\n", text=True,
                             capture_output=True, check=True)
    except FileNotFoundError:
        raise Failure("c++filt is missing (Debian: apt-get install binutils)") from None
    return [without_arguments(text) + (f" [{piece}]" if piece else "")
            for text, (_, piece) in zip(run.stdout.splitlines(), split)]


def without_arguments(text):
    """`a<b>::c(d)::e` becomes `a::c::e`."""
    text = re.sub(r"^(guard variable for|vtable for|typeinfo for|non-virtual thunk to) ", "", text)
    text = re.sub(r"operator(<=>|<<=|>>=|<<|>>|<=|>=|->|<|>|\(\))", lambda m: "operator" + m[1].translate(
        str.maketrans("<>()", "\u2039\u203a\u2768\u2769")), text)
    text = text.replace("(anonymous namespace)::", "")
    out, depth = [], 0
    for c in text:
        depth += c in "<(["
        if depth == 0:
            out.append(c)
        depth -= c in ">)]"
    name = "".join(out).translate(str.maketrans("\u2039\u203a\u2768\u2769", "<>()")).strip()
    name = re.sub(r" (const|&|&&)+", "", name)
    if "operator" not in name and "{" not in name:
        name = name.split(" ")[-1]  # a return type
    return name or text


def layer_of(name, address, image, sites):
    boot = image.sections.get(".boot")
    if boot and boot[3] <= address < boot[3] + boot[5] or re.match(r"(_start|boot_|trap_|last_words|final_|gdt|idt|tss)",
                                                                   name):
        return "boot"
    if name.split("::")[0] in sites or name.endswith("_octets") and name[:-7] in sites:
        return "embedded pages"
    for pattern, layer in NAMES:
        if pattern.match(name):
            return layer
    if "::" in name or "(" in name or "<" in name:
        return "application"
    return "runtime" if name.startswith("_") else "application"


def pieces(image):
    """Every octet of every segment once: (kind, layer, name, octets)."""
    names = demangle([s[2] for s in image.symbols])
    sites = {n[:-7] for n in names if re.fullmatch(r"\w+_octets", n)}
    sites &= {n.split("::")[0] for n in names if "::" in n}
    named = [(address, size, name) for (address, size, _), name in zip(image.symbols, names)]
    starts = [n[0] for n in named]
    for segment in image.segments:
        begin, file_end = segment["address"], segment["address"] + segment["file_size"]
        end = begin + segment["size"]
        kind = "code" if "x" in segment["flags"] else "data" if "w" in segment["flags"] else "read-only"
        at = begin
        for i in range(bisect.bisect_left(starts, begin), bisect.bisect_left(starts, end)):
            address, size, name = named[i]
            if size == 0 and layer_of(name, address, image, sites) == "boot":  # a label: up to the next symbol
                following = bisect.bisect_right(starts, address)
                size = min(named[following][0] if following < len(named) else end, end) - address
            if size == 0 or address + size <= at:
                continue
            if address > at:
                yield from gap(kind, at, address, file_end, image)
            start, at = max(address, at), min(address + size, end)
            layer = layer_of(name, address, image, sites)
            if start < file_end:
                yield kind, layer, name, min(at, file_end) - start
            if at > file_end:
                yield "zeroed", layer, name, at - max(start, file_end)
        if at < end:
            yield from gap(kind, at, end, file_end, image)


def gap(kind, begin, end, file_end, image):
    boot = image.sections.get(".boot")
    if boot and boot[3] <= begin < boot[3] + boot[5]:
        inside = min(end, boot[3] + boot[5])
        yield kind, "boot", "(boot tables)", inside - begin
        begin = inside
    if begin < min(end, file_end):
        size = min(end, file_end) - begin
        what = ("constants", "(no symbol)") if kind == "read-only" else ("padding", "(padding)")
        yield kind, *what, size
    if end > max(begin, file_end):
        yield "zeroed", "padding", "(stacks, page tables, padding)", end - max(begin, file_end)


def excluded(image, wanted):
    """Octets in the file of the sections and symbols that --without names; every octet once."""
    total = 0
    for prefix in wanted:
        if prefix in image.sections:
            section = image.sections[prefix]
            total += section[5] if section[1] != 8 and section[2] & 2 else 0
    covered = 0
    for kind, _, name, size in pieces(image):
        if kind != "zeroed" and any(name.startswith(p) for p in wanted if p not in image.sections):
            covered += size
    return total + covered


def octets(n):
    return f"{n:,}".replace(",", "\u202f") if sys.stdout.encoding.lower().startswith("utf") else str(n)


def print_segments(image):
    print(f"{image.path}")
    for s in image.segments:
        print(f"  {s['flags']}  at {s['address']:#010x}  {octets(s['file_size']):>10} in the file"
              f"  {octets(s['size']):>10} in memory")
    loaded, memory = (sum(s[k] for s in image.segments) for k in ("file_size", "size"))
    used = sum(-(-s["file_size"] // PAGE) for s in image.segments)
    print(f"  loads {octets(loaded)} octets ({loaded / 1024:.1f} KiB, {used} pages); occupies {octets(memory)} octets "
          "of memory before its heap\n")


def print_layers(all_pieces):
    table = collections.defaultdict(collections.Counter)
    for kind, layer, _, size in all_pieces:
        table[layer][kind] += size
    print(f"{'layer':<16}" + "".join(f"{k:>12}" for k in KINDS) + f"{'loaded':>12}")
    sums = collections.Counter()
    for layer in sorted(table, key=LAYERS.index):
        row = table[layer]
        sums.update(row)
        print(f"{layer:<16}" + "".join(f"{octets(row[k]) if row[k] else '-':>12}" for k in KINDS)
              + f"{octets(sum(row[k] for k in KINDS[:3])):>12}")
    print(f"{'sum':<16}" + "".join(f"{octets(sums[k]):>12}" for k in KINDS)
          + f"{octets(sum(sums[k] for k in KINDS[:3])):>12}")


def by_symbol(all_pieces):
    sums = collections.Counter()
    for kind, layer, name, size in all_pieces:
        if kind != "zeroed":
            sums[layer, name] += size
    return sums.most_common()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--by", choices=["layer", "symbol"], default="layer")
    parser.add_argument("--top", type=int, default=40, help="how many symbols --by symbol lists; 0: all (default 40)")
    parser.add_argument("--svg", metavar="FILE", help="a picture of it, too: what is loaded, by layer and symbol")
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--budget", type=int, metavar="OCTETS", help="fail when the image loads more")
    parser.add_argument("--without", action="append", default=[], metavar="SECTION_OR_SYMBOL_PREFIX",
                        help="does not count for the budget")
    options = parser.parse_args()
    try:
        image = Image(options.image)
        found = list(pieces(image))
    except (Failure, OSError, struct.error, IndexError) as problem:
        sys.exit(f"image-size: {options.image}: {problem}")
    loaded = sum(s["file_size"] for s in image.segments)
    if options.json:
        layers = collections.defaultdict(collections.Counter)
        for kind, layer, _, size in found:
            layers[layer][kind] += size
        print(json.dumps({"image": options.image, "loaded": loaded, "memory": sum(s["size"] for s in image.segments),
                          "segments": image.segments, "layers": layers,
                          "symbols": [{"layer": l, "name": n, "octets": s} for (l, n), s in by_symbol(found)]}, indent=1))
    else:
        print_segments(image)
        if options.by == "layer":
            print_layers(found)
        else:
            for (layer, name), size in by_symbol(found)[:options.top or None]:
                print(f"{octets(size):>10}  {layer:<15} {name}")
    if options.svg:
        groups = collections.defaultdict(list)
        for (layer, name), size in by_symbol(found):
            groups[layer].append((name, size))
        try:
            with open(options.svg, "w", encoding="utf-8") as file:
                file.write(treemap.svg(options.image.rsplit("/", 1)[-1], groups))
        except OSError as problem:
            sys.exit(f"image-size: {options.svg}: {problem.strerror}")
    if options.budget is not None:
        counted = loaded - excluded(image, options.without)
        what = f"{options.image} loads {counted} octets" + "".join(f", {w} not counted" for w in options.without[:1])
        if counted > options.budget:
            sys.exit(f"image-size: {what}: {counted - options.budget} more than its budget of {options.budget}. "
                     "The largest symbols: " + ", ".join(f"{name} {size}" for (_, name), size in by_symbol(found)[:5]))
        print(f"within budget: {what} of {options.budget}", file=sys.stderr)


if __name__ == "__main__":
    main()
