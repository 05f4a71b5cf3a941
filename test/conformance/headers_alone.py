#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles every public header alone, as a guest (or, for the host platform, as a Linux program) would.

A header that another one includes before anything else was compiled alone when that one was: it is not compiled twice.

Usage: headers_alone.py SOURCE_DIRECTORY CACHE_DIRECTORY COMPILER... A header that compiled is not compiled again
before it, or a header that it includes, or the compiler or its flags change.
"""
import concurrent.futures
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from include_graph import closure, headers_below

COMMON = ['-std=c++23', '-fno-exceptions', '-fno-rtti', '-O1', '-fsyntax-only', '-Wall', '-Wextra', '-Wconversion',
          '-Wshadow', '-Wno-missing-field-initializers', '-Werror', '-fdiagnostics-color=never', '-x', 'c++']
# Clang's -mgeneral-regs-only rejects libstdc++'s mention of long double.
GUEST = {'gcc': ['-ffreestanding', '-mgeneral-regs-only'],
         'clang': ['-ffreestanding'] + (['-mno-mmx', '-mno-sse'] if platform.machine() == 'x86_64' else [])}
HOSTED_HEADERS = {'mirage/async/asio.hpp'}
HOSTED = ['-fexceptions', '-frtti']  # what Asio wants
HOSTED_PLATFORMS = {'host', 'hosted'}


def includes_of(name, headers):
    return {include[1:-1] for n in closure(name, headers) for include in headers[n].includes}


def main():
    source, cache = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
    cache.mkdir(parents=True, exist_ok=True)
    compilers = []
    for name in sys.argv[3:]:
        if not shutil.which(name):
            print(f'note: no {name} here')
            continue
        version = subprocess.run([name, '--version'], capture_output=True, text=True, check=True).stdout
        compilers.append((name, version, 'clang' if 'clang' in version else 'gcc'))
    if not compilers:
        print('SKIP: no compiler')
        return 77

    trees = [(source / 'include', [], True)]
    runtime = source / 'platform/runtime/include'
    for root in sorted(source.glob('platform/*/include')):
        own = root.parent.name
        beside = [p for p in (runtime, source / 'platform/hosted/include') if p.is_dir() and p != root]
        trees.append((root, [source / 'include', *beside], own not in HOSTED_PLATFORMS))

    jobs = []
    for root, beside, guest in trees:
        known = {}
        for folder in [*beside, root]:
            known.update(headers_below(folder))
        # What includes mirage/platform.hpp compiles with a platform's folder on the include path, and only there.
        of_a_platform = {n for n in known if 'mirage/platform.hpp' in includes_of(n, known)}
        names = set(headers_below(root)) - of_a_platform
        if 'mirage/platform.hpp' in known:
            names |= of_a_platform
        first = (known[n].includes[0] for n in names - HOSTED_HEADERS if known[n].includes)
        leading = {include[1:-1] for include in first if include.startswith('"')}
        for name in sorted(names - leading):
            if not name.endswith('.hpp'):
                continue  # .h: shared with assembly, macros only
            content = ''.join(known[n].text for n in sorted(closure(name, known)))
            for compiler, version, kind in compilers:
                flags = COMMON + (HOSTED if name in HOSTED_HEADERS else GUEST[kind] if guest else [])
                flags = flags + [f'-I{folder}' for folder in [root, *beside]]
                key = hashlib.sha256('\0'.join([version, *flags, content]).encode()).hexdigest()
                if not (cache / key).exists():
                    jobs.append((compiler, flags, name, cache / key))

    def compile_alone(job):
        compiler, flags, name, stamp = job
        run = subprocess.run([compiler, *flags, '-'], input=f'#include "{name}"\n#include "{name}"\n',
                             capture_output=True, text=True, env={**os.environ, 'LC_ALL': 'C'})
        if run.returncode == 0:
            stamp.touch()
            return ''
        return f'FAIL {name} ({compiler})\n' + '\n'.join('    ' + line for line in run.stderr.splitlines()[:20])

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        faults = [fault for fault in pool.map(compile_alone, jobs) if fault]
    print('\n'.join(faults))
    print(f'{len(jobs)} compilations, {len(faults)} failed')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
