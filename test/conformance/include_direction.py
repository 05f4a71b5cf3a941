#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks who includes whom: core <- async, device, wire <- net, storage <- app <- os <- platforms.

Usage: include_direction.py SOURCE_DIRECTORY; with --self-test it judges trees of its own that break each rule.
"""
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
from include_graph import closure, cycle, headers_below

# A layer may include itself and these.
LAYERS = {
    'core': set(),
    'async': {'core'},
    'device': {'core'},
    'wire': {'core'},
    'net': {'core', 'async', 'device', 'wire'},
    'storage': {'core', 'async', 'device', 'wire'},
    'app': {'core', 'async', 'device', 'wire', 'net', 'storage'},
    'os': {'core', 'async', 'device', 'wire', 'net', 'storage', 'app'},
}
# What every platform may build on; `runtime` is what a guest has of libc, `hosted` what Linux programs share.
# `wire` is for devices that have to complete a checksum themselves.
PLATFORM = {'core', 'async', 'device', 'wire', 'os', 'runtime', 'hosted'}
NEVER_IN_A_PLATFORM = {'net', 'storage', 'app'}

# They need libstdc++.so or libc to link, throw, or are not in GCC 12 (docs/architecture.md).
NOT_IN_GUESTS = {'<iostream>', '<istream>', '<ostream>', '<sstream>', '<fstream>', '<iomanip>', '<string>', '<regex>',
                 '<system_error>', '<stdexcept>', '<exception>', '<thread>', '<mutex>', '<condition_variable>',
                 '<future>', '<filesystem>', '<format>', '<print>', '<locale>', '<random>', '<functional>', '<any>',
                 '<typeinfo>', '<cstdio>', '<cmath>'}
MAY_USE_HANA = {'net', 'os'}
# The one place that names the platform; which one that is, the include path decides.
CHOOSES_THE_PLATFORM = 'mirage/os/entry.hpp'
HOSTED_HEADERS = {'mirage/async/asio.hpp'}  # never part of a guest


def library_faults(include):
    headers = headers_below(include)
    for name, header in headers.items():
        if header.layer and header.layer not in LAYERS:
            yield f'{name}: there is no layer "{header.layer}"'
            continue
        for include in header.includes:
            target = include[1:-1]
            if target.startswith('mirage/'):
                if (name, target) == (CHOOSES_THE_PLATFORM, 'mirage/platform.hpp'):
                    continue
                if target not in headers:
                    yield f'{name} includes {target}, which is not part of the library'
                elif header.layer:
                    other = headers[target].layer
                    if other != header.layer and other not in LAYERS[header.layer]:
                        yield f'{name} includes {target}: {header.layer} must not know {other or "the whole"}'
            elif include.startswith('"'):
                yield f'{name} includes {include}: write the path from mirage/ on'
            elif name not in HOSTED_HEADERS:
                if include in NOT_IN_GUESTS:
                    yield f'{name} includes {include}, which guests cannot have'
                if target.startswith('boost/') and header.layer not in MAY_USE_HANA:
                    yield f'{name} includes {include}: Hana is for {" and ".join(sorted(MAY_USE_HANA))}'
                if target.startswith('boost/') and not target.startswith('boost/hana/'):
                    yield f'{name} includes {include}: include the parts of Hana by name'
    if ring := cycle(headers):
        yield 'in a ring: ' + ' -> '.join(ring)


def platform_faults(source):
    library = headers_below(source / 'include')
    for root in sorted(source.glob('platform/*/include')):
        own = root.parent.name
        headers = headers_below(root)
        others = {h for other in source.glob('platform/*/include') if other != root for h in headers_below(other)}
        for name, header in headers.items():
            if header.layer in LAYERS:
                yield f'platform/{own}: {name} belongs to the library'
            for include in header.includes:
                target = include[1:-1]
                if not target.startswith('mirage/') or target in headers:
                    continue
                layer = target.split('/')[1] if target.count('/') > 1 else ''
                if layer not in PLATFORM:
                    yield f'platform/{own}: {name} includes {target}'
                elif target not in library and target not in others:
                    yield f'platform/{own}: {name} includes {target}, which is nowhere'
            reached = {t for t in closure(name, {**library, **headers}) if t in library and library[t].layer in
                       NEVER_IN_A_PLATFORM}
            if reached:
                yield f'platform/{own}: {name} includes, by a detour, {", ".join(sorted(reached)[:3])}'


def faults(source):
    return [*library_faults(source / 'include'), *platform_faults(source)]


def self_test():
    """Every rule is broken once; a rule that nobody can break is not checked."""
    breaches = {
        'core knows device': {'include/mirage/core/a.hpp': '"mirage/device/b.hpp"', 'include/mirage/device/b.hpp': ''},
        'device knows async': {'include/mirage/device/a.hpp': '"mirage/async/b.hpp"', 'include/mirage/async/b.hpp': ''},
        'wire knows net': {'include/mirage/wire/a.hpp': '"mirage/net/b.hpp"', 'include/mirage/net/b.hpp': ''},
        'net knows a platform': {'include/mirage/net/a.hpp': '"mirage/hvt/b.hpp"',
                                 'platform/hvt/include/mirage/hvt/b.hpp': ''},
        'app knows os': {'include/mirage/app/a.hpp': '"mirage/os/b.hpp"', 'include/mirage/os/b.hpp': ''},
        'a layer knows the whole': {'include/mirage/app/a.hpp': '"mirage/mirage.hpp"', 'include/mirage/mirage.hpp': ''},
        'unknown layer': {'include/mirage/misc/a.hpp': ''},
        'missing header': {'include/mirage/core/a.hpp': '"mirage/core/b.hpp"'},
        'relative path': {'include/mirage/core/a.hpp': '"b.hpp"', 'include/mirage/core/b.hpp': ''},
        'hosted header': {'include/mirage/core/a.hpp': '<iostream>'},
        'Hana in core': {'include/mirage/core/a.hpp': '<boost/hana/tuple.hpp>'},
        'all of Hana': {'include/mirage/net/a.hpp': '<boost/hana.hpp>'},
        'ring': {'include/mirage/core/a.hpp': '"mirage/core/b.hpp"', 'include/mirage/core/b.hpp': '"mirage/core/a.hpp"'},
        'a platform knows net': {'platform/hvt/include/mirage/hvt/a.hpp': '"mirage/net/b.hpp"',
                                 'include/mirage/net/b.hpp': ''},
        'a platform knows net by a detour': {'platform/hvt/include/mirage/hvt/a.hpp': '"mirage/os/b.hpp"',
                                             'include/mirage/os/b.hpp': '"mirage/net/c.hpp"',
                                             'include/mirage/net/c.hpp': ''},
        'a platform knows another': {'platform/hvt/include/mirage/hvt/a.hpp': '"mirage/xen/b.hpp"',
                                     'platform/xen/include/mirage/xen/b.hpp': ''},
        'a platform adds to the library': {'platform/hvt/include/mirage/core/a.hpp': ''},
    }
    good = {'include/mirage/core/a.hpp': '<array>', 'include/mirage/device/b.hpp': '"mirage/core/a.hpp"',
            'include/mirage/net/c.hpp': '<boost/hana/tuple.hpp>', 'include/mirage/mirage.hpp': '"mirage/net/c.hpp"',
            'platform/hvt/include/mirage/hvt/d.hpp': '"mirage/device/b.hpp"'}
    wrong = []
    for title, files in [*breaches.items(), ('', good)]:
        with tempfile.TemporaryDirectory() as folder:
            for name, include in files.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f'#include {include}\n' if include else '')
            found = faults(pathlib.Path(folder))
            if bool(title) != bool(found):
                wrong.append(f'{title or "a tree that keeps the rules"}: {found or "not noticed"}')
    return wrong


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    found = self_test() if '--self-test' in sys.argv else faults(source)
    for fault in found:
        print('FAIL ' + fault)
    print(f'{len(found)} faults')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
