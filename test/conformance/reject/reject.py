#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs that must not compile, and what the compiler must say about them.

Each .cpp beside this file begins with comments: `// expect: REGEX` must be found in the diagnostics of every
compiler, `// gcc: REGEX` and `// clang: REGEX` in those of one. The diagnostics, from the first error to the last
note, may take 30 lines at most. The platform is the host. Usage: reject.py INCLUDE_DIRECTORY COMPILER... [-- PROGRAM.cpp...]
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

LONGEST = 30
FLAGS = ['-std=c++23', '-fno-exceptions', '-fno-rtti', '-fsyntax-only', '-Wall', '-Wextra', '-Werror',
         '-fdiagnostics-color=never']


def family(compiler):
    version = subprocess.run([compiler, '--version'], capture_output=True, text=True, check=True).stdout
    return 'clang' if 'clang' in version else 'gcc'


def judge(compiler, kind, include, program):
    """What is wrong with the compiler's answer; empty when it is as it should be."""
    expected = re.findall(rf'^// (?:expect|{kind}): (.*)$', program.read_text(), re.MULTILINE)
    if not expected:
        return ['it says nothing about what to expect']
    one_error = '-ferror-limit=1' if kind == 'clang' else '-fmax-errors=1'
    folders = [include, *(include.parent / 'platform' / name / 'include' for name in ('host', 'hosted'))]
    run = subprocess.run([compiler, *FLAGS, one_error, *(f'-I{folder}' for folder in folders), program.name],
                         cwd=program.parent, capture_output=True, text=True, env={**os.environ, 'LC_ALL': 'C'})
    said = run.stderr
    if run.returncode == 0:
        return ['it compiles']
    faults = []
    if re.search(r'fatal error: (?!too many)', said):
        faults.append('the compiler stopped for another reason')
    lines = said.splitlines()
    while lines and re.match(r'(compilation terminated|cc1plus: |\d+ errors? generated|fatal error: too many)', lines[-1]):
        lines.pop()
    if len(lines) > LONGEST:
        faults.append(f'{len(lines)} lines of diagnostics, {LONGEST} at most')
    faults += [f'"{pattern}" is not in it' for pattern in expected if not re.search(pattern, said)]
    return faults and faults + [said]


def main():
    arguments = sys.argv[1:]
    here = pathlib.Path(__file__).resolve().parent
    programs = sorted(here.glob('*.cpp'))
    if '--' in arguments:
        at = arguments.index('--')
        programs = [pathlib.Path(p).resolve() for p in arguments[at + 1:]]
        arguments = arguments[:at]
    include = pathlib.Path(arguments[0]).resolve()
    compilers = [(c, family(c)) for c in arguments[1:] if shutil.which(c)]
    for missing in (c for c in arguments[1:] if not shutil.which(c)):
        print(f'note: no {missing} here, its diagnostics are not read')
    if not compilers or not programs:
        print('SKIP: no compiler, or no program')
        return 77
    tasks = [(c, k, include, p) for p in programs for c, k in compilers]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for (compiler, _, _, program), faults in zip(tasks, pool.map(lambda t: judge(*t), tasks)):
            if faults:
                bad += 1
                print(f'FAIL {program.name} ({compiler}): ' + '\n    '.join(faults))
    print(f'{len(programs)} programs, {len(compilers)} compilers, {bad} wrong answers')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
