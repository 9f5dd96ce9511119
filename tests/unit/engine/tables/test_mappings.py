# SPDX-License-Identifier: Apache-2.0
"""Segment.fdb and Segment.neighbours are mappings, and addresses are taken in every form that has one meaning."""

import ipaddress
from collections.abc import Callable, MutableMapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import numpy as np
import pytest

from fastpath import ConflictError, FdbEntry, NotFoundError, UsageError
from fastpath.addresses import parse_host, parse_ip, parse_mac
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import Lab

A, B, C = mac(0xA), mac(0xB), mac(0xC)
NUMBER = 0x02000000000A
FORMS: list[Any] = [
    "02:00:00:00:00:0a",
    "02-00-00-00-00-0A",
    "2:0:0:0:0:a",
    NUMBER,
    np.uint64(NUMBER),
    NUMBER.to_bytes(6, "big"),
    bytearray(NUMBER.to_bytes(6, "big")),
    memoryview(NUMBER.to_bytes(6, "big")),
]
NO_MACS: list[Any] = [
    "nonsense",
    "",
    b"12345",
    b"1234567",
    1 << 48,
    -1,
    None,
    1.5,
    True,
    ("02:00:00:00:00:0a",),
    np.arange(2),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_mac_in_every_form(lab: Lab, form: Any) -> None:
    segment = lab.engine.add_segment(1)
    port, remote = segment.add_memory_port("one"), segment.remote("127.0.0.2")
    assert form not in segment.fdb
    segment.fdb[form] = port
    assert form in segment.fdb
    assert segment.fdb[A] == segment.fdb[form] == segment.fdb.get(form)
    assert list(segment.fdb) == [A]
    segment.fdb.set(form, remote)
    segment.fdb.delete(form, remote)
    segment.neighbours["10.0.0.5"] = form
    assert segment.neighbours["10.0.0.5"] == A
    assert parse_mac(form) == NUMBER


@pytest.mark.parametrize("form", NO_MACS)
def test_what_is_no_mac_is_refused_rather_than_not_found(lab: Lab, form: Any) -> None:
    fdb, neighbours = lab.engine.add_segment(1).fdb, lab.engine.segments[1].neighbours
    remote = lab.engine.segments[1].remote("127.0.0.2")
    calls: list[Callable[[], object]] = [
        lambda: form in fdb,
        lambda: fdb[form],
        lambda: fdb.get(form),
        lambda: fdb.pop(form, None),
        lambda: fdb.set(form, remote),
        lambda: fdb.delete(form),
        lambda: neighbours.set("10.0.0.5", form),
        lambda: parse_mac(form),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="is not a MAC address"):
            call()
    assert len(fdb) == len(neighbours) == 0


def test_the_fdb_is_a_mapping(lab: Lab) -> None:
    segment, other = lab.engine.add_segment(1), lab.engine.add_segment(2)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    remotes = [segment.remote(f"127.0.0.{number}") for number in (2, 3)]
    fdb = segment.fdb
    assert isinstance(fdb, MutableMapping)
    fdb[B], fdb[A] = one, remotes[0]
    fdb[BROADCAST] = remotes[0]
    fdb.append(BROADCAST, remotes[1])
    assert list(fdb) == list(fdb.keys()) == [A, B, BROADCAST]
    assert len(fdb) == 3
    assert dict(fdb) == dict(fdb.items()) == {entry.mac: entry for entry in fdb.values()}
    assert fdb == dict(fdb)
    assert fdb != other.fdb
    assert fdb[A] == FdbEntry(A, (remotes[0],), static=True, local=False, age=0)
    with pytest.raises(KeyError, match=f"^there is no entry for {C}$"):
        fdb[C]
    with pytest.raises(NotFoundError):
        del fdb[C]
    with pytest.raises(KeyError):
        fdb.pop(C)
    assert (fdb.get(C), fdb.get(C, 5), fdb.pop(C, None)) == (None, 5, None)
    kept = fdb.pop(BROADCAST)
    assert kept.to == tuple(remotes)
    assert BROADCAST not in fdb
    fdb[BROADCAST] = kept  # an entry that was read can be put back
    assert fdb[BROADCAST] == kept
    assert fdb.setdefault(A, two).to == (remotes[0],)
    assert fdb.setdefault(C, two).to == (two,)
    other.fdb.update({mac: entry for mac, entry in fdb.items() if mac in (A, BROADCAST)})
    assert list(other.fdb) == [A, BROADCAST]
    assert fdb.popitem()[0] == A
    fdb.clear()
    assert (len(fdb), list(fdb)) == (0, [])


def test_an_entry_that_grew_older_is_the_same(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    segment.fdb[A] = segment.add_memory_port("one")
    kept, whole = segment.fdb[A], dict(segment.fdb)
    lab.engine.advance_clock(5)
    assert segment.fdb[A].age >= kept.age + 5
    assert segment.fdb[A] == kept
    assert segment.fdb == whole


def test_an_entry_that_points_nowhere_any_more(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    port = segment.add_memory_port("one")
    segment.fdb[A] = port
    kept = segment.fdb[A]
    segment.remove_port(port)
    with pytest.raises(ConflictError, match="was removed"):
        segment.fdb[A] = kept
    assert A not in segment.fdb


def test_what_was_learned_is_read_like_the_rest(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    port = segment.add_memory_port("one")
    lab.send(port, frame(BROADCAST, A))
    lab.poll()
    assert segment.fdb[A].to == (port,)
    assert not segment.fdb[A].static
    learned = segment.fdb.pop(A)
    segment.fdb[A] = learned
    assert segment.fdb[A] == learned


def test_neighbours_are_a_mapping(lab: Lab) -> None:
    neighbours = lab.engine.add_segment(1).neighbours
    assert isinstance(neighbours, MutableMapping)
    neighbours["10.0.0.5"] = A
    neighbours[IPv6Address("fd00::5")] = B
    assert neighbours == {IPv4Address("10.0.0.5"): A, IPv6Address("fd00::5"): B}
    assert dict(neighbours) == dict(neighbours.items())
    assert list(neighbours) == list(neighbours.keys()) == [IPv4Address("10.0.0.5"), IPv6Address("fd00::5")]
    assert list(neighbours.values()) == [A, B]
    assert "10.0.0.5" in neighbours
    assert ipaddress.ip_interface("10.0.0.5/24") in neighbours
    assert "10.0.0.6" not in neighbours
    with pytest.raises(KeyError, match=r"^10\.0\.0\.6 is not a neighbour$"):
        neighbours["10.0.0.6"]
    with pytest.raises(KeyError):
        del neighbours["10.0.0.6"]
    assert (neighbours.get("10.0.0.6"), neighbours.pop("10.0.0.6", None)) == (None, None)
    assert neighbours.setdefault("10.0.0.6", C) == neighbours.setdefault("10.0.0.6", A) == C
    assert neighbours.pop("10.0.0.6") == C
    del neighbours["10.0.0.5"]
    neighbours.update({IPv4Address("10.0.0.7"): C})
    neighbours.clear()
    assert (len(neighbours), list(neighbours)) == (0, [])


@pytest.mark.parametrize("form", ["nonsense", 5, None, b"\x0a\x00\x00\x05", 0x0A000005, "10.0.0.5/24"])
def test_what_is_no_ip_address_is_refused_rather_than_not_found(lab: Lab, form: Any) -> None:
    """A number may mean anything: 5 was taken for 0.0.0.5."""
    segment = lab.engine.add_segment(1)
    calls: list[Callable[[], object]] = [
        lambda: form in segment.neighbours,
        lambda: segment.neighbours[form],
        lambda: segment.neighbours.get(form),
        lambda: segment.neighbours.set(form, A),
        lambda: segment.add_remote(form),
        lambda: segment.remote(form),
        lambda: parse_ip(form),
        lambda: parse_host(form),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="is not an IP address"):
            call()


def test_an_interface_stands_for_its_address(lab: Lab) -> None:
    segment = lab.engine.add_segment(1)
    remote = segment.add_remote(ipaddress.IPv4Interface("127.0.0.2/8"))
    assert segment.remotes == (segment.remote("127.0.0.2"),)
    assert str(remote.address) == "127.0.0.2"
