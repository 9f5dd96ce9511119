# SPDX-License-Identifier: Apache-2.0
"""The engine's own slow timer."""

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
        self._attention = attention
        self._stopping = False

    def run(self) -> None:
        """The thread's body."""
        poll = select.poll()
        poll.register(self._attention, select.POLLIN)
        while not self._stopping:
            if poll.poll(INTERVAL_S * 1000):
                os.eventfd_read(self._attention)
            if self._stopping:
                return
            try:
                self._tidy()
            except Exception:  # the data path must go on, and the next round may succeed
                log.exception("housekeeping failed")

    def stop(self) -> None:
        """Return when the thread has ended. Safe to call from the thread itself (by a callback)."""
        self._stopping = True
        os.eventfd_write(self._attention, 1)
        if threading.current_thread() is not self:
            self.join()
