# SPDX-License-Identifier: Apache-2.0
"""Tables of kept runs in the documents. They stand between two marks, so that a command can renew them."""

import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from fastpath.bench.common.results import KEPT

R = TypeVar("R")
WIDTH = 100


def paragraph(text: str) -> str:
    """Return text in lines that can be read in a diff."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


@dataclass(frozen=True)
class Marks:
    """The comments `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""

    name: str

    def place(self, document: str, table: str) -> str:
        """Return the document with the table between the marks."""
        begin, end = f"<!-- {self.name}: begin -->", f"<!-- {self.name}: end -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(document):
            raise SystemExit(f"the document lacks the marks {begin} and {end}")
        return pattern.sub(lambda _: f"{begin}\n{table}\n{end}", document)


@dataclass(frozen=True)
class KeptTable(Generic[R]):
    """The table of one kept run: its marks, its file in bench/results, and how it is read and rendered."""

    marks: str
    file: str
    read: Callable[[Path], R]
    render: Callable[[R], str]

    def markdown(self) -> str:
        """Return the table as Markdown."""
        return self.render(self.read(KEPT / self.file))

    def refresh(self, document: str) -> str:
        """Return the document with the table of the kept run."""
        return Marks(self.marks).place(document, self.markdown())

    def command(self) -> None:
        """Renew the table in the document that is named on the command line; without one, print the table."""
        if len(sys.argv) > 1:
            file = Path(sys.argv[1])
            file.write_text(self.refresh(file.read_text()))
        else:
            print(self.markdown())
