# SPDX-License-Identifier: Apache-2.0
"""How a worker shares its core. Time is an argument: no test waits."""

from fastpath.testing.oneshot import Pace

US, MS = 1000, 1000000
SPIN = 50 * US


def test_it_looks_for_work_as_long_as_it_was_told() -> None:
    pace = Pace(SPIN)
    assert pace.look(1000, 1000)
    assert pace.look(1000, 1000 + SPIN - 1)
    assert not pace.look(1000, 1000 + SPIN)
    assert not Pace(0).look(1000, 1000)


def test_what_is_in_vain_is_given_up_until_it_would_have_helped() -> None:
    pace = Pace(SPIN)
    for _ in range(15):
        pace.slept(0, SPIN)
        assert pace.look(0, 1)
    pace.slept(0, SPIN)
    assert not pace.look(0, 1)
    pace.slept(0, SPIN - 1)  # so short a sleep would have been none
    assert pace.look(0, 1)


def test_a_core_that_somebody_else_wants_is_left_to_him() -> None:
    pace = Pace(SPIN)
    pace.yielded(0, 250 * US)
    assert pace.look(250 * US, 250 * US)
    pace.yielded(0, 250 * US + 1)
    assert not pace.look(250 * US, 250 * US + 1)
    assert not pace.look(100 * MS, 100 * MS)
    assert pace.look(101 * MS, 101 * MS)


def test_rare_frames_do_not_wait() -> None:
    pace = Pace(SPIN)
    now = 0
    for _ in range(100):
        assert pace.gather(now, now + 10 * US, 1) == 0
        now += 10 * US
    assert pace.gather(now, now + 10 * US, 0) == 0


def test_many_frames_gather() -> None:
    """At 2 us each, 48 would take 96 us, which is too long; at 1 us they take 48."""
    for each, expected in ((2 * US, 50 * US), (1 * US, 48 * US)):
        pace = Pace(SPIN)
        now, waits = 0, []
        for _ in range(100):
            waits.append(pace.gather(now, now + 10 * each, 10))
            now += 10 * each
        assert waits[0] == 0
        assert expected <= waits[-1] <= expected + 48 * 3  # whole nanoseconds are lost on the way
    pace.slept(now, now + MS)
    assert pace.gather(now, now + 10 * US, 10) == 0  # after a sleep it begins anew


def test_frames_do_not_gather_on_a_core_that_somebody_else_wants() -> None:
    pace = Pace(SPIN)
    now = 0
    for _ in range(100):
        pace.gather(now, now + 10 * US, 10)
        now += 10 * US
    assert pace.gather(now, now + 10 * US, 10) > 0
    pace.yielded(now, now + MS)
    assert pace.gather(now + MS, now + MS + 10 * US, 10) == 0
