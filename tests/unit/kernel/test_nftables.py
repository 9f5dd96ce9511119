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
