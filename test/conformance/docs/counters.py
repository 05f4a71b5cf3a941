#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the table of docs/observability.md to what the library can export.

usage: counters.py SOURCE_ROOT PROGRAM [--write]; PROGRAM is counters.cpp, which prints the table."""
import pathlib
import re
import subprocess
import sys

root, program = pathlib.Path(sys.argv[1]), sys.argv[2]
page = root / "docs/observability.md"
HEAD = "| of | series | what it counts |\n|---|---|---|\n"
table = HEAD + subprocess.run([program], capture_output=True, text=True, check=True).stdout
text = page.read_text(encoding="utf-8")
found = re.search(re.escape(HEAD) + r"(?:\|.*\n)*", text)
if found is None:
    sys.exit(f"counters: {page} has no table that begins with {HEAD!r}")
if "--write" in sys.argv[3:]:
    page.write_text(text.replace(found[0], table), encoding="utf-8")
elif found[0] != table:
    stale = sorted(set(found[0].splitlines()) ^ set(table.splitlines()))
    sys.exit("counters: docs/observability.md and the structs of statistics differ; counters.py --write mends it:\n" + "\n".join(stale))

# A struct that the program does not know would not be in the table.
SHOWN_AS_ANOTHER = {"ethernet_statistics": "receiver_statistics"}  # the same name, on hvt
listed = set(re.findall(r"show<(?:[\w:]*::)?(\w+)(?:<.*?>)?(?:::(\w+))?>", (root / "test/conformance/docs/counters.cpp").read_text()))
shown = {name for pair in listed for name in pair if name}
missing = []
for header in sorted([*root.glob("include/**/*.hpp"), *root.glob("platform/**/*.hpp")]):
    source = header.read_text(encoding="utf-8")
    for at in re.finditer(r"static constexpr auto table\(\) noexcept", source):
        name = re.findall(r"\bstruct (\w+)[^;{]*\{", source[:at.start()])[-1]
        if header.name != "statistics.hpp" and SHOWN_AS_ANOTHER.get(name, name) not in shown:
            missing.append(f"{header.relative_to(root)}: {name}")
if missing:
    sys.exit("counters: counters.cpp does not show\n" + "\n".join(missing))
