#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs clang-tidy (.clang-tidy) and cppcheck (.cppcheck) over the library, its platforms and the host tools.

usage: lint.py [--all] [--folder DIR] [clang-tidy|cppcheck]...

clang-tidy takes a few programs that include everything; --all takes every source file. DIR keeps what is made for the run.
Needs clang-tidy 17 or later, for C++23; exit status 77 where one of the tools is missing."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOSTED = {"mirage/async/asio.hpp"}  # needs Asio, exceptions and RTTI
LIBRARY = ["include"]
FOLDERS = {  # where the headers of each platform's sources are, in the order of their nearness
    "platform/host": ["platform/host/include", "platform/hosted/include"],
    "platform/hosted": ["platform/hosted/include"],
    "platform/hvt/tender": ["platform/hvt/tender", "platform/hvt/include", "platform/hosted/include"],
    "platform/hvt": ["platform/hvt/include", "platform/runtime/include"],
    "platform/runtime": ["platform/runtime/include"],
    "platform/xen": ["platform/xen/include", "platform/runtime/include"],
}
DEFINES = ['-DMIRAGE_VERSION="0"']
# Programs whose templates reach nearly all of the library; then the sources of the tender that parse what others wrote.
BY_DEFAULT = [("examples/website/dual.cpp", "platform/host"), ("examples/website/main.cpp", "platform/xen"),
              ("examples/disk/main.cpp", "platform/hvt"),
              ("platform/runtime/allocation.cpp", "platform/hvt"), ("platform/hvt/start.cpp", "platform/hvt"),
              ("platform/hvt/tender/elf.cpp", "platform/hvt/tender"), ("platform/hvt/tender/hypercalls.cpp", "platform/hvt/tender")]


def includes(folder):
    return [f"-I{ROOT / name}" for name in [*FOLDERS[folder], *LIBRARY]]


def headers():
    names = (path.relative_to(ROOT / "include").as_posix() for path in sorted((ROOT / "include").rglob("*.hpp")))
    return [name for name in names if name not in HOSTED]


def folder_of(source):
    return max((folder for folder in FOLDERS if source.startswith(folder + "/")), key=len)


def work_of(folder, everything):
    """Each translation unit, and its flags."""
    flags = ["-std=c++23", "-fno-exceptions", "-fno-rtti", *DEFINES, f"-I{folder}"]
    united = folder / "headers.cpp"
    united.write_text("".join(f"#include <{name}>\n" for name in headers()))
    units = [(str(united), "platform/host")] + [(str(ROOT / name), platform) for name, platform in BY_DEFAULT]
    if everything:
        sources = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "platform").rglob("*.cpp"))]
        units += [(str(ROOT / name), folder_of(name)) for name in sources if (name, folder_of(name)) not in BY_DEFAULT]
        examples = sorted((ROOT / "examples").glob("*/main.cpp"))
        units += [(str(path), "platform/hvt") for path in examples if path.parent.name not in ("disk", "website")]
    if not pathlib.Path("/usr/include/xen/xen.h").exists():
        units = [unit for unit in units if unit[1] != "platform/xen"]
    # what has no header of its own takes the flags of its library: libslirp needs GLib's folders
    slirp = subprocess.run(["pkg-config", "--cflags", "slirp", "liburing"], capture_output=True, text=True).stdout.split()
    return [(source, [*flags, *includes(platform), *slirp]) for source, platform in units]


def clang_tidy():
    for name in ("clang-tidy-19", "clang-tidy"):
        if shutil.which(name):
            version = subprocess.run([name, "--version"], capture_output=True, text=True).stdout
            if int((re.search(r"version (\d+)", version) or [0, 0])[1]) >= 17:
                return name
    return None


def run_clang_tidy(tool, folder, everything, jobs):
    """Findings, each once: a header is in many units."""
    subprocess.run([sys.executable, ROOT / "tools/embed.py", ROOT / "examples/website/pages", "--name", "site", "--header",
                    folder / "site.hpp", "--assembly", folder / "site.S", "--blob", folder / "site.bin"], check=True)
    config = f"--config-file={ROOT / '.clang-tidy'}"

    def check(unit):
        source, flags = unit
        done = subprocess.run([tool, "--quiet", config, source, "--", *flags], capture_output=True, text=True)
        return source, done.stdout, done.returncode

    found, broken = {}, []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        units = work_of(folder, everything)
        for source, said, status in pool.map(check, units):
            # a finding begins with its place, and the notes that follow belong to it
            parts = re.split(r"(?m)^(?=\S+:\d+:\d+: (?:warning|error): )", said)[1:]
            for part in parts:
                found.setdefault(part.splitlines()[0].replace(f"{ROOT}/", ""), part)
            if status and not parts:
                broken.append(f"{source}: clang-tidy ended with status {status}")
    for part in found.values():
        print("\n".join(part.replace(f"{ROOT}/", "").splitlines()[:30]))
    print(*broken, sep="\n", end="\n" if broken else "")
    print(f"clang-tidy: {len(units)} programs, {len(found)} findings")
    return not found and not broken


# cppcheck 2.10 stops at words of C++20 and later that it does not know. It gets a copy that says the same, line for line.
TRANSLATIONS = [
    (r"\bif(\s+)consteval\b", r"if\1(std::is_constant_evaluated())"),
    (r"\]<(?:class|typename|std::size_t|auto)[^>]*>(\s*\()", r"]\1"),  # a lambda's template parameters
    (r"\(options\.\*\.\.\.\.\*Members\)", r"(options)"),
    (r"\[\[(?:un)?likely\]\]|\[\[nodiscard\]\]", ""),
    (r"\bi < (Texts|reasons)\.size\(\)", r"\1.size() > i"),
    (r"(reasons|Texts)\.size\(\)>", r"64>"),
    (r"\boperator co_await\b", "operator_co_await"),
    (r"\bco_return\b", "return"),
    (r"\bco_await ", ""),
    (r"\(std::nothrow\) ([\w:]+)\[(\w+)\](\{\})?", r"(std::nothrow) \1[\2]"),
]
UNREAD = 8  # places that it may still stumble over; it stops there


def run_cppcheck(folder, jobs):
    copy = folder / "cppcheck"
    shutil.rmtree(copy, ignore_errors=True)
    for name in ("include", "platform"):
        shutil.copytree(ROOT / name, copy / name)
    for path in [*copy.rglob("*.hpp"), *copy.rglob("*.cpp")]:
        text = path.read_text()
        for pattern, instead in TRANSLATIONS:
            text = re.sub(pattern, instead, text)
        path.write_text(text)
    common = ["cppcheck", "--quiet", f"-j{jobs}", "--std=c++20", "--language=c++", "--enable=warning,performance,portability",
              "--inline-suppr", f"--suppressions-list={ROOT / '.cppcheck'}", "--template={file}:{line}: {severity}: {message} [{id}]",
              *DEFINES]
    rounds = [([], [f"include/{name}" for name in headers()])]
    for platform, folders in FOLDERS.items():
        below = [path for path in sorted((copy / platform).rglob("*.[hc]pp"))
                 if folder_of(path.relative_to(copy).as_posix()) == platform]
        rounds.append((folders, [path.relative_to(copy).as_posix() for path in below]))
    said = set()
    for folders, files in rounds:
        done = subprocess.run([*common, *(f"-I{name}" for name in [*folders, *LIBRARY]), *files], cwd=copy, capture_output=True,
                              text=True)
        said |= set(done.stderr.splitlines())
        if done.returncode != 0:
            said.add(f"cppcheck ended with status {done.returncode}")
    unread = {line for line in said if re.search(r"\[(syntaxError|internalAstError|cppcheckError)\]$", line)}
    said -= unread
    print(*(f"not read further: {line}" for line in sorted(unread)), sep="\n", end="\n" if unread else "")
    print(*sorted(said), sep="\n", end="\n" if said else "")
    print(f"cppcheck: {sum(len(files) for _, files in rounds)} files, {len(said)} findings")
    if len(unread) > UNREAD:
        print(f"FAIL: cppcheck does not understand {len(unread)} places; more than {UNREAD} want another line in TRANSLATIONS")
    return not said and len(unread) <= UNREAD


def main():
    parser = argparse.ArgumentParser(prog="mirage lint", description=__doc__.splitlines()[0])
    parser.add_argument("tool", nargs="*", help="clang-tidy or cppcheck (both)")
    parser.add_argument("--all", action="store_true", help="every source file, not only some that include every header")
    parser.add_argument("--folder", help="for what is made for the run (a temporary one)")
    options = parser.parse_args()
    if wrong := set(options.tool) - {"clang-tidy", "cppcheck"}:
        parser.error(f"no such tool: {' '.join(wrong)}")
    tools = options.tool or ["clang-tidy", "cppcheck"]
    jobs = min(2, os.cpu_count() or 1) if not options.all else os.cpu_count() or 1
    tidy = clang_tidy()
    missing = [name for name, there in (("clang-tidy", tidy), ("cppcheck", shutil.which("cppcheck"))) if name in tools and not there]
    clean = True
    with tempfile.TemporaryDirectory(prefix="mirage-lint-") as temporary:
        folder = pathlib.Path(options.folder or temporary).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if "clang-tidy" in tools and tidy:
            clean = run_clang_tidy(tidy, folder, options.all, jobs) and clean
        if "cppcheck" in tools and "cppcheck" not in missing:
            clean = run_cppcheck(folder, jobs) and clean
    if missing and clean:
        print(f"SKIP: no {' and no '.join(missing)} (clang-tidy 17 or later is needed)")
        return 77
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
