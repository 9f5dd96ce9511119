# SPDX-License-Identifier: Apache-2.0
"""docs/forwarding/forwarders.md up to where it needs root."""

import shutil
from pathlib import Path

import pytest

from tests.support.engine.tutorial import DOCS, Typist, blocks

pytestmark = pytest.mark.compiler


def test_the_tutorial_without_root(tmp_path: Path) -> None:
    typist = Typist(tmp_path)
    typist.do(blocks("forwarders.md", before="Live"))
    assert typist.typed == 6
    picture = (tmp_path / "where.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert (DOCS / "forwarders.png").read_bytes().startswith(b"\x89PNG")
    shutil.rmtree(tmp_path)
