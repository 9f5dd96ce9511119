# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests that make network namespaces. They need root, and skip with the reason without."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hosts import hosts


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root none of these tests can run."""
    if os.geteuid() != 0:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="needs root to make network namespaces: sudo ./run test"))


def _lab(number: int) -> Iterator[hosts.Lab]:
    lab = hosts.Lab(number)
    try:
        yield lab
    finally:
        lab.close()


@pytest.fixture
def two() -> Iterator[hosts.Lab]:
    """Two hosts with a container each."""
    yield from _lab(2)


@pytest.fixture
def three() -> Iterator[hosts.Lab]:
    """Three hosts with a container each."""
    yield from _lab(3)


@pytest.fixture
def pair(two: hosts.Lab) -> hosts.Lab:
    """A device on each host, for its container; neither has to ask for the other any more."""
    for number, (host, container) in enumerate(zip(two.hosts, two.containers, strict=True), 1):
        words = f"vxlan add vx0 id 42 local 192.0.2.{number} remote 192.0.2.{3 - number} netns {container.name} -d"
        host.fastpath(*words.split())
        container.address(f"10.9.0.{number}/24")
    two.containers[0].run("ping", "-q", "-c1", "-W30", "10.9.0.2")
    return two
