# SPDX-License-Identifier: Apache-2.0
"""The engine's refusals: the right FastpathError, one line, and nothing left incomplete."""

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fastpath import ConflictError, Engine, FastpathError, Forwarder, LearningBridge, RefusedError, Segment, UsageError
from fastpath.engine.workers.sockets import may_mark
from tests.attacks import access
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import Lab, drain
from tests.support.ports import free_port

A = mac(0xA)


def refused(error: type[FastpathError], call: Callable[..., object], *arguments: Any, **options: Any) -> str:
    """The message with which the call is refused."""
    with pytest.raises(FastpathError) as caught:
        call(*arguments, **options)
    assert type(caught.value) is error
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (UsageError, {"local": "nonsense"}),
        (UsageError, {"local": "224.0.0.1"}),
        (RefusedError, {"local": "192.0.2.1"}),
        (RefusedError, {"local": "2001:db8::1"}),
        (UsageError, {"udp_port": 0}),
        (UsageError, {"udp_port": 65536}),
        (UsageError, {"workers": 0}),
        (UsageError, {"workers": 65}),
        (UsageError, {"ttl": 256}),
        (UsageError, {"ttl": -1}),
        (UsageError, {"mark": -1}),
        (UsageError, {"mark": 1 << 32}),
        (UsageError, {"fdb_entries": 0}),
        (UsageError, {"fdb_entries": (1 << 26) + 1}),
        (UsageError, {"source_ports": (0, 10)}),
        (UsageError, {"source_ports": (50000, 49999)}),
        (UsageError, {"source_ports": (50000, 65536)}),
    ],
)
def test_engines_that_cannot_be(error: type[FastpathError], options: dict[str, Any]) -> None:
    port = free_port()
    before = descriptors()
    refused(error, lambda: Engine(**{"local": "127.0.0.1", "udp_port": port, **options}))
    assert descriptors() == before
    Engine("127.0.0.1", udp_port=port).close()  # nobody holds the port


def test_without_permission_no_packet_is_marked() -> None:
    port = free_port()

    def attempt() -> str:
        assert not may_mark()
        return refused(RefusedError, lambda: Engine("127.0.0.1", udp_port=port, mark=1))

    with ThreadPoolExecutor(1) as thread:  # it ends, and its rights with it
        message = thread.submit(access.as_nobody, attempt).result() if os.geteuid() == 0 else attempt()
    assert message == "cannot mark packets: no permission (CAP_NET_ADMIN), run as root"
    Engine("127.0.0.1", udp_port=port).close()


def test_udp_port_in_use() -> None:
    with Lab() as lab:
        before = descriptors()
        message = refused(ConflictError, Engine, "127.0.0.1", udp_port=lab.engine.udp_port, workers=2)
        assert str(lab.engine.udp_port) in message
        assert descriptors() == before


def test_source_ports_in_use() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        busy.bind(("127.0.0.1", 0))
        number = busy.getsockname()[1]
        before = descriptors()
        refused(ConflictError, Engine, "127.0.0.1", udp_port=free_port(), source_ports=(number, number))
        assert descriptors() == before


@pytest.mark.parametrize(
    "options",
    [{"vni": -1}, {"vni": 1 << 24}, {"ageing": -1}, {"ageing": 1 << 23}, {"max_entries": -1}, {"max_entries": 1 << 32}],
)
def test_segments_that_cannot_be(lab: Lab, options: dict[str, Any]) -> None:
    refused(UsageError, lambda: lab.engine.add_segment(**{"vni": 1, **options}))
    assert lab.engine.segments == {}
    lab.engine.add_segment(1)


def test_a_vni_twice(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    assert "1" in refused(ConflictError, lab.engine.add_segment, 1)
    assert lab.engine.segments == {1: segment}
    lab.engine.remove_segment(segment)
    lab.engine.add_segment(1)


def test_a_forwarder_that_does_nothing(lab: Lab) -> None:
    """The base class has no C function: a worker must never get to call it."""
    refused(UsageError, lab.engine.add_segment, 1, forwarder=Forwarder())
    segment = lab.engine.add_segment(1)
    with pytest.raises(UsageError):
        segment.forwarder = Forwarder()
    assert isinstance(segment.forwarder, LearningBridge)


def test_port_names_and_sizes(lab: Lab) -> None:
    segment, other = lab.engine.add_segment(1), lab.engine.add_segment(2)
    port = segment.add_memory_port("one")
    before = descriptors()
    assert "one" in refused(ConflictError, segment.add_memory_port, "one")
    for mtu in (67, 65522, 0, -1):
        refused(UsageError, segment.add_memory_port, "two", mtu=mtu)
    assert descriptors() == before
    assert segment.ports == (port,)
    foreign = other.add_memory_port("one")  # a name is a segment's own
    refused(UsageError, segment.remove_port, foreign)
    segment.remove_port(port)
    for call in (lambda: segment.remove_port(port), lambda: port.send(b""), port.receive):
        assert "one" in refused(ConflictError, call)
    assert port.removed
    segment.add_memory_port("one")


def test_taps_that_cannot_be(lab: Lab) -> None:
    """What is refused before the kernel is asked, with or without privilege."""
    segment = lab.engine.add_segment(1)
    segment.add_memory_port("one")
    before = descriptors()
    for name in ("", "a" * 16, "é" * 8, "a/b", "a b", "a:b", "a%d", ".", ".."):
        refused(UsageError, segment.add_tap, name)
    refused(UsageError, segment.add_tap, "tap", mtu=1)
    refused(ConflictError, segment.add_tap, "one")
    refused(ConflictError, segment.add_tap, "lo")  # every host has that interface
    assert descriptors() == before
    assert len(segment.ports) == 1


def test_remotes(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    remote = segment.add_remote("127.0.0.2")
    refused(ConflictError, segment.add_remote, "127.0.0.2")
    refused(ConflictError, segment.remove_remote, "127.0.0.3")
    assert segment.remotes == (remote,)
    for address in ("nonsense", "239.1.1.1", "::1", "2001:db8::1"):
        refused(UsageError, segment.add_remote, address)
    for port in (0, 65536):
        refused(UsageError, segment.add_remote, "127.0.0.3", port)
    assert segment.remotes == (remote,)
    other = segment.add_remote("127.0.0.2", 1)  # another port is another remote
    mapped = segment.remote("::ffff:127.0.0.2")
    assert mapped == remote
    assert hash(mapped) == hash(remote)
    segment.remove_remote("127.0.0.2")
    assert segment.remotes == (other,)
    segment.add_remote("127.0.0.2")


@pytest.mark.parametrize("address", ["0.0.0.0", "255.255.255.255"])  # noqa: S104
def test_remotes_that_are_no_unicast_address(lab: Lab, address: str) -> None:
    """The kernel would send what is meant for 0.0.0.0 back to this host."""
    segment = lab.engine.add_segment(1)
    refused(UsageError, segment.add_remote, address)
    assert segment.remotes == ()


def test_ipv4_remotes_of_an_ipv6_engine() -> None:
    with Lab("::1") as lab:
        refused(UsageError, lab.engine.add_segment(1).add_remote, "127.0.0.2")
        assert len(lab.engine.stats().remotes) == 0


def used_segment(lab: Lab) -> Segment:
    segment = lab.engine.add_segment(1)
    segment.add_memory_port("one")
    segment.add_remote("127.0.0.2")
    segment.fdb.set(A, segment.remotes[0])
    return segment


def test_a_removed_segment(lab: Lab) -> None:
    segment = used_segment(lab)
    port, remote = segment.ports[0], segment.remotes[0]
    lab.engine.remove_segment(segment)
    assert port.removed
    for call in (
        lambda: lab.engine.remove_segment(segment),
        lambda: segment.add_memory_port("two"),
        lambda: segment.add_remote("127.0.0.3"),
        lambda: segment.remove_remote("127.0.0.2"),
        lambda: segment.remove_port(port),
        segment.stats,
        lambda: segment.learning,
        lambda: setattr(segment, "learning", True),
        lambda: setattr(segment, "forwarder", LearningBridge()),
    ):
        refused(ConflictError, call)
    fresh = used_segment(lab)
    refused(ConflictError, lab.engine.remove_segment, segment)
    assert lab.engine.segments == {1: fresh}
    assert fresh.remotes == (remote,)


def test_the_fdb_of_a_removed_segment(lab: Lab) -> None:
    """The segment's number is given to the next one, which must not get the old one's entries."""
    segment = used_segment(lab)
    fdb, remote = segment.fdb, segment.remotes[0]
    lab.engine.remove_segment(segment)
    fresh = lab.engine.add_segment(2)
    for call in (lambda: fdb.set(A, remote), lambda: fdb.append(BROADCAST, remote), lambda: fdb.delete(A), fdb.flush):
        with pytest.raises(ConflictError, match="removed"):
            call()
    assert list(fresh.fdb) == []


def test_a_segment_of_another_engine(lab: Lab) -> None:
    with Lab() as another:
        foreign = another.engine.add_segment(1)
        lab.engine.add_segment(1)
        refused(ConflictError, lab.engine.remove_segment, foreign)
        assert another.engine.segments == {1: foreign}


def test_a_closed_engine() -> None:
    before = descriptors()
    lab = Lab()
    segment = used_segment(lab)
    lab.engine.close()
    lab.engine.close()
    lab.engine.stop()
    lab.engine.tidy()
    for call in (lab.engine.start, lab.engine.stats, lab.engine.poll, lambda: lab.engine.add_segment(2)):
        assert "closed" in refused(ConflictError, call)
    refused(ConflictError, segment.stats)
    assert descriptors() == before


def test_polling_an_engine_that_runs(lab: Lab) -> None:
    lab.engine.start()
    refused(ConflictError, lab.engine.poll)
    refused(ConflictError, lab.engine.start)
    lab.engine.stop()
    assert lab.engine.poll() in (False, True)


def test_refusals_do_not_hurt_what_is_there(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    refused(ConflictError, segment.add_memory_port, "two")
    refused(ConflictError, lab.engine.add_segment, 1)
    refused(UsageError, segment.add_remote, "::1")
    lab.send(one, frame(BROADCAST, A))
    lab.poll()
    assert drain(two) == [frame(BROADCAST, A)]
