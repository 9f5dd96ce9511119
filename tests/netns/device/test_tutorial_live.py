# SPDX-License-Identifier: Apache-2.0
"""docs/forwarding/forwarders.md, the part that needs root."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine.tutorial import Typist, blocks


@pytest.fixture
def no_namespaces() -> Iterator[None]:
    """What the tutorial makes is removed by itself; after a failure, here."""
    yield
    for name in ("tutorial1", "tutorial2"):
        found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
        for pid in found.stdout.split():
            subprocess.run(["kill", "-9", pid], check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@pytest.mark.usefixtures("no_namespaces")
def test_the_tutorial_live(tmp_path: Path) -> None:
    typist = Typist(tmp_path)
    files = (block for block in blocks("forwarders.md", before="Live") if block.kind not in ("sh", "text"))
    typist.do(files)
    commands = [block for block in blocks("forwarders.md", before="Live") if block.kind == "sh"]
    typist.do(block for block in commands if "make_lan.py" in block.text or "pip install" in block.text)
    typist.do(blocks("forwarders.md", after="Live"))
    assert typist.typed == 2 + 4
