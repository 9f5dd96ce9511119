# SPDX-License-Identifier: Apache-2.0
"""The modules that a start loads: heavy ones only when they are needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastpath
from fastpath.bench.scale.start import ALL, TAKE_OVER
from tests.support.control import fake_daemon as fake

HEAVY = {"aiohttp", "grpc", "numpy", "pydantic", "pyroute2", "rich"}


def loaded_by(code: str, *words: str, **environment: str) -> set[str]:
    """Return the heavy modules that are loaded after `code`, in a process of its own."""
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('loaded:', *sys.modules)", *words],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return HEAVY & set(shown.stdout.rpartition("loaded:")[2].split())


@pytest.mark.parametrize(
    "code",
    ["import fastpath", "from fastpath import Engine", "from fastpath import Engine, Segment, Port, LearningBridge"],
)
def test_an_engine_loads_nothing_heavy(code: str) -> None:
    assert loaded_by(code) == set()


@pytest.mark.parametrize("modules", [f"fastpath.control.cli.daemon, {TAKE_OVER}", ALL])
def test_a_daemon_loads_no_numpy(modules: str) -> None:
    assert "numpy" not in loaded_by(f"import {modules}")


@pytest.mark.parametrize("name", ["Burst", "Table", "Match"])
def test_what_needs_numpy_is_there_when_it_is_named(name: str) -> None:
    assert loaded_by(f"from fastpath import {name}") <= {"numpy"}
    assert loaded_by(f"import fastpath\nfastpath.{name}") <= {"numpy"}


def test_every_name_can_be_loaded() -> None:
    for name in fastpath.__all__:
        assert getattr(fastpath, name) is not None
    assert set(fastpath.__all__) < set(dir(fastpath))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Engines'"):
        getattr(fastpath, "Engines")  # noqa: B009  # mypy knows that it is not there


SHOWING = [
    "status",
    "peers",
    "network ls",
    "network inspect blue",
    "endpoint ls",
    "network rm blue",
    "endpoint rm 1f0c",
]


@pytest.mark.parametrize("words", ["--help", "network create --help", *SHOWING])
def test_commands_that_show_load_nothing_heavy(words: str, tmp_path: Path) -> None:
    code = "from fastpath.control.cli.__main__ import main\nmain(standalone_mode=False)"
    with fake.fake_daemon(tmp_path / "d.sock") as daemon:
        assert loaded_by(code, *words.split(), FASTPATH_SOCKET=str(daemon.path)) == set()
        assert bool(daemon.asked) == ("--help" not in words)
