# SPDX-License-Identifier: Apache-2.0
"""Tables between two marks in a document: a command puts them there, so that they are the measured ones."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Marks:
    """The comments `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""

    name: str

    def place(self, document: str, table: str) -> str:
        """The document with the table between the marks."""
        begin, end = f"<!-- {self.name}: begin -->", f"<!-- {self.name}: end -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(document):
            raise SystemExit(f"the document lacks the marks {begin} and {end}")
        return pattern.sub(lambda _: f"{begin}\n{table}\n{end}", document)

    def command(self, table: str) -> None:
        """Put the table between the marks in the file that is named on the command line, or print it."""
        if len(sys.argv) > 1:
            file = Path(sys.argv[1])
            file.write_text(self.place(file.read_text(), table))
        else:
            print(table)
