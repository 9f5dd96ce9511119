# SPDX-License-Identifier: Apache-2.0
"""How several processes share the tests (pytest-xdist)."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

# Files whose tests have names that are there only once, or of which only some may run at a time: one process runs all
# of a group. There are two groups with Docker, so that not more than two pairs of dockerds run at a time, and the files
# of each share theirs; and one with numba, which takes long to import, and compiles what several of its tests use once
# in a process. A file that has fixtures of a module is a group of its own, so that they are made once.
GROUPS = {
    "tests/system/install/test_demos.py": "demos",
    "tests/system/docker/test_docker.py": "docker",
    "tests/system/docker/test_docker_names.py": "docker",
    "tests/system/docker/test_docker_macvlan.py": "docker again",
    "tests/system/docker/test_docker_restart.py": "docker again",
    "tests/unit/examples/test_bridge.py": "numba",
    "tests/unit/forwarders/test_compiled.py": "numba",
    "tests/unit/forwarders/test_forms.py": "numba",
}
ROOT = Path(__file__).parents[1]


@cache
def group(file: str) -> str | None:
    """The group of a file; None: its tests may run in several processes."""
    if file in GROUPS:
        return GROUPS[file]
    path = ROOT / file
    return file if path.exists() and 'fixture(scope="module"' in path.read_text() else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process is left with it at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give each test to the next process that is free, and a group to one."""
    config.option.loadscopereorder = False  # else large groups begin before what takes long
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415  # not where xdist is switched off

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid.partition("::")[0]) or nodeid

    return ByGroup(config, log)
