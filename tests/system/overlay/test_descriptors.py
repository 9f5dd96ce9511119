# SPDX-License-Identifier: Apache-2.0
"""A host at its limit of open files refuses the next endpoint, and goes on with the others."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpath.control.model.objects import Endpoint
from fastpath.errors import FastpathError
from tests.support.hosts.hosts import wait_for
from tests.support.servers.site import SETTINGS, Site, site

FASTPATH = (sys.executable, "-m", "fastpath")


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Site]:
    with site(1, tmp_path, settings=SETTINGS + "workers = 1\n") as made:
        yield made


def limited(soft: int, hard: int) -> tuple[str, ...]:
    return ("prlimit", f"--nofile={soft}:{hard}", *FASTPATH)


def fill(one: Site, made: list[Endpoint]) -> None:
    """Make endpoints until one is refused."""
    while len(made) < 200:
        made.append(one.daemons[0].join(one.lab.add(f"e{len(made)}"), "web"))


def test_the_soft_limit_is_raised_to_the_hard_one(one: Site) -> None:
    one.start(limited(100, 4000))
    assert one.daemons[0].process is not None
    limits = Path(f"/proc/{one.daemons[0].process.pid}/limits").read_text()
    assert re.search(r"Max open files +4000 +4000 ", limits)


def test_the_next_endpoint_is_refused(one: Site) -> None:
    h1 = one.daemons[0]
    one.start(limited(220, 220))
    h1.network("web", internal=True)
    made: list[Endpoint] = []
    with pytest.raises(FastpathError, match=r"no descriptor is left for another endpoint: \d+ of at most 220 files"):
        fill(one, made)
    assert len(made) >= 2
    wait_for(
        lambda: {e.id for e in h1.client.endpoints() if e.state == "ready"} == {e.id for e in made}, "all are ready"
    )
    h1.client.remove_endpoint(made.pop().id)
    h1.join(one.lab.add("more"), "web")  # there is room again


def test_a_daemon_that_starts_with_too_few_goes_on(one: Site) -> None:
    """What does not fit is told; the API and the store are not lost."""
    h1 = one.daemons[0]
    one.start(limited(4000, 4000))
    h1.network("web", internal=True)
    made = [h1.join(one.lab.add(f"e{number}"), "web") for number in range(30)]
    assert h1.stop() == 0
    h1.start(limited(150, 150))
    words = ("no descriptor is left", "Too many open files")
    h1.wait(lambda status: any(word in why for why in status.problems for word in words), "it is told")
    assert {e.id for e in h1.client.endpoints()} == {e.id for e in made}
    assert h1.stop() == 0
    h1.start(limited(4000, 4000))
    h1.healthy()


def test_errors_are_understood(one: Site) -> None:
    """A limit below what the daemon itself needs is one line."""
    one.daemons[0].launch(limited(16, 16))
    process = one.daemons[0].process
    assert process is not None
    assert process.wait(60) != 0
    one.daemons[0].process = None
    lines = one.daemons[0].log.read_text().splitlines()
    assert any("open files" in line for line in lines), lines
