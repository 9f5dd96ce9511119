# SPDX-License-Identifier: Apache-2.0
"""A process of `fastpath …` that the server forked, with the methods of subprocess.Popen that tests use."""

import atexit
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO

from tests.support.launch.request import ENDED, PID, Request

ROOT = Path(__file__).parents[3]
_spent: list[float] = []  # by each process that ended


def spent() -> float:
    """Seconds of processors of all that ended. The server waits for them, so this process's own times lack them."""
    return sum(_spent)


class Process:
    """Started; `stdout` and `stderr` are pipes where no file is given."""

    def __init__(
        self,
        *words: str,
        namespace: str | None = None,
        capabilities: Sequence[int] | None = None,
        output: IO[bytes] | None = None,
    ) -> None:
        self.args = ("fastpath", *words)
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        self._answers, answers = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        null = os.open(os.devnull, os.O_RDONLY)
        given = [null, answers.fileno()]
        try:
            if output is not None:
                given[1:1] = [output.fileno()] * 2
            else:
                (out, given_out), (err, given_err) = os.pipe(), os.pipe()
                given[1:1] = [given_out, given_err]
                self.stdout, self.stderr = os.fdopen(out), os.fdopen(err)
            request = Request(words, dict(os.environ), os.getcwd(), namespace, capabilities)
            socket.send_fds(_server(), [request.pack()], given)
        finally:
            answers.detach()
            for fd in given if output is None else (given[0], given[-1]):
                os.close(fd)
        (self.pid,) = PID.unpack(self._answer(PID.size))

    def poll(self) -> int | None:
        """Its exit status, or None: it runs."""
        if self.returncode is None and select.select([self._answers], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, when it has ended. Raise TimeoutExpired after so many seconds."""
        if self.returncode is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait until it ended; what else it wrote to its pipes. Raise TimeoutExpired."""
        read = ["", ""]

        def take(number: int, stream: IO[str]) -> None:
            with stream:
                read[number] = stream.read()

        streams = (self.stdout, self.stderr)
        threads = [
            threading.Thread(target=take, args=(number, stream), daemon=True)
            for number, stream in enumerate(streams)
            if stream is not None and not stream.closed
        ]
        for thread in threads:
            thread.start()
        self.wait(timeout)
        for thread in threads:
            thread.join(timeout)
            if thread.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return read[0], read[1]

    def _end(self) -> None:
        status, seconds = ENDED.unpack(self._answer(ENDED.size))
        self._answers.close()
        self.returncode = os.waitstatus_to_exitcode(status)
        _spent.append(seconds)

    def _answer(self, size: int) -> bytes:
        answer = self._answers.recv(size)
        assert answer, "the server that starts `fastpath` for tests ended"
        return answer


def run(*words: str, namespace: str | None = None, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run `fastpath …` to its end."""
    process = Process(*words, namespace=namespace)
    try:
        output, error = process.communicate(timeout)
    except BaseException:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.wait(), output, error)


@cache
def _server() -> socket.socket:
    """Where this process asks for starts. The server ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.support.launch.server", str(theirs.fileno())]
    with theirs:
        server = subprocess.Popen(
            command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours
