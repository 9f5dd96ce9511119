# SPDX-License-Identifier: Apache-2.0
"""How the C files in src/ depend on each other: a file and its header are one module, and no module needs itself."""

import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).parents[3] / "src"
INCLUDE = re.compile(r'^#include "(\w+)\.h"$', re.MULTILINE)
DEFINITION = re.compile(r"^(?!static)[a-z][\w *]*?\b(fp_\w+)\([^;]*?\) \{$", re.MULTILINE)


def modules() -> dict[str, set[str]]:
    """The modules, and those that each includes."""
    found: dict[str, set[str]] = {}
    for path in sorted(SRC.glob("*.[ch]")):
        found.setdefault(path.stem, set()).update(set(INCLUDE.findall(path.read_text())) - {path.stem})
    return found


def definitions() -> Iterator[tuple[str, str]]:
    """(module, function) of every function that others may call."""
    for path in sorted(SRC.glob("*.c")):
        for name in DEFINITION.findall(path.read_text()):
            yield path.stem, name


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_module_includes_itself() -> None:
    graph = modules()
    assert len(graph) > 30
    assert circle(graph) == []


def test_a_circle_is_found() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def test_a_function_is_declared_by_the_header_of_its_own_file() -> None:
    """Else an include says nothing of what a file depends on."""
    found = list(definitions())
    assert ("count", "fp_drop") in found
    for module, name in found:
        header = SRC / f"{module}.h"
        if not re.search(rf"\b{name}\(", header.read_text() if header.exists() else ""):
            pytest.fail(f"{name} is defined in {module}.c, and not declared in {module}.h")
