# SPDX-License-Identifier: Apache-2.0
"""A tutorial, done as it says: files are written, commands typed, and what is shown is what comes."""

import fnmatch
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[3] / "docs" / "forwarding"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (\S+)\n")


class Block(NamedTuple):
    """A fenced block: its language and text."""

    kind: str
    text: str


def blocks(document: str, *, after: str = "", before: str = "") -> Iterator[Block]:
    """The blocks between two headings."""
    text = (DOCS / document).read_text()
    text = text[text.index(f"\n## {after}\n") if after else 0 : text.index(f"\n## {before}\n") if before else None]
    for match in BLOCK.finditer(text):
        yield Block(match[1], match[2])


class Typist:
    """Types what a document says, in a directory."""

    def __init__(self, where: Path) -> None:
        packages = str(where / "packages")  # so that nothing is installed into the environment of the tests
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, "PIP_TARGET": packages, "PYTHONPATH": packages}
        self.where = where
        self.typed = 0

    def do(self, found: Iterator[Block]) -> None:
        """All of these blocks. Text must be what the commands before it printed."""
        printed = ""
        for block in found:
            name = FILE.match(block.text)
            if block.kind == "sh":
                printed = self._type(block.text)
            elif block.kind == "text":
                assert self._alike(printed, block.text), f"printed:\n{printed}\nshown:\n{block.text}"
            elif name is not None:
                file = self.where / name[1]
                file.parent.mkdir(exist_ok=True)
                file.write_text(block.text)

    def _type(self, commands: str) -> str:
        done = subprocess.run(
            ["bash", "-e", "-c", commands],
            cwd=self.where,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        self.typed += 1
        return done.stdout

    @staticmethod
    def _alike(printed: str, shown: str) -> bool:
        """Line by line, but for blanks; … stands for anything, also for lines."""
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        pattern = "\n".join(line.strip() for line in shown.splitlines() if line.strip())
        pattern = re.sub(r"([\[?*])", r"[\1]", pattern).replace("…", "*")
        return fnmatch.fnmatchcase("\n".join(lines), pattern)
