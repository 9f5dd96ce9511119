# SPDX-License-Identifier: Apache-2.0
"""Questions by UDP."""

import logging
import socket

from fastpath.control.dns.answer import LONGEST, Answers, Pending
from fastpath.control.dns.shares import Admission
from fastpath.control.dns.watched import Watched
from fastpath.control.model.objects import Network

log = logging.getLogger(__name__)


class Datagrams:
    """Answer the questions of one network that come by one socket, which is closed with it."""

    def __init__(self, sock: socket.socket, network: Network, answers: Answers, admission: Admission) -> None:
        self._sock = sock
        self._network = network
        self._answers = answers
        self._admission = admission
        self._watched = Watched(sock, self._take)

    def close(self) -> None:
        """Answer no more."""
        self._watched.close()

    def _take(self) -> bool:
        data, asker = self._sock.recvfrom(LONGEST + 1)
        if not self._admission.take(self._network.name, asker[0]):
            return False
        answer = self._answers.at_once(self._network, data)
        if isinstance(answer, Pending):
            self._watched.start(self._later(answer, asker))
        elif answer is not None:
            self._send(answer, asker)
        return True

    async def _later(self, pending: Pending, asker: tuple[str, int]) -> None:
        answer = await self._answers.later(self._network, pending, asker[0])
        if answer is not None:
            self._send(answer, asker)

    def _send(self, answer: bytes, asker: tuple[str, int]) -> None:
        try:
            self._sock.sendto(answer, asker)
        except OSError as error:  # the socket is full, or the asker is gone; it asks again
            self._admission.counts.add("unsent")
            log.debug("%s: %s", self._network.name, error)
