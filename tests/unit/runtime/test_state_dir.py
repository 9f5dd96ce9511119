# SPDX-License-Identifier: Apache-2.0
"""Files that outlive a power cut, and modes that no other thread's umask changes."""

import os
import stat
from pathlib import Path
from unittest import mock

import pytest

from fastpath.control.api.unix_socket import listen
from fastpath.control.docker.state import DockerState
from fastpath.control.runtime import durable
from fastpath.control.runtime.state_dir import StateDir


def kinds_synced(sync: mock.Mock) -> list[str]:
    return ["directory" if stat.S_ISDIR(mode) else "file" for mode in sync.modes]


@pytest.fixture
def sync(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """Notes what is synced."""
    made = mock.Mock(modes=[])
    real = os.fsync

    def noted(fd: int) -> None:
        made.modes.append(os.fstat(fd).st_mode)
        real(fd)

    monkeypatch.setattr(os, "fsync", noted)
    return made


def test_the_host_id_is_there_after_a_power_cut(tmp_path: Path, sync: mock.Mock) -> None:
    with StateDir(tmp_path / "state") as state:
        first = state.host_id
    assert kinds_synced(sync) == ["file", "directory"]
    assert stat.S_IMODE((tmp_path / "state" / "host-id").stat().st_mode) == 0o600
    with StateDir(tmp_path / "state") as state:
        assert state.host_id == first


def test_so_are_dockers_networks(tmp_path: Path, sync: mock.Mock) -> None:
    state = DockerState(tmp_path / "docker.json")
    state.struck_off("web")
    assert kinds_synced(sync) == ["file", "directory"]


def test_a_file_has_its_mode_whatever_was_left(tmp_path: Path) -> None:
    left = tmp_path / "x.new"
    left.write_text("half")
    left.chmod(0o644)
    durable.write(tmp_path / "x", b"whole")
    assert (tmp_path / "x").read_bytes() == b"whole"
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
    assert not left.exists()


def test_a_socket_has_its_mode_without_a_umask(tmp_path: Path) -> None:
    """The umask is that of all threads."""
    with mock.patch.object(os, "umask", side_effect=AssertionError("another thread makes a file just now")):
        made = [listen(tmp_path / str(number)) for number in range(3)]
    for number, sock in enumerate(made):
        assert stat.S_IMODE((tmp_path / str(number)).stat().st_mode) == 0o600
        sock.close()
