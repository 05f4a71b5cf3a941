# SPDX-License-Identifier: MIT
"""Child processes that cannot outlive the run: pinned, logged, and ended by id."""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import tempfile

from .wait import PATIENCE, Timeout, wait_until

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class Process:
    """One child in the background; its standard output and error go to one temporary file, see `log()`."""

    def __init__(self, command, *, cpus=None, environment=None, pass_fds=(), name=None, directory=None):
        self.command = [str(word) for word in command]
        self.name = name or os.path.basename(self.command[0])
        self._log = tempfile.TemporaryFile()

        def before_exec():
            # a runner that is killed outright takes its children with it
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if cpus is not None:
                os.sched_setaffinity(0, cpus)

        self._child = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})}, pass_fds=pass_fds, preexec_fn=before_exec,
            start_new_session=True, cwd=directory)

    @property
    def pid(self):
        return self._child.pid

    def alive(self):
        return self._child.poll() is None

    def status(self):
        """The exit status, None while it runs, negative for the signal that ended it."""
        return self._child.poll()

    def wait(self, seconds):
        """Waits for the end and returns the exit status; raises Timeout.

        By a descriptor: subprocess itself would look again and again, with ever longer pauses.
        """
        if self.alive():
            ended = os.pidfd_open(self.pid)
            try:
                if not select.select([ended], [], [], PATIENCE * seconds)[0]:
                    raise Timeout(f"waited {PATIENCE * seconds:g} s for the end of {self.name}")
            finally:
                os.close(ended)
        return self._child.wait()

    def log(self):
        """Everything that was written so far."""
        # pread: the offset of the descriptor is shared with the child and must stay where it is
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def wait_for_log(self, text, seconds):
        """Waits until the child has written `text`."""
        def written():
            if text in self.log():
                return True
            self.check()
            return False
        wait_until(written, seconds, f"{text!r} from {self.name}")

    def check(self):
        """Raises when the child is gone although nobody stopped it."""
        if not self.alive():
            raise RuntimeError(f"{self.name} ended with status {self.status()}:\n{self.log().strip()}")

    def signal(self, number):
        if self.alive():
            self._child.send_signal(number)

    def stop(self, seconds=3):
        """SIGTERM, then SIGKILL to the whole session of the child. Safe to call twice."""
        if self.alive():
            self._child.terminate()
            with contextlib.suppress(Timeout):
                self.wait(seconds)
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._child.wait()

    def close(self):
        self.stop()
        self._log.close()
