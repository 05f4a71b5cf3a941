# SPDX-License-Identifier: MIT
"""Processor time of the whole machine: client, stack, tender and kernel together, whoever is charged for it."""

import dataclasses
import os
import time

_HERTZ = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Reading:
    at: float
    idle: dict    # processor -> seconds idle, waiting for a disk, or stolen by a hypervisor
    ticked: float  # user + nice + system + irq + softirq of all processors, as the timer tick samples them

    @classmethod
    def now(cls):
        idle, ticked = {}, 0.0
        with open("/proc/stat") as table:
            for line in table:
                if not line.startswith("cpu"):
                    break
                name, *values = line.split()
                user, nice, system, resting, waiting, irq, softirq, stolen = (int(v) / _HERTZ for v in values[:8])
                if name == "cpu":
                    ticked = user + nice + system + irq + softirq
                else:
                    idle[int(name[3:])] = resting + waiting + stolen
        return cls(time.monotonic(), idle, ticked)


def busy(before, after, cpus=None):
    """Seconds of processor time between two readings, of some processors or all.

    Counted as what was not idle: the kernel measures idle time by the clock, but samples the busy kinds at each
    tick, and work that runs between two ticks (a soft interrupt, a short wake-up) would be missed. User includes
    guest time.
    """
    chosen = after.idle if cpus is None else cpus
    return sum(max(0.0, (after.at - before.at) - (after.idle[c] - before.idle[c])) for c in chosen)


class Idle:
    """How busy the machine is when nothing is measured; taken again before each measurement."""

    def __init__(self, seconds=0.2):
        before = Reading.now()
        time.sleep(seconds)  # not a wait for anything: it is the length of the sample
        self._before, self._after = before, Reading.now()

    def rate(self, cpus=None):
        """Busy seconds per second."""
        return busy(self._before, self._after, cpus) / (self._after.at - self._before.at)
