# SPDX-License-Identifier: Apache-2.0
"""A sandbox counts as gone only if that is certain, since its endpoints and their addresses are removed then."""

import errno
import os

import pytest

from fastpath.control.kernel import netns
from fastpath.control.model.objects import Sandbox
from fastpath.errors import RefusedError, UsageError
from tests.support.sandboxes import is_alive

OWN = Sandbox(path="/proc/self/ns/net", inode=os.stat("/proc/self/ns/net").st_ino)


def test_it_is_gone_where_its_path_names_nothing_or_something_else() -> None:
    assert is_alive(OWN)
    assert not is_alive(OWN.model_copy(update={"inode": OWN.inode + 1}))
    assert not is_alive(OWN.model_copy(update={"path": "/proc/self/ns/none"}))
    assert not is_alive(OWN.model_copy(update={"path": "/proc/self/ns/mnt"}))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES])
def test_it_is_not_gone_where_we_cannot_look(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(RefusedError, match="cannot open the network namespace"):
        is_alive(OWN)


def test_a_path_with_a_nul_is_refused() -> None:
    with pytest.raises(UsageError, match="is not a path"):
        netns.resolve("/run/netns/a\0b")
