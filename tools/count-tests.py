#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints how many tests of a meson testlog.json passed, failed and were skipped; says which, and why, on stderr."""
import json
import re
import sys

passed = failed = skipped = 0
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        test = json.loads(line)
        # a program that reports several checks (Test Anything Protocol) counts as that many tests
        checks = re.findall(r"^(not )?ok \d+ - (.*?)(?: # SKIP (.*))?$", test.get("stdout", ""), re.M)
        for wrong, name, reason in checks:
            passed += not wrong and not reason
            failed += bool(wrong)
            skipped += bool(reason)
            if wrong or reason:
                print(f"{test['name']}: {name}: {'FAIL' if wrong else 'SKIP: ' + reason}", file=sys.stderr)
        if checks and (test["result"] in ("OK", "EXPECTEDFAIL") or any(wrong for wrong, _, _ in checks)):
            continue
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            passed += 1
        elif test["result"] == "SKIP":
            skipped += 1
            output = test.get("stdout", "") + test.get("stderr", "")
            reason = [text for text in output.splitlines() if re.match(r"SKIP|1\.\.0 # SKIP", text)] or ["SKIP: no reason given"]
            print(f"{test['name']}: {reason[-1]}", file=sys.stderr)
        else:
            failed += 1
            print(f"{test['name']}: {test['result']}", file=sys.stderr)
print(passed, failed, skipped)
