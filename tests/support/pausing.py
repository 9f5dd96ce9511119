# SPDX-License-Identifier: Apache-2.0
"""Stop a process for a while, for certain.

SIGSTOP is only on its way when kill(2) returns: on a busy machine the threads of the process go on for a moment, and
may answer what should find nobody.
"""

import os
import signal
from pathlib import Path

from fastpath.bench.common.namespaces import wait_for


def pause(pid: int) -> None:
    """Return when no thread of the process runs any more, until SIGCONT."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: set(_states(pid)) <= {"T"}, f"the process {pid} stops")


def _states(pid: int) -> list[str]:
    """Return the state of each thread, a letter as in proc(5)."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found.append((task / "stat").read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended
    return found
