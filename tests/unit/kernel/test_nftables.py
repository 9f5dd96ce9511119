# SPDX-License-Identifier: Apache-2.0
"""A program that hangs does not block the thread that changes the kernel."""

from pathlib import Path

import pytest

from fastpath.control.kernel import nftables
from fastpath.errors import RefusedError


def test_nft_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nft"
    program.write_text("#!/bin/bash\nexec sleep 3600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(nftables, "PATIENCE_S", 0.2)
    with pytest.raises(RefusedError, match="nft did not take the rules"):
        nftables.replace("inet fastpath_test", "")


def test_what_packets_add_does_not_last() -> None:
    """nft 1.0.6 does not tell that a set is dynamic."""
    own: dict[str, object] = {"set": {"name": "peers", "handle": 3, "elem": ["192.0.2.2", {"concat": ["lo", "::1"]}]}}
    added = {"elem": {"val": "192.0.2.3", "ct count": {"val": 10, "inv": True}}}
    assert nftables.lasting(own) == {"set": {"name": "peers", "elem": ["192.0.2.2", {"concat": ["lo", "::1"]}]}}
    assert nftables.lasting({"set": {"name": "met", "size": 9, "elem": [added]}}) == {"set": {"name": "met", "size": 9}}
    rule = {"expr": [{"set": {"op": "add", "elem": {"payload": 1}, "set": "@met"}}]}
    assert nftables.lasting(rule) == rule
