#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: count-tests.py TESTLOG [FAILURES]

Prints how many tests of a meson testlog.json passed, failed and were skipped; says which, and why, on stderr. Adds the last
lines of what each failed test said to the file FAILURES, so that they can be shown again where nobody has to look for them."""
import json
import re
import sys

passed = failed = skipped = 0
failures = open(sys.argv[2], "a", encoding="utf-8") if len(sys.argv) > 2 else None


def complain(test, what):
    print(f"{test['name']}: {what}", file=sys.stderr)
    if failures:
        said = (test.get("stdout", "") + test.get("stderr", "")).splitlines()[-40:]
        print(f"{test['name']}: {what}", *(f"    {text}" for text in said), sep="\n", file=failures)


with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        test = json.loads(line)
        # a program that reports several checks (Test Anything Protocol) counts as that many tests
        checks = re.findall(r"^(not )?ok \d+ - (.*?)(?: # SKIP (.*))?$", test.get("stdout", ""), re.M)
        for wrong, name, reason in checks:
            passed += not wrong and not reason
            failed += bool(wrong)
            skipped += bool(reason)
            if reason:
                print(f"{test['name']}: {name}: SKIP: {reason}", file=sys.stderr)
        wrong = [name for is_wrong, name, _ in checks if is_wrong]
        if wrong:
            complain(test, "FAIL: " + ", ".join(wrong))
        if checks and (test["result"] in ("OK", "EXPECTEDFAIL") or wrong):
            continue
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            passed += 1
        elif test["result"] == "SKIP":
            skipped += 1
            output = test.get("stdout", "") + test.get("stderr", "")
            reason = [text for text in output.splitlines() if re.match(r"SKIP|1\.\.0 # SKIP", text)] or ["SKIP: no reason given"]
            print(f"{test['name']}: {re.sub('^1..0 # SKIP ', 'SKIP: ', reason[-1])}", file=sys.stderr)
        else:
            failed += 1
            complain(test, test["result"])
print(passed, failed, skipped)
