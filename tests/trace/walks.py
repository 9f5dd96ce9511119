# SPDX-License-Identifier: Apache-2.0
"""The walks of ARCHITECTURE.md: numbered lists that name functions as `path/file.py: Class.function`."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "ARCHITECTURE.md"
STEP = re.compile(r"`((?:src|fastpath|control)/[\w./]+: [\w.]+)`")


def walks(document: str) -> dict[str, list[str]]:
    """Return the functions that each section names, by its heading."""
    sections = re.split(r"^## (.+)$", document, flags=re.MULTILINE)[1:]
    return {title: STEP.findall(text) for title, text in zip(sections[::2], sections[1::2], strict=True)}


def walk(title: str) -> list[str]:
    """Return the functions of one section of ARCHITECTURE.md."""
    return walks(DOCUMENT.read_text())[title]


def first_missing(wanted: Sequence[str], entered: Iterable[str]) -> str | None:
    """Return the first wanted function that was not entered after those before it; None where all were."""
    left = iter(entered)
    return next((step for step in wanted if step not in left), None)
