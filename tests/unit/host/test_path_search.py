# SPDX-License-Identifier: Apache-2.0
"""The search for a path's MTU, over paths that are functions."""

from collections.abc import Callable

import pytest

from fastpath.control.host.path_search import RAISE, SMALL, TRIES, PathSearch

INTERVAL = 5.0


class Walk:
    """A search over a path, which answers whatever `passes` says. Time passes by steps of 0.1 s."""

    def __init__(self, ceiling: int = 1500, least: int = 576) -> None:
        self.search = PathSearch(ceiling, least)
        self.now = 100.0
        self.path: int | None = ceiling  # None: nothing passes
        self.sent: list[int] = []
        self.lost: Callable[[int], bool] = lambda _: False

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            for each in self.search.questions(self.now, INTERVAL):
                self.sent.append(each.size)
                if self.path is not None and each.size <= self.path and not self.lost(len(self.sent)):
                    assert self.search.answered(each.nonce)
            self.now += 0.1

    def settle(self) -> None:
        self.step()
        while self.search.busy:
            self.step()

    def pass_time(self, seconds: float) -> None:
        self.step(round(seconds * 10))


def test_a_path_as_configured_costs_one_full_packet_each_time() -> None:
    walk = Walk()
    walk.pass_time(4 * INTERVAL)
    assert walk.search.mtu == 1500
    assert walk.sent == [SMALL, 1500] * 4


@pytest.mark.parametrize("path", [1499, 1492, 1491, 1451, 1450, 1400, 1399, 1281, 1280, 1000, 700, 577, 576])
def test_a_smaller_path_is_found(path: int) -> None:
    walk = Walk()
    walk.path = path
    walk.settle()
    assert walk.search.mtu == path
    assert walk.now < 100 + 8  # seconds of the search's clock
    assert len(walk.sent) < 150


@pytest.mark.parametrize("path", [9000, 8999, 4352, 1500, 1400])
def test_jumbo_frames(path: int) -> None:
    walk = Walk(9000)
    walk.path = path
    walk.settle()
    assert walk.search.mtu == path


def test_what_fits_is_used_before_the_search_is_over() -> None:
    walk = Walk()
    walk.path = 1410
    while walk.search.mtu == 1500:
        walk.step()
    assert walk.search.mtu == 1400
    assert walk.search.busy
    assert walk.now < 100 + 2.6


def test_no_path_is_smaller_than_the_least() -> None:
    walk = Walk(least=1280)
    walk.path = 600
    walk.settle()
    assert walk.search.mtu == 1280


def test_a_silent_peer_says_nothing_about_sizes() -> None:
    walk = Walk()
    walk.path = None
    walk.pass_time(20 * INTERVAL)
    assert walk.search.mtu == 1500
    walk.path = 1400
    walk.pass_time(2 * INTERVAL)
    assert walk.search.mtu == 1400
    walk.path = None
    walk.pass_time(20 * INTERVAL)
    assert walk.search.mtu == 1400
    walk.path = 1500
    walk.pass_time((RAISE + 2) * INTERVAL)
    assert walk.search.mtu == 1500


def test_a_peer_that_falls_silent_within_a_search() -> None:
    walk = Walk()
    walk.path = 1415
    while walk.search.mtu == 1500:
        walk.step()
    walk.path = None
    walk.pass_time(4 * INTERVAL)
    assert walk.search.mtu == 1413  # of the round that was answered


@pytest.mark.parametrize("lost", [2, 3])
def test_a_loss_is_no_smaller_path(lost: int) -> None:
    walk = Walk()
    walk.lost = lambda number: number % lost == 0
    walk.pass_time(20 * INTERVAL)
    assert walk.search.mtu == 1500


def test_a_size_that_is_lost_for_a_whole_round_is_tried_again() -> None:
    walk = Walk()
    walk.path = 1499
    walk.step(3 * TRIES)
    walk.path = 1500
    walk.settle()
    assert walk.search.mtu == 1500


def test_the_path_grows() -> None:
    walk = Walk()
    walk.path = 1400
    walk.settle()
    for path in (1450, 1461, 1500):
        walk.path = path
        walk.pass_time((RAISE + 1) * INTERVAL)
        assert walk.search.mtu == path


def test_a_path_that_stays_small_costs_little() -> None:
    walk = Walk()
    walk.path = 1400
    walk.settle()
    walk.sent.clear()
    walk.pass_time(60 * INTERVAL)
    assert walk.search.mtu == 1400
    assert len(walk.sent) < 60 * 2 + 10 * 60


def test_a_hint_is_a_reason_to_look_and_no_more() -> None:
    walk = Walk()
    walk.pass_time(1)
    walk.sent.clear()
    walk.search.hint(552)
    walk.step(3)
    assert walk.sent == [SMALL, 1500]
    walk.search.hint(552)  # it stays what it was
    walk.step(3)
    assert walk.sent == [SMALL, 1500]
    assert walk.search.mtu == 1500
    walk.path = 1333
    walk.search.hint(1500)
    walk.search.hint(1333)
    walk.step(30)
    assert walk.search.mtu == 1333  # it is one of those that are tried first


def test_the_configuration_changes() -> None:
    walk = Walk()
    walk.search.limit(1400)
    assert walk.search.mtu == 1400
    walk.path = 1350
    walk.settle()
    assert walk.search.mtu == 1350
    walk.search.limit(9000)
    assert walk.search.mtu == 1350  # what is known stays known
    walk.path = 9000
    walk.settle()
    walk.settle()
    assert walk.search.mtu == 9000
    walk.search.limit(500)
    assert walk.search.mtu == 500


def test_an_answer_counts_once() -> None:
    walk = Walk()
    (small, full) = walk.search.questions(100.0, INTERVAL)
    assert not walk.search.answered(bytes(8))
    assert walk.search.answered(full.nonce)
    assert not walk.search.answered(full.nonce)
    assert not walk.search.answered(small.nonce)
