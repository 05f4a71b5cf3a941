# SPDX-License-Identifier: MIT
"""Bounded waits: a condition is asked again until it holds; nothing ever sleeps for a guessed time."""

import time

# A bound ends what hangs; it measures nothing. A busy machine may take many times what a quiet one does.
PATIENCE = 10


class Timeout(Exception):
    """A condition did not come true in the time it was given."""


def wait_until(condition, seconds, what, interval=0.01):
    """Asks `condition()` every `interval` seconds until it is true, and returns what it returned.

    Raises Timeout, naming `what` was waited for, when PATIENCE times `seconds` have passed. Exceptions of the condition pass
    through, so that a condition can notice that waiting has become useless.
    """
    deadline = time.monotonic() + PATIENCE * seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Timeout(f"waited {PATIENCE * seconds:g} s for {what}")
        time.sleep(interval)
