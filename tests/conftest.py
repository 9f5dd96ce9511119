# SPDX-License-Identifier: Apache-2.0
"""How several processes share the tests (pytest-xdist)."""

from typing import Any

import pytest

# Files whose tests share what runs, or have names that are there only once: one process runs all of a group. There are
# two groups with Docker, so that not more than two pairs of dockerds run at a time.
GROUPS = {
    "tests/system/install/test_demos.py": "demos",
    "tests/system/docker/test_docker.py": "docker",
    "tests/system/docker/test_docker_names.py": "docker",
    "tests/system/docker/test_docker_macvlan.py": "docker again",
    "tests/system/docker/test_docker_restart.py": "docker again",
    "tests/system/macvlan/test_macvlan_errors.py": "macvlan errors",
    "tests/system/overlay/test_overlay_errors.py": "overlay errors",
    "tests/system/install/test_package.py": "package",
    "tests/system/store/test_store_etcd_access.py": "etcd access",
    "tests/unit/forwarders/test_cython.py": "cython",
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process is left with it at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give each test to the next process that is free, and a group to one."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415  # not where xdist is switched off

    class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
        def _split_scope(self, nodeid: str) -> str:
            return GROUPS.get(nodeid.partition("::")[0], nodeid)

    return ByGroup(config, log)
