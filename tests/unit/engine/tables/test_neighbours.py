# SPDX-License-Identifier: Apache-2.0
"""The table of neighbours as control sees it, beside a dict, and while workers read it."""

import contextlib
import itertools
import threading
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import ARP, Ether

from fastpath import ConflictError, Neighbours, UsageError
from fastpath.addresses import IPAddress
from tests.support.engine.frames import BROADCAST, mac
from tests.support.engine.lab import Lab, drain

A, B = mac(0xA), mac(0xB)


def test_set_get_delete(lab: Lab) -> None:
    neighbours = lab.engine.add_segment(1).neighbours
    assert len(neighbours) == 0
    neighbours.set("10.0.0.5", A)
    neighbours.set("fd00::5", B)
    neighbours.set(IPv6Address("fe80::1"), "02-00-00-00-00-0B", router=True)
    assert len(neighbours) == 3
    assert (neighbours.get("10.0.0.5"), neighbours.get("fd00:0::5"), neighbours.get("fe80::1")) == (A, B, B)
    assert neighbours.get("10.0.0.6") is None
    assert "10.0.0.5" in neighbours
    assert "10.0.0.6" not in neighbours
    assert neighbours.get("::ffff:10.0.0.5") == A  # one and the same
    addresses = [IPv4Address("10.0.0.5"), ip_address("fd00::5"), ip_address("fe80::1")]
    assert list(neighbours.items()) == list(zip(addresses, [A, B, B], strict=True))
    neighbours.set(IPv4Address("10.0.0.5"), B)
    assert len(neighbours) == 3
    assert neighbours.get("10.0.0.5") == B
    neighbours.delete("10.0.0.5")
    assert neighbours.get("10.0.0.5") is None
    with pytest.raises(ConflictError, match=r"10.0.0.5 is not a neighbour"):
        neighbours.delete("10.0.0.5")
    assert len(neighbours) == 2


@pytest.mark.parametrize(
    ("address", "owner", "message"),
    [
        ("10.0.0", A, "is not an IP address"),
        ("0.0.0.0", A, "not the address of one host"),  # noqa: S104
        ("::", A, "not the address of one host"),
        ("224.0.0.1", A, "not the address of one host"),
        ("ff02::1", A, "not the address of one host"),
        ("255.255.255.255", A, "not the address of one host"),
        ("127.0.0.1", A, "not the address of one host"),
        ("::1", A, "not the address of one host"),
        ("fe80::1%eth0", A, "has a zone"),
        ("10.0.0.5", BROADCAST, "not the address of one host"),
        ("10.0.0.5", "00:00:00:00:00:00", "not the address of one host"),
        ("10.0.0.5", "02:00", "is not a MAC address"),
    ],
)
def test_misuse(lab: Lab, address: str, owner: str, message: str) -> None:
    neighbours = lab.engine.add_segment(1).neighbours
    with pytest.raises(UsageError, match=message):
        neighbours.set(address, owner)
    assert list(neighbours) == []


def test_they_come_from_a_segment() -> None:
    with pytest.raises(TypeError, match=r"Segment.neighbours"):
        Neighbours()


def test_they_vanish_with_their_segment(lab: Lab) -> None:
    red, blue = lab.engine.add_segment(1), lab.engine.add_segment(2)
    for number in range(50):
        red.neighbours.set(f"10.0.0.{number + 1}", A)
        blue.neighbours.set(f"10.0.0.{number + 1}", B)
    gone = red.neighbours
    lab.engine.remove_segment(red)
    for call in (gone.get, gone.delete, gone.__contains__, gone.__getitem__, gone.pop):
        with pytest.raises(ConflictError, match="was removed"):
            call("10.0.0.1")
    for whole in (len, list, dict, Neighbours.items, Neighbours.clear):
        with pytest.raises(ConflictError, match="was removed"):
            whole(gone)
    with pytest.raises(ConflictError, match="was removed"):
        gone.set("10.0.0.1", A)
    assert len(blue.neighbours) == 50
    again = lab.engine.add_segment(1)  # it may have the same place in the tables
    assert (len(again.neighbours), again.neighbours.get("10.0.0.1")) == (0, None)
    assert blue.neighbours.get("10.0.0.1") == B


def test_the_limit() -> None:
    with Lab(neighbour_entries=100) as lab:
        red, blue = lab.engine.add_segment(1), lab.engine.add_segment(2)
        for _ in range(3):  # what was deleted makes room
            for number in range(100):
                (red if number % 2 else blue).neighbours.set(f"fd00::{number + 1:x}", A)
            with pytest.raises(ConflictError, match="100 neighbours already, which is the limit"):
                red.neighbours.set("fd00::ffff", A)
            red.neighbours.set("fd00::2", B)  # a change needs no room
            for number in range(100):
                (red if number % 2 else blue).neighbours.delete(f"fd00::{number + 1:x}")
    for wrong in (0, 1 << 27):
        with pytest.raises(UsageError, match="neighbours: the number must be between"):
            Lab(neighbour_entries=wrong)


def test_many(lab: Lab) -> None:
    neighbours = lab.engine.add_segment(1).neighbours
    expected = {f"10.{number >> 8}.{number & 255}.1": mac(number + 1) for number in range(10000)}
    for address, owner in expected.items():
        neighbours.set(address, owner)
    assert {str(address): owner for address, owner in neighbours.items()} == expected
    assert all(neighbours.get(address) == owner for address, owner in expected.items())
    for address in expected:
        neighbours.delete(address)
    assert len(neighbours) == 0


numbers = st.integers(0, 40)
operations = st.lists(st.tuples(st.sampled_from(["set", "set", "set", "delete", "tidy"]), st.booleans(), numbers))


@given(operations)
def test_like_a_dict(steps: list[tuple[str, bool, int]]) -> None:
    """Chains are short with 32 places for 41 addresses of each of two segments, and not empty."""
    with Lab(neighbour_entries=32) as lab:
        segments = [lab.engine.add_segment(vni) for vni in (1, 2)]
        models: list[dict[IPAddress, str]] = [{}, {}]
        for step, (what, which, number) in enumerate(steps):
            address = ip_address(f"10.0.0.{number + 1}" if number % 2 else f"fd00::{number + 1:x}")
            neighbours, model = segments[which].neighbours, models[which]
            if what == "tidy":
                lab.engine.tidy()
            elif what == "set":
                if address not in model and sum(map(len, models)) == 32:
                    with pytest.raises(ConflictError):
                        neighbours.set(address, A)
                else:
                    neighbours.set(address, mac(step + 1))
                    model[address] = mac(step + 1)
            elif address in model:
                neighbours.delete(address)
                del model[address]
            assert len(neighbours) == len(model)
            assert neighbours.get(address) == model.get(address)
        for segment, model in zip(segments, models, strict=True):
            assert dict(segment.neighbours) == model


def test_changed_while_workers_read(lab: Lab) -> None:
    """Somebody asks all the time; each answer is one that was true at some time, for that address."""
    segment = lab.engine.add_segment(1)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    for number in range(20):
        for owner in (mac(100 + number), mac(200 + number)):
            segment.fdb.set(owner, two)
    questions = [
        bytes(Ether(src=A, dst=BROADCAST) / ARP(op=1, hwsrc=A, psrc="10.0.0.99", pdst=f"10.0.0.{number}"))
        for number in range(20)
    ]
    stop = threading.Event()

    def ask() -> None:
        for question in itertools.cycle(questions):
            if stop.is_set():
                return
            with contextlib.suppress(BlockingIOError):
                one.send(question)

    asker = threading.Thread(target=ask)
    lab.engine.start()
    answers = 0
    told: set[bytes] = set()  # one of each: there are many thousands, and to read one takes longer than to get it
    try:
        asker.start()
        for turn in itertools.count():
            for number in range(20):
                segment.neighbours.set(f"10.0.0.{number}", mac((100 if turn % 2 else 200) + number))
            drain(two)
            for number in range(turn % 3, 20, 3):
                segment.neighbours.delete(f"10.0.0.{number}")
            drained = drain(one)
            answers += len(drained)
            told.update(drained)
            if turn >= 200 and answers >= 1000:
                break
    finally:
        stop.set()
        asker.join()
        lab.engine.stop()
    for data in told:
        reply = Ether(data)[ARP]
        number = int(reply.psrc.rpartition(".")[2])
        assert reply.op == 2
        assert reply.hwsrc in (mac(100 + number), mac(200 + number))
