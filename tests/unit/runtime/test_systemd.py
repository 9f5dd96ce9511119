# SPDX-License-Identifier: Apache-2.0
"""sd_notify, to a real datagram socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpath.control.runtime.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """What listens in systemd's place."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "n") if request.param == "path" else f"\0fastpath-test-{os.getpid()}")
        sock.settimeout(5)
        yield sock


def environment(manager: socket.socket, **more: str) -> dict[str, str]:
    name = manager.getsockname()
    return {"NOTIFY_SOCKET": name if isinstance(name, str) else "@" + name[1:].decode(), **more}


def test_what_is_told(manager: socket.socket) -> None:
    notifier = Notifier(environment(manager))
    notifier.ready("all\nis  well")
    notifier.status("5 networks")
    notifier.stopping()
    assert [manager.recv(4096) for _ in range(3)] == [
        b"READY=1\nSTATUS=all is well",
        b"STATUS=5 networks",
        b"STOPPING=1\nSTATUS=stopping",
    ]


def test_the_watchdog_is_fed_at_twice_its_pace(manager: socket.socket) -> None:
    notifier = Notifier(environment(manager, WATCHDOG_USEC="40000", WATCHDOG_PID=str(os.getpid())))
    assert notifier.watchdog == 0.04

    async def beat() -> None:
        task = asyncio.create_task(notifier.beat(lambda: True))
        for _ in range(3):
            assert await asyncio.to_thread(manager.recv, 4096) == b"WATCHDOG=1"
        task.cancel()

    asyncio.run(beat())


@pytest.mark.parametrize(
    "more", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}]
)
def test_without_a_watchdog_nothing_is_sent(manager: socket.socket, more: dict[str, str]) -> None:
    notifier = Notifier(environment(manager, **more))
    assert notifier.watchdog is None
    asyncio.run(notifier.beat(lambda: True))
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)


@pytest.mark.parametrize("path", ["", "relative", "vsock:2:1"])
def test_without_a_socket_nothing_happens(path: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1"})
    assert notifier.address is None
    notifier.ready("")
    asyncio.run(notifier.beat(lambda: True))


def test_a_manager_that_is_gone_or_busy_stops_nobody(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).ready("")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "n"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "n")})
        for _ in range(2000):  # more than the socket holds
            notifier.status("x")


def test_the_watchdog_of_an_ill_daemon_starves(manager: socket.socket) -> None:
    notifier = Notifier(environment(manager, WATCHDOG_USEC="2000", WATCHDOG_PID=str(os.getpid())))
    looked = asyncio.Event()

    async def beat() -> None:
        def ill() -> bool:
            looked.set()
            return False

        task = asyncio.create_task(notifier.beat(ill))
        await looked.wait()
        task.cancel()

    asyncio.run(beat())
    notifier.fail()
    assert manager.recv(4096).splitlines()[0] == b"WATCHDOG=trigger"
