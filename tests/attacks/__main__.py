# SPDX-License-Identifier: Apache-2.0
"""List the attacks that are programs: python -m tests.attacks."""

import ast
from pathlib import Path


def programs() -> dict[str, str]:
    """The first sentence about each, by name."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        text = path.read_text()
        if "__main__" in text:
            about = " ".join((ast.get_docstring(ast.parse(text)) or "").split())
            found[path.stem] = about.partition(". ")[0].partition(": `")[0].removesuffix(".")
    return found


if __name__ == "__main__":
    for name, sentence in programs().items():
        print(f"{name:21} {sentence}")
    print("\nEach tells its arguments: python -m tests.attacks.NAME --help")
