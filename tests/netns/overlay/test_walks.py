# SPDX-License-Identifier: Apache-2.0
"""A command and a Docker call go through the functions that ARCHITECTURE.md lists, in that order."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import RootModel

from fastpath.control.api.unix_http import UnixClient
from tests.support.control import docker_lab
from tests.support.servers import site as sites
from tests.trace.walks import ROOT, first_missing, walk

# Nothing is looked at again by itself while a test runs.
SETTINGS = (
    'reconcile_interval = 3600.0\nprobe_interval = 3600.0\ndocker_plugin_dir = "{0}"\ndocker_socket = "{0}/none"\n'
)


class Traced:
    """A host whose daemon and commands write down what they enter."""

    def __init__(self, folder: Path, command: list[str], site: sites.Site) -> None:
        self.folder, self.command = folder, command
        self.daemon = site.daemons[0]
        self.container = site.containers[0].name

    def entered(self, play: Callable[[], object]) -> list[str]:
        """Play, and return what was entered meanwhile."""
        before = len(self._lines())
        play()
        return self._lines()[before:]

    def _lines(self) -> list[str]:
        return (self.folder / "entered").read_text().splitlines()

    def docker(self, method: str, body: dict[str, Any]) -> None:
        """Ask the plugin as Docker does."""
        plugin = UnixClient(self.folder / "fastpath.sock", who="the plugin", absent="no plugin")
        answer = plugin.call("POST", f"/NetworkDriver.{method}", RootModel[dict[str, Any]](body))
        assert not answer.get("Err"), answer


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    """One host, whose daemon is quiet but for what a test asks for."""
    command = [sys.executable, "-m", "tests.trace.calls", str(tmp_path / "entered")]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    settings = SETTINGS.format(tmp_path)
    with sites.site(1, tmp_path, settings=settings) as site:
        site.start(command)
        yield Traced(tmp_path, command, site)


def check(title: str, entered: list[str]) -> None:
    steps = walk(title)
    assert len(steps) > 8
    assert len(set(steps)) == len(steps)
    missing = first_missing(steps, entered)
    assert missing is None, f"{missing} was not entered, or not in this order; entered: {list(dict.fromkeys(entered))}"


def test_a_command_goes_the_way_that_the_map_shows(traced: Traced) -> None:
    traced.daemon.network("web", subnets=["10.9.0.0/24"])
    words = f"endpoint create web --sandbox {traced.container} --socket {traced.daemon.socket}"
    check("One command", traced.entered(lambda: traced.daemon.host.run(*traced.command, *words.split())))


def test_a_docker_call_goes_the_way_that_the_map_shows(traced: Traced) -> None:
    traced.docker("CreateNetwork", docker_lab.network(1, "10.9.0.0/24", "10.9.0.1/24"))

    def play() -> None:
        traced.docker("CreateEndpoint", docker_lab.endpoint(1, 7, "10.9.0.7/24"))
        traced.docker("Join", {**docker_lab.endpoint(1, 7), "SandboxKey": f"/run/netns/{traced.container}"})

    check("One Docker call", traced.entered(play))
