#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints how many tests of a meson testlog.json passed, failed and were skipped; says which, and why, on stderr."""
import json
import sys

passed = failed = skipped = 0
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        test = json.loads(line)
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            passed += 1
        elif test["result"] == "SKIP":
            skipped += 1
            output = test.get("stdout", "") + test.get("stderr", "")
            reason = [text for text in output.splitlines() if text.startswith("SKIP")] or ["SKIP: no reason given"]
            print(f"{test['name']}: {reason[-1]}", file=sys.stderr)
        else:
            failed += 1
            print(f"{test['name']}: {test['result']}", file=sys.stderr)
print(passed, failed, skipped)
