# SPDX-License-Identifier: Apache-2.0
"""Docker's chain, and iptables that may not change it."""

from pathlib import Path
from unittest import mock

import pytest

from fastpath.control.drivers.gateway import others
from fastpath.control.drivers.gateway.way import Way

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
        texts = [problem.text for problem in others.ensure("fp-gwbridge", WAY)]
        assert any("may not change Docker's chain" in text and "CAP_NET_RAW" in text for text in texts)
        others.remove("fp-gwbridge")


def test_comments_of_others_may_be_no_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = tmp_path / "called"
    rule = r"-A DOCKER-USER -m comment --comment \377 -j DROP\n"
    program(tmp_path, f"case $2 in -S) printf -- '{rule}';; *) echo $2 >> {called};; esac")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with mock.patch.object(others, "_chains", return_value=dict(DOCKER)):
        others.ensure("fp-gwbridge", WAY)
    assert called.read_text().split() == ["-I", "-I"]
