# SPDX-License-Identifier: Apache-2.0
"""Two hosts with a real dockerd each, for all tests here that want the same: it takes seconds of CPU time to make them.

A test after which not all can be removed, or not all is well, takes them along: the next one gets others.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.servers.docker_site import DockerSite, docker_site
from tests.support.servers.site import SETTINGS


class Machines:
    """One site at a time."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._stack = ExitStack()
        self._kind: tuple[str, ...] = ()
        self._made: DockerSite | None = None

    @contextmanager
    def borrow(self, *arguments: str, settings: str = SETTINGS, keep: bool = True) -> Iterator[DockerSite]:
        """The site whose dockerds have these arguments, and whose daemons have these settings. All that was made on it
        has to be removable in the end, and all daemons well; unless nobody is to have it afterwards."""
        kind = (settings, *arguments)
        if self._made is None or kind != self._kind:
            self.close()
            folder: Path = self._factory.mktemp("docker")
            self._made, self._kind = self._stack.enter_context(docker_site(folder, *arguments, settings=settings)), kind
        try:
            yield self._made
            if keep:
                self._made.clear()
                self._made.site.settle()
            else:
                self.close()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the site, if there is one."""
        self._made = None
        self._stack.close()


@pytest.fixture(scope="package")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    made = Machines(tmp_path_factory)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def two(machines: Machines) -> Iterator[DockerSite]:
    with machines.borrow() as made:
        yield made
