# SPDX-License-Identifier: Apache-2.0
"""The daemon's socket takes the place of a dead one, and of nothing else."""

import socket
import stat
from pathlib import Path

import pytest

from fastpath.control.unix_socket import listening_socket
from fastpath.errors import ConflictError, RefusedError


def test_one_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening_socket(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(ConflictError, match="somebody listens"), listening_socket(path):
            pass
    assert not path.exists()


def test_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(RefusedError, match="is not a socket"), listening_socket(path):
        pass
    assert path.read_text() == "data"
