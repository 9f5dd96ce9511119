# SPDX-License-Identifier: Apache-2.0
"""The FDB kernel against a dict: learning, moves, static entries, limits, ageing, retirement, tiny and full tables."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fastpath.testing.oneshot import FdbTable
from tests.support.engine.twin_bridge import CLOCK, LOCAL, PORT, REMOTE, STATIC, Entry, Place, Share, TwinFdb
from tests.support.examples import times

TINY_ROOM = 64  # the smallest table has 16 buckets of 4 slots, and every probe covers all of them

segments = st.sampled_from([1, 2, 65534])
# Few enough to meet again, and more than the tables hold.
macs = st.integers(0, 40) | st.just(0xFFFFFFFFFFFF)
places = st.tuples(st.sampled_from([PORT, REMOTE]), st.integers(0, 3) | st.just(0x0FFFFFFF))


def entries(table: FdbTable) -> dict[tuple[int, int], Entry]:
    """The real table in the twin's words."""
    return {key: Entry(*value) for key, value in table.entries().items()}


class FdbMachine(RuleBasedStateMachine):
    """Any sequence of operations leaves the table and the dict with the same entries and the same answers."""

    @initialize(
        entries=st.integers(1, 32),
        reserve=st.integers(0, 8),
        seed=st.integers(0, 2**64 - 1),
        start=st.sampled_from([0, CLOCK - 100]),
    )
    def create(self, entries: int, reserve: int, seed: int, start: int) -> None:
        reserve = min(reserve, entries)
        self.real, self.twin = FdbTable(entries, seed), TwinFdb(entries, room=TINY_ROOM, reserve=reserve)
        self.real.reserve(reserve)
        self.now = start

    @rule(segment=segments, limit=st.integers(0, 5), ageing=st.sampled_from([0, 1, 10, 300]))
    def configure(self, segment: int, limit: int, ageing: int) -> None:
        self.real.configure(segment, limit, ageing)
        self.twin.shares[segment] = Share(limit, ageing)

    @rule(segment=segments, mac=macs, place=places)
    def learn(self, segment: int, mac: int, place: Place) -> None:
        assert self.real.learn(segment, mac, *place, self.now) == self.twin.learn(segment, mac, place, self.now)

    @rule(segment=segments, first=st.integers(0, 30), count=st.integers(1, 12), place=places)
    def learn_many(self, segment: int, first: int, count: int, place: Place) -> None:
        for mac in range(first, first + count):
            self.learn(segment, mac, place)

    @rule(segment=segments, mac=macs, place=places, flags=st.sampled_from([0, STATIC, STATIC | LOCAL]))
    def set(self, segment: int, mac: int, place: Place, flags: int) -> None:
        expected = self.twin.set(segment, mac, place, flags, self.now)
        assert self.real.set(segment, mac, *place, flags, self.now) == expected

    @rule(segment=segments | st.just(0), mac=st.none() | macs, place=st.none() | places, learned_only=st.booleans())
    def retire(self, segment: int, mac: int | None, place: Place | None, learned_only: bool) -> None:
        expected = self.twin.retire(segment, mac, place, learned_only=learned_only)
        assert self.real.retire(segment, mac, place, learned_only) == expected

    @rule(seconds=st.sampled_from([0, 1, 10, 200, 1000]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def age(self) -> None:
        assert self.real.age(self.now) == self.twin.age(self.now)

    @rule()
    def reclaim(self) -> None:
        self.real.reclaim()
        self.twin.reclaim()

    @rule(segment=segments, mac=macs)
    def lookup(self, segment: int, mac: int) -> None:
        found = self.real.lookup(segment, mac)
        assert (found and Entry(*found)) == self.twin.table.get((segment, mac))

    @invariant()
    def same_entries(self) -> None:
        assert entries(self.real) == self.twin.table
        assert len(self.real) == len(self.twin.table)
        assert self.real.learned() == self.twin.learned()

    @rule(place=places)
    def learned_from(self, place: Place) -> None:
        assert self.real.learned(*place) == (self.twin.learned(place=place) if place[1] < 1 << 16 else 0)


TestFdbMachine = FdbMachine.TestCase
TestFdbMachine.settings = settings(max_examples=times(1.5), stateful_step_count=60)


@pytest.mark.parametrize("entries", [100_000, 65_536])
def test_filled_to_its_bound(entries: int) -> None:
    table = FdbTable(entries, 0x1234_5678_9ABC_DEF0)
    table.configure(1, entries, 0)
    generator = random.Random(1)
    macs = generator.sample(range(1, 1 << 48), entries + 1)
    assert all(table.learn(1, mac, PORT, mac % 1000, 7) == "learned" for mac in macs[:-1])
    assert table.learn(1, macs[-1], PORT, 1, 7) == "full"
    assert not table.set(1, macs[-1], PORT, 1, STATIC, 7)
    assert table.lookup(1, macs[-1]) is None
    assert len(table) == entries
    assert all(table.lookup(1, mac) == (PORT, mac % 1000, 7, 0) for mac in macs[:-1])
    # Moves need no room, and what is freed can be used again.
    assert table.learn(1, macs[0], REMOTE, 5, 8) == "moved"
    assert table.retire(1, macs[1]) == 1
    assert table.learn(1, macs[-1], PORT, 1, 8) == "learned"


def test_addresses_in_a_row_fill_a_table_too() -> None:
    """Containers get consecutive addresses: the hash must not mind."""
    table = FdbTable(20_000, 3)
    for segment in (1, 2):
        table.configure(segment, 20_000, 0)
        assert all(table.learn(segment, 0x0242_0A00_0000 + n, PORT, 1, 0) == "learned" for n in range(10_000))
    assert all(table.lookup(2, 0x0242_0A00_0000 + n) for n in range(10_000))


def test_churn_leaves_a_table_whole() -> None:
    """Many times more addresses than entries, a few at a time: tombstones must not use the room up."""
    table, twin = FdbTable(16, 9), TwinFdb(16, room=TINY_ROOM, shares={1: Share(16)})
    table.configure(1, 16, 0)
    for mac in range(5_000):
        assert table.learn(1, mac, PORT, 1, mac) == twin.learn(1, mac, (PORT, 1), mac) == "learned"
        if mac % 16 == 15:
            assert table.retire(1) == twin.retire(1) == 16
            table.reclaim()
            twin.reclaim()


def test_a_retired_slot_is_not_used_before_it_is_reclaimed() -> None:
    table = FdbTable(1, 5)
    for mac in range(TINY_ROOM):
        assert table.learn(1, mac, PORT, 1, 0) == "learned"
        assert table.retire(1, mac) == 1
    assert table.learn(1, 99, PORT, 1, 0) == "full"
    table.reclaim()
    assert table.learn(1, 99, PORT, 1, 0) == "learned"
    assert entries(table) == {(1, 99): Entry(PORT, 1, 0, 0)}


def test_ages_are_counted_across_the_wrap_of_the_clock() -> None:
    table = FdbTable(4)
    table.configure(1, 0, 300)
    table.learn(1, 1, PORT, 1, CLOCK - 10)
    assert table.age(CLOCK + 290) == 0
    assert table.age(CLOCK + 291) == 1


def test_an_entry_refreshed_while_the_table_is_aged_stays() -> None:
    """Ageing takes its time once and then walks the table, while workers go on to learn: an entry that
    was seen a second "later than now" is not one of 194 days ago."""
    table = FdbTable(4)
    table.configure(1, 0, 300)
    table.learn(1, 1, PORT, 1, 1001)
    assert table.age(1000) == 0
    assert table.lookup(1, 1) == (PORT, 1, 1001, 0)


@pytest.mark.parametrize("entries", [0, (1 << 26) + 1])
def test_sizes_that_are_refused(entries: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        FdbTable(entries)
