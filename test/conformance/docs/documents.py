#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the documents: links lead somewhere, quotations of the tutorial are in the files that are built, every
source file says its licence, and no text names a place on somebody's machine.

usage: documents.py SOURCE_ROOT"""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1]).resolve()
wrong = []
documents = [*root.glob("*.md"), *root.glob("docs/**/*.md")]


def text_of(path):
    return path.read_text(encoding="utf-8", errors="replace")


def check_links(document):
    text = re.sub(r"```.*?```", "", text_of(document), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text):
        target = next(t for t in target if t).split("#")[0]
        if target and not re.match(r"[a-z]+:", target) and not (document.parent / target).exists():
            wrong.append(f"{document.relative_to(root)}: there is no {target}")


def check_quotations(document, sources):
    """Each block of C++ or Meson is found, line for line, in one of the files."""
    blocks = re.findall(r"^```(cpp|meson)\n(.*?)^```", text_of(document), flags=re.S | re.M)
    for _, block in blocks:
        if not any(block in source for source in sources):
            wrong.append(f"{document.relative_to(root)}: nothing that is built has these lines:\n{block}")
    if not blocks:
        wrong.append(f"{document.relative_to(root)}: quotes nothing")


for document in documents:
    check_links(document)
tutorial = [text_of(p) for p in sorted((root / "docs/tutorial").rglob("*")) if p.is_file()]
check_quotations(root / "docs/tutorial.md", tutorial)
hello = [text_of(p) for p in sorted((root / "examples/hello").rglob("*")) if p.is_file()]
check_quotations(root / "README.md", hello)

# The tutorial's build file is the one that every example has.
example = text_of(root / "examples/hello/meson.build")
if text_of(root / "docs/tutorial/meson.build") != example.replace("hello", "visits"):
    wrong.append("docs/tutorial/meson.build: is not like examples/hello/meson.build")

listed = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True)
names = listed.stdout.split() if listed.returncode == 0 else [
    p.relative_to(root).as_posix() for folder in ("include", "platform", "examples", "test", "tools", "bench", "docs")
    for p in (root / folder).rglob("*") if p.is_file()]
place = re.compile(r"(?<![\w.}])/(?:home|root|work|Users)/\w|(?<![\w.])/tmp/\w")
for name in names:
    path = root / name
    if not path.is_file() or "corpus" in path.parts or "__pycache__" in path.parts:
        continue
    if path.suffix in (".cpp", ".hpp", ".h", ".S", ".ld", ".py", ".build", ".txt", ".md") and "SPDX-License-Identifier: MIT" not in (
            text_of(path)[:200]):
        wrong.append(f"{name}: no SPDX line")
    if found := place.search(text_of(path)):
        wrong.append(f"{name}: names a place on a machine: {found[0]}...")

print("\n".join(wrong) or f"{len(documents)} documents and {len(names)} files are as they should be")
sys.exit(bool(wrong))
