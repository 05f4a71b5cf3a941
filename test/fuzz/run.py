#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a fuzz target over its corpus, then lets it search for a while from a scratch copy of the corpus.

An input that fails is kept in the findings folder and its path is printed. What the search adds to the corpus is
thrown away, unless --keep is given: then the fewest inputs that reach code which no seed reaches become seeds, as
found-HASH, for a person to look at and to name.
"""
import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time


def keep(fuzz, scratch, corpus):
    """Adds what reaches new edges to the corpus, the smallest inputs that do; returns how many."""
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='mirage-fuzz-') as merged:
        for seed in corpus.iterdir():
            shutil.copy(seed, merged)
        before = set(os.listdir(merged))
        # Without counters a feature is an edge, not how often it was taken: a handful of inputs, not thousands.
        fuzz('-set_cover_merge=1', '-use_counters=0', '-verbosity=0', merged, scratch)
        found = [path for path in sorted(pathlib.Path(merged).iterdir()) if path.name not in before]
        for path in found:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            shutil.copy(path, corpus / f'found-{digest}')
    return len(found)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument('target', type=pathlib.Path, help='the fuzz target')
    options.add_argument('corpus', type=pathlib.Path, help='folder of seeds; may be missing')
    options.add_argument('findings', type=pathlib.Path, help='folder for inputs that fail')
    options.add_argument('--seconds', type=int, default=10, help='how long to search; 0: corpus only')
    options.add_argument('--keep', action='store_true', help='add to the corpus what reaches code that it does not')
    options.add_argument('--max-len', type=int, default=4096, help='octets of the longest input tried')
    args = options.parse_args()

    os.nice(5)
    args.findings.mkdir(parents=True, exist_ok=True)
    prefix = f'{args.findings.resolve()}/{args.target.name}-'
    environment = os.environ | {'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1'}

    def fuzz(*arguments):
        return subprocess.run([args.target.resolve(), f'-artifact_prefix={prefix}', *arguments],
                              env=environment).returncode

    def failed(status, kept):
        print(f'{args.target.name}: failed with status {status}')
        print(f'the input is kept: {kept}')
        sys.exit(1)

    seeds = sorted(path for path in args.corpus.rglob('*') if path.is_file()) if args.corpus.is_dir() else []
    with tempfile.TemporaryDirectory(prefix='mirage-fuzz-') as scratch:
        for seed in seeds:
            shutil.copy(seed, scratch)
        # Given as files, seeds are only run, and a failure leaves nothing behind: look for the culprit.
        if seeds and (status := fuzz(*seeds)) != 0:
            failed(status, next((seed.resolve() for seed in seeds if fuzz(seed) != 0), 'none fails alone'))
        if args.seconds > 0:
            started = time.time() - 1
            status = fuzz(f'-max_total_time={args.seconds}', f'-max_len={args.max_len}', '-print_final_stats=1',
                          '-verbosity=0', scratch)
            if status != 0:
                kept = [str(path.resolve()) for path in args.findings.glob(f'{args.target.name}-*')
                        if path.stat().st_mtime >= started]
                failed(status, ', '.join(kept) or 'no, the target ended by itself')
        if args.keep:
            kept = keep(fuzz, pathlib.Path(scratch), args.corpus)
            print(f'{args.target.name}: {kept} new seeds')
    print(f'{args.target.name}: {len(seeds)} seeds, {args.seconds} s, no finding')


if __name__ == '__main__':
    main()
