# SPDX-License-Identifier: Apache-2.0
"""The timer of an engine."""

import logging
import os
import select
import threading
from collections.abc import Callable

INTERVAL_S = 10.0  # as the kernel's vxlan_cleanup

log = logging.getLogger("fastpath")


class Housekeeper(threading.Thread):
    """Calls `tidy` every INTERVAL_S, and at once when a worker writes to the eventfd `attention`."""

    def __init__(self, tidy: Callable[[], None], attention: int) -> None:
        super().__init__(name="fastpath-tidy", daemon=True)
        self._tidy = tidy
        self._attention = os.dup(attention)  # the engine may close its own before this thread ends
        self._stopping = False
        self._closing = threading.Lock()

    def run(self) -> None:
        """Run until `stop`."""
        poll = select.poll()
        poll.register(self._attention, select.POLLIN)
        try:
            while not self._stopping:
                if poll.poll(INTERVAL_S * 1000):
                    os.eventfd_read(self._attention)
                if not self._stopping:
                    self._tidy_once()
        finally:
            with self._closing:
                os.close(self._attention)
                self._attention = -1

    def _tidy_once(self) -> None:
        try:
            self._tidy()
        except Exception:  # the data path must go on, and the next round may succeed
            log.exception("housekeeping failed")

    def stop(self) -> None:
        """End the thread and wait for that. Safe to call from the thread itself (by a callback)."""
        self._stopping = True
        with self._closing:
            if self._attention >= 0:
                os.eventfd_write(self._attention, 1)
        if threading.current_thread() is not self:
            self.join()
