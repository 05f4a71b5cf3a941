# SPDX-License-Identifier: MIT
"""Bounded waits: a condition is asked again until it holds; nothing ever sleeps for a guessed time."""

import time


class Timeout(Exception):
    """A condition did not come true in the time it was given."""


def wait_until(condition, seconds, what, interval=0.01):
    """Asks `condition()` every `interval` seconds until it is true, and returns what it returned.

    Raises Timeout, naming `what` was waited for, when `seconds` have passed. Exceptions of the condition pass
    through, so that a condition can notice that waiting has become useless.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Timeout(f"waited {seconds:g} s for {what}")
        time.sleep(interval)
