# SPDX-License-Identifier: Apache-2.0
"""Docker's chain, and iptables that may not change it."""

from pathlib import Path
from unittest import mock

import pytest

from fastpath.control.drivers.gateway import others
from fastpath.control.drivers.gateway.others import Others
from fastpath.control.drivers.gateway.way import Way
from fastpath.errors import RefusedError

LEGACY = "iptables v1.8.9 (legacy): can't initialize iptables table `filter': Permission denied (you must be root)"
DOCKER = {("ip", "filter", others.DOCKERS): None}
WAY = Way(("eth0",), (), 1500)


def program(folder: Path, body: str) -> None:
    file = folder / "iptables"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def test_one_without_permission_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, f'echo "{LEGACY.replace("`", "")}" >&2; exit 3')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with mock.patch.object(others, "_chains", return_value=dict(DOCKER)):
        texts = [problem.text for problem in Others("fp-gwbridge").ensure(WAY)]
        assert any("may not change Docker's chain" in text and "CAP_NET_RAW" in text for text in texts)
        Others("fp-gwbridge").remove()


def test_comments_of_others_may_be_no_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = tmp_path / "called"
    rule = r"-A DOCKER-USER -m comment --comment \377 -j DROP\n"
    program(tmp_path, f"case $2 in -S) printf -- '{rule}';; *) echo $2 >> {called};; esac")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with mock.patch.object(others, "_chains", return_value=dict(DOCKER)):
        Others("fp-gwbridge").ensure(WAY)
    assert called.read_text().split() == ["-I", "-I"]


class RuleSet:
    """The chains of a host, and how often somebody listed them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number: int | None = 1
        self.chains: dict[tuple[str, str, str], str | None] = {}
        self.listed = 0
        monkeypatch.setattr(others, "known_generation", lambda: self.number)
        monkeypatch.setattr(others, "_chains", self._list)
        monkeypatch.setattr(others._Family, "has_legacy", lambda _: False)

    def _list(self) -> dict[tuple[str, str, str], str | None]:
        self.listed += 1
        return self.chains


def looks(rules: RuleSet, known: Others, way: Way = WAY) -> int:
    """How often the rules are listed for this."""
    before = rules.listed
    known.ensure(way)
    return rules.listed - before


def test_the_rules_are_listed_after_a_change_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rules, known = RuleSet(monkeypatch), Others("fp-gwbridge")
    assert [looks(rules, known), looks(rules, known)] == [1, 0]
    rules.number = 2
    assert [looks(rules, known), looks(rules, known)] == [1, 0]
    other = Way(("eth1",), (), 1500)
    assert [looks(rules, known, other), looks(rules, known, other)] == [1, 0]
    known.remove()
    assert [looks(rules, known), looks(rules, known)] == [1, 0]
    rules.number = None  # the kernel does not tell
    assert [looks(rules, known), looks(rules, known)] == [1, 1]


def test_what_is_left_to_do_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as iptables fails, or is missing: to install it changes no rule."""
    rules, known = RuleSet(monkeypatch), Others("fp-gwbridge")
    rules.chains = dict(DOCKER)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [looks(rules, known), looks(rules, known)] == [1, 1]
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program(tmp_path, "case $2 in -S) ;; *) exit 1;; esac")
    (tmp_path / "iptables").rename(tmp_path / "iptables-nft")
    assert [looks(rules, known), looks(rules, known)] == [1, 1]
    program(tmp_path, "exit 0")
    (tmp_path / "iptables").rename(tmp_path / "iptables-nft")
    assert [looks(rules, known), looks(rules, known)] == [1, 0]


def test_rules_that_cannot_be_listed_are_listed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rules, known = RuleSet(monkeypatch), Others("fp-gwbridge")
    with mock.patch.object(others, "_chains", side_effect=RefusedError("no answer")) as listing:
        assert known.ensure(WAY) == known.ensure(WAY) == []
        assert listing.call_count == 2
    assert [looks(rules, known), looks(rules, known)] == [1, 0]
