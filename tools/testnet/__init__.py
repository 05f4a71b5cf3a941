# SPDX-License-Identifier: MIT
"""Network namespaces for tests and measurements: made here, used here, removed here.

Needs root, iproute2 and Python's standard library. `Lab` owns everything that is made and takes it away
again at the end of its `with` block, whatever ends it: a return, an exception, SIGINT, SIGTERM or SIGHUP. What
a killed run (SIGKILL) left behind is removed by the next run.
"""

from .capture import Capture, JudgeError, judge
from .lab import Lab, Skip, not_installed, require_root, require_tools, run_tests
from .namespace import Namespace
from .process import Process
from .wait import Timeout, wait_until

__all__ = [
    "Capture", "JudgeError", "Lab", "Namespace", "Process", "Skip", "Timeout", "judge", "not_installed",
    "require_root", "require_tools", "run_tests", "wait_until",
]
