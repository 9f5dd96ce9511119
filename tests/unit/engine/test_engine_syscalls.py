# SPDX-License-Identifier: Apache-2.0
"""What the kernel refuses on the data path is counted, once for each failed call.

A descriptor of the engine's is replaced, and put back: to its call the kernel says no, whatever the reason.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastpath import Burst, Forwarder
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import DEADLINE_S, Lab, receive, wait_until
from tests.support.engine.streams import Stream, pattern
from tests.support.ports import free_port

A = mac(0xA)
SO_NO_CHECK = 11  # <asm-generic/socket.h>: with it, the kernel refuses trains (EINVAL)


IP_MTU_DISCOVER, DONT = 10, 0  # <linux/in.h>


def descriptor(is_it: Callable[[int], bool]) -> int:
    """The only descriptor of this process of which that is true."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if is_it(int(name)):
                found.append(int(name))
        except OSError:  # the directory's own
            continue
    assert len(found) == 1
    return found[0]


def links() -> dict[int, str]:
    """What each descriptor of this process is."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


def new_descriptor(before: dict[int, str], kind: str) -> int:
    """The first descriptor of that kind that was not there before."""
    return min(fd for fd, link in links().items() if kind in link and before.get(fd) != link)


@contextmanager
def replaced(fd: int, other: int) -> Iterator[None]:
    """Meanwhile the descriptor is another one. Who waits for what it was goes on waiting for that."""
    kept = os.dup(fd)
    os.dup2(other, fd)
    try:
        yield
    finally:
        os.dup2(kept, fd)
        os.close(kept)


@contextmanager
def refusing(fd: int) -> Iterator[None]:
    """Meanwhile the descriptor is a pipe's end, of which the kernel takes none of the engine's calls."""
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with replaced(fd, read_end):
            yield
    finally:
        os.close(read_end)
        os.close(write_end)


@contextmanager
def refused_once() -> Iterator[int]:
    """A socket of which one call says ECONNREFUSED, and those after it EAGAIN."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", free_port()))
        sock.send(b"nobody is there")
        yield sock.fileno()


def receives(lab: Lab) -> Callable[[int], bool]:
    def is_it(fd: int) -> bool:
        with socket.socket(fileno=os.dup(fd)) as copy:
            return bool(copy.getsockname() == ("127.0.0.1", lab.engine.udp_port))

    return is_it


def test_a_read_from_the_underlay_that_fails(lab: Lab) -> None:
    segment, far = lab.engine.add_segment(1), lab.far(2)
    port = segment.add_memory_port("one")
    fd = descriptor(receives(lab))
    lab.engine.start()
    with refused_once() as other, replaced(fd, other):
        far.send(1, frame(BROADCAST, A))
        wait_until(lambda: lab.events().get("receive_failed"))
    assert receive(port, 1) == [frame(BROADCAST, A)]
    lab.engine.stop()
    assert lab.events()["receive_failed"] == 1
    assert lab.drops() == {}


def test_poll_returns_though_every_read_fails(lab: Lab) -> None:
    """The socket stays ready, since what waits there is never taken."""
    segment, far = lab.engine.add_segment(1), lab.far(2)
    port = segment.add_memory_port("one")
    fd = descriptor(receives(lab))
    far.send(1, frame(BROADCAST, A))
    with refusing(fd):
        assert lab.engine.poll(DEADLINE_S)
    assert 1 <= lab.events()["receive_failed"] <= 100
    assert lab.engine.poll(DEADLINE_S)
    assert receive(port, 1) == [frame(BROADCAST, A)]


def test_waits_that_fail() -> None:
    before = links()
    with Lab() as lab:
        lab.engine.add_segment(1)
        assert not lab.engine.poll()
        assert "wait_failed" not in lab.events()
        with refusing(new_descriptor(before, "eventpoll")):
            assert not lab.engine.poll()
        assert lab.events()["wait_failed"] == 1
        assert not lab.engine.poll()
        assert lab.events()["wait_failed"] == 1


class Silent(Forwarder):
    """It decides on nothing."""

    def forward(self, burst: Burst) -> None:
        pass


def test_a_forwarders_thread_that_cannot_be_woken() -> None:
    with Lab() as lab:
        before = links()
        segment = lab.engine.add_segment(1, forwarder=Silent())
        port = segment.add_memory_port("one")
        wake = new_descriptor(before, "eventfd")
        lab.engine.start()

        def has_failed() -> bool:
            """Once the thread sleeps, the next frame has to wake it."""
            port.send(frame(BROADCAST, A))
            return "wait_failed" in lab.events()

        with refusing(wake):
            wait_until(has_failed)
        lab.engine.stop()


def test_trains_that_were_refused_are_tried_again_after_a_while() -> None:
    with Lab(source_port_count=1) as lab:
        segment = lab.engine.add_segment(42)
        port = segment.add_memory_port("one")
        segment.add_remote(lab.far(2).address)
        vnet, data = Stream().super_frame(pattern(3000), 1000)

        def is_sender(fd: int) -> bool:
            with socket.socket(fileno=os.dup(fd)) as copy:
                if copy.type != socket.SOCK_DGRAM or copy.getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER) == DONT:
                    return False  # what it sends may be fragmented, from any port
                return bool(copy.getsockname()[1] >= 49152)

        def outcome() -> tuple[int, int]:
            lab.send(port, data, vnet=vnet, segments=3)
            lab.poll()
            return lab.events().get("trains", 0), lab.events().get("train_refused", 0)

        assert outcome() == (1, 0)
        with socket.socket(fileno=os.dup(descriptor(is_sender))) as sender:
            sender.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
            assert [outcome(), outcome()] == [(1, 1), (1, 1)]
            lab.engine.advance_clock(150)
            assert outcome() == (1, 1)
            lab.engine.advance_clock(160)
            assert [outcome(), outcome()] == [(1, 2), (1, 2)]
            sender.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 0)
        lab.engine.advance_clock(310)
        assert [outcome(), outcome()] == [(2, 2), (3, 2)]
        assert lab.drops() == {}
