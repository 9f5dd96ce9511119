# SPDX-License-Identifier: Apache-2.0
"""The ring between a worker and another thread, beside a list."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.testing.oneshot import Ring

SIZE = 4096
ENTRIES = st.lists(st.binary(max_size=700), max_size=8)


@given(st.lists(st.tuples(ENTRIES, st.integers(0, 10)), max_size=60))
def test_what_comes_out_is_what_went_in(steps: list[tuple[list[bytes], int]]) -> None:
    ring = Ring(SIZE)
    inside: list[bytes] = []
    for entries, room in steps:
        inside += [entry for entry in entries if ring.reserve(entry)]
        ring.publish()
        taken = ring.take(room)
        assert taken == inside[:room]
        del inside[:room]
        assert ring.empty or inside
    assert ring.take(10_000) == inside


def test_nothing_is_seen_before_it_is_published() -> None:
    ring = Ring(SIZE)
    assert ring.reserve(b"early")
    assert ring.empty
    assert ring.take(1) == []
    ring.publish()
    assert ring.take(1) == [b"early"]


@pytest.mark.parametrize("size", [1, 100, 1000, 4080])
def test_a_full_ring_refuses_and_loses_nothing(size: int) -> None:
    ring = Ring(SIZE)
    count = 0
    while ring.reserve(bytes([count % 256]) * size):
        count += 1
    assert count == SIZE // (16 + -(-size // 16) * 16)
    ring.publish()
    assert ring.take(SIZE) == [bytes([i % 256]) * size for i in range(count)]
    assert ring.reserve(bytes(size))


def test_what_never_fits_is_refused() -> None:
    assert not Ring(SIZE).reserve(bytes(SIZE))


def test_one_thread_puts_and_another_takes() -> None:
    ring = Ring(SIZE)
    total = 4_000

    def produce() -> None:
        sent = 0
        while sent < total:
            if ring.reserve(str(sent).encode() * (1 + sent % 7)):
                sent += 1
            ring.publish()

    thread = threading.Thread(target=produce)
    thread.start()
    taken: list[bytes] = []
    while len(taken) < total:
        taken += ring.take(16)
    thread.join()
    assert taken == [str(i).encode() * (1 + i % 7) for i in range(total)]
