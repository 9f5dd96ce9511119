# SPDX-License-Identifier: Apache-2.0
"""What the tests start by forking is what a real start makes: otherwise all other tests with daemons show little."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpath.errors import RefusedError
from tests.support.hosts.hosts import FASTPATH, wait_for
from tests.support.launch.process import Process, run, spent
from tests.support.servers.site import HostDaemon, Site, site

ALIKE = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
SIGNALS = ("SigBlk", "SigIgn", "SigCgt")


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Site]:
    with site(1, tmp_path) as made:
        yield made


def looks(daemon: HostDaemon) -> dict[str, object]:
    """What distinguishes processes: rights, signals, namespaces, folders, open files and sockets."""
    daemon.healthy()
    assert daemon.process is not None
    proc = Path(f"/proc/{daemon.process.pid}")
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
    files = []
    for fd in (proc / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            files.append(os.readlink(fd))
    return {
        "status": {key: status[key] for key in (*ALIKE, *SIGNALS)},
        "namespaces": {name.name: os.readlink(name) for name in (proc / "ns").iterdir()},
        "folder": os.readlink(proc / "cwd"),
        "standard": [os.readlink(proc / "fd" / str(number)) for number in range(3)],
        # Sockets come and go with who asks, and files with what is done.
        "kernel objects": sorted(file for file in files if file.startswith("anon_inode:")),
        "group": os.getpgid(daemon.process.pid),
    }


def test_a_forked_daemon_is_as_a_real_one(one: Site) -> None:
    [daemon] = one.daemons
    daemon.start(FASTPATH)
    real = looks(daemon)
    assert daemon.stop() == 0
    daemon.start()
    assert looks(daemon) == real
    assert daemon.stop() == 0


def test_how_it_ends_is_told(one: Site) -> None:
    [host] = one.lab.hosts
    assert host.fastpath("--version").stdout.startswith("fastpath ")
    with pytest.raises(RefusedError, match="no fastpath device named vx9 runs here"):
        host.fastpath("stats", "vx9")
    refused = host.fastpath("nonsense", check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nonsense" in refused.stderr

    before = spent()
    [daemon] = one.daemons
    daemon.start()
    assert daemon.process is not None
    assert daemon.process.poll() is None
    assert daemon.process.pid in host.pids()
    daemon.process.kill()
    assert daemon.process.wait(30) == daemon.process.returncode == -signal.SIGKILL
    assert spent() > before
    daemon.process.terminate()  # it is gone: nobody gets this


def test_a_pipe_that_nobody_reads_any_more_is_no_traceback() -> None:
    process = Process("--help")
    assert process.stdout is not None
    process.stdout.close()
    _, error = process.communicate(30)
    assert "Traceback" not in error


def test_the_environment_is_that_of_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run("--version")  # the server runs
    monkeypatch.setenv("FASTPATH_SOCKET", str(tmp_path / "here"))
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / "here") in run("status").stderr
    (tmp_path / "bad.toml").write_text("vtep = ")
    assert "bad.toml" in run("daemon", "--config", "bad.toml").stderr
    wait_for(lambda: not list(tmp_path.glob("state*")), "nothing was made")
