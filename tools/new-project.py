#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a project that uses an installed library or this checkout: an appliance for the host, hvt and Xen, with a test."""

import argparse
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHECKOUT = os.path.exists(os.path.join(ROOT, "meson.build"))  # not where tools are installed

FILES = {
    ".gitignore": """\
/build/
/subprojects/mirage
""",
    "meson.build": """\
project('@NAME@', 'cpp', version: '0.1.0', meson_version: '>=1.0.0',
  # The library brings -std=c++23, which Meson 1.0 does not know, and what unikernels need beside.
  default_options: ['cpp_std=none', 'buildtype=debugoptimized', 'warning_level=2', 'cpp_rtti=false', 'cpp_eh=none',
                    'default_library=static', 'b_pie=false'])

# The library that is installed (pkg-config finds it), otherwise subprojects/mirage: a checkout, or what a wrap file names.
# --force-fallback-for=mirage prefers the latter.
mirage_host = dependency('mirage-host', fallback: 'mirage', default_options: ['tests=false', 'benchmarks=false'])
mirage_hvt = dependency('mirage-hvt', fallback: 'mirage', default_options: ['tests=false', 'benchmarks=false'])

# One source, one image for each platform: a Linux process, a guest of KVM, a domain of Xen.
executable('@NAME@', 'main.cpp', dependencies: mirage_host)
executable('@NAME@.hvt', 'main.cpp', dependencies: mirage_hvt)
xen = dependency('mirage-xen', required: false)  # where Xen's headers are installed (Debian: libxen-dev)
if xen.found()
  image = executable('@NAME@.xen', 'main.cpp', dependencies: xen)
  custom_target('@NAME@.xl', input: image, output: '@NAME@.xl', build_by_default: true,
    command: [find_program(xen.get_variable('xl_config')), '@INPUT@', '--output', '@OUTPUT@'])
endif

# The appliance is a template over its devices: a test gives it devices in memory.
if meson.get_compiler('cpp').has_header('doctest/doctest.h')
  test('@NAME@', executable('@NAME@-test', 'test.cpp', dependencies: dependency('mirage')))
endif
""",
    "@NAME@.hpp": """\
#pragma once
#include <mirage/mirage.hpp>

/// What it does is said here.
template <mirage::console Console>
class @NAME@ {
    Console& console_;

public:
    static constexpr std::string_view name = "@NAME@";
    static constexpr std::string_view summary = "says hello and ends";

    explicit @NAME@(Console& console) noexcept : console_{console} {}

    /// The exit status of the unikernel.
    int run() noexcept {
        console_.write(mirage::as_octets("Hello from @NAME@\\n"));
        return 0;
    }
};
""",
    "main.cpp": """\
// The only place that knows a platform: which one, the dependency in meson.build says.
#include "@NAME@.hpp"
#include <mirage/os/entry.hpp>

MIRAGE_UNIKERNEL(@NAME@<mirage::platform::console>)
""",
    "test.cpp": """\
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#define DOCTEST_CONFIG_NO_EXCEPTIONS_BUT_WITH_ALL_ASSERTS
#include "@NAME@.hpp"
#include <cstdio>
#include <cstdlib>
#include <doctest/doctest.h>
#include <mirage/device/memory/scripted_console.hpp>

/// Where a failed check of the library ends.
extern "C" void mirage_panic(const char* file, unsigned line, const char* reason) noexcept {
    std::fprintf(stderr, "%s:%u: %s\\n", file, line, reason);
    std::abort();
}

TEST_CASE("it says hello") {
    mirage::memory::scripted_console<> console;
    @NAME@ appliance{console};
    CHECK(appliance.run() == 0);
    CHECK(console.text() == "Hello from @NAME@\\n");
}
""",
    "README.md": """\
# @NAME@

An appliance of Mirage/C++, for Linux, KVM and Xen.

```
meson setup build
ninja -C build
meson test -C build                  # with devices in memory
build/@NAME@                         # as a Linux process, --help tells its boot keys
mirage-hvt build/@NAME@.hvt            # as a guest of KVM
xl create -c build/@NAME@.xl         # as a domain, on a Xen host
```

What is needed: g++ 12 or later, meson, ninja, pkg-config, python3, Boost's headers, doctest, libslirp, liburing and, for domains, Xen's
headers; on Debian 12 the library's `mirage setup` installs them.

The library is one that was installed, if pkg-config finds `mirage-hvt.pc`. Otherwise it is built with the project, from
`subprojects/mirage`: a link to a checkout, or what a wrap file `subprojects/mirage.wrap` names:

```
[wrap-git]
url = (where the library's repository is)
revision = (a tag or commit of it)
depth = 1

[provide]
dependency_names = mirage, mirage-host, mirage-hvt, mirage-xen
```

Then the tender is `build/subprojects/mirage/platform/hvt/tender/mirage-hvt`.

The library's `docs/tutorial.md` goes on from here: a network, boot keys, HTTP, debugging. `docs/out-of-tree.md` tells more of projects.
""",
}

# What names a class in @NAME@.hpp and is no keyword, nor a name that the generated files use.
RESERVED = set("""alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class co_await
    co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do double
    dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept not
    not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return short signed sizeof static
    static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned using
    virtual void volatile wchar_t while xor xor_eq
    all benchmark clean coverage dist install reconfigure scan_build subprojects tags test uninstall
    main mirage mirage_panic std image xen doctest build abort exit fprintf printf stderr stdin stdout signal""".split())


def problem_of(name):
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        return "a name is 1 to 40 small letters, digits and underscores, and begins with a letter"
    if name in RESERVED:
        return "that is a word of C++ or of Meson, or the project's own files use it"
    return None


def main():
    parser = argparse.ArgumentParser(prog="mirage new", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="of the appliance, its class and its folder")
    parser.add_argument("--dir", metavar="DIR", help="the folder to make (./NAME)")
    options = parser.parse_args()
    if problem := problem_of(options.name):
        sys.exit(f"mirage: new: '{options.name}': {problem}")
    folder = options.dir or options.name
    if os.path.lexists(folder):
        sys.exit(f"mirage: new: {folder} is there already; nothing was changed. Choose another with --dir")
    try:
        os.makedirs(os.path.join(folder, "subprojects"))
        for name, text in FILES.items():
            with open(os.path.join(folder, name.replace("@NAME@", options.name)), "x", encoding="utf-8") as file:
                file.write(text.replace("@NAME@", options.name))
        if CHECKOUT:
            os.symlink(ROOT, os.path.join(folder, "subprojects", "mirage"))
    except OSError as error:
        sys.exit(f"mirage: new: {error.filename or folder}: {error.strerror}")
    mirage = os.path.join(ROOT, "tools/mirage") if CHECKOUT else "mirage"
    print(f"{folder} is ready. Next, once '{mirage} setup' has installed the Debian packages that a build needs:\n\n"
          f"    cd {folder}\n    meson setup build && ninja -C build && build/{options.name}")


if __name__ == "__main__":
    main()
