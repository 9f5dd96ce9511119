# SPDX-License-Identifier: Apache-2.0
"""When the table of a network's endpoints is written: where it differs, and not all the time where it cannot be."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from fastpath.control.drivers.overlay import sender_table
from fastpath.control.drivers.overlay.sender_rules import TABLE
from fastpath.control.drivers.overlay.sender_table import RETRY_S, SenderTable
from fastpath.control.kernel import nftables
from fastpath.errors import RefusedError
from tests.unit.host.test_host_state import endpoint

T = TypeVar("T")


class Here:
    """A visit to nowhere."""

    def run(self, function: Callable[[], T]) -> T:
        return function()


class Nft:
    """Counts, as the kernel does, and keeps what it was told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number, self.refusal = 1, ""
        self.said: list[str] = []
        monkeypatch.setattr(sender_table, "known_generation", lambda: self.number)
        for name in ("run", "replace", "delete"):
            monkeypatch.setattr(nftables, name, self._told(name))

    def _told(self, name: str) -> Callable[..., None]:
        def tell(*_: str) -> None:
            self.said.append(name)
            if self.refusal:
                raise RefusedError(self.refusal)
            self.number += 1

        return tell

    def heard(self) -> list[str]:
        said, self.said = self.said, []
        return said


@pytest.fixture
def nft(monkeypatch: pytest.MonkeyPatch) -> Nft:
    return Nft(monkeypatch)


HERE: Any = Here()


def test_it_is_written_where_it_differs(nft: Nft) -> None:
    table, one, both = SenderTable(), [endpoint(1)], [endpoint(1), endpoint(2)]
    table.ensure(HERE, None)
    assert nft.heard() == []  # nobody made a table yet
    table.ensure(HERE, one)
    assert nft.heard() == ["replace"]
    table.ensure(HERE, one)
    assert nft.heard() == []
    table.ensure(HERE, both)
    assert nft.heard() == ["run"]
    nft.number += 1  # somebody changed something
    table.ensure(HERE, both)
    assert nft.heard() == ["replace"]
    table.ensure(HERE, None)
    table.ensure(HERE, None)
    assert nft.heard() == ["delete"]


def test_a_change_of_somebody_else_at_the_same_time_is_not_missed(nft: Nft, monkeypatch: pytest.MonkeyPatch) -> None:
    table = SenderTable()
    write = sender_table._write

    def meanwhile(*senders: Any) -> None:
        write(*senders)
        nft.number += 1

    with monkeypatch.context() as patch:
        patch.setattr(sender_table, "_write", meanwhile)
        table.ensure(HERE, [endpoint(1)])
    table.ensure(HERE, [endpoint(1)])
    table.ensure(HERE, [endpoint(1)])
    assert nft.heard() == ["replace", "replace"]


def test_what_is_refused_is_tried_again_later(nft: Nft) -> None:
    now = 0.0
    table = SenderTable(lambda: now)
    nft.refusal = f"nft refused the rules of {TABLE}: Operation not supported"
    for _ in range(3):
        with pytest.raises(RefusedError, match="not supported"):
            table.ensure(HERE, [endpoint(1)])
    assert nft.heard() == ["replace"]
    now += RETRY_S
    nft.refusal = ""
    table.ensure(HERE, [endpoint(1)])
    assert nft.heard() == ["replace"]
