# SPDX-License-Identifier: Apache-2.0
"""The daemon's socket replaces that of a killed daemon, and nothing else."""

import socket
import stat
from pathlib import Path

import pytest

from fastpath.control.api.unix_socket import listening_socket
from fastpath.errors import ConflictError, RefusedError


def test_a_dead_daemons_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening_socket(path):
        assert path.is_socket()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_one_that_answers_is_not(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with (
        listening_socket(path),
        pytest.raises(ConflictError, match="another process listens on"),
        listening_socket(path),
    ):
        pass


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("important")
    with pytest.raises(RefusedError, match=r"notes\.txt exists and is not a socket"), listening_socket(path):
        pass
    assert path.read_text() == "important"


def test_nor_is_a_link(tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="exists and is not a socket"), listening_socket(path):
        pass
    assert path.is_symlink()
