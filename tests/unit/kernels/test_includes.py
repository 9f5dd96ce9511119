# SPDX-License-Identifier: Apache-2.0
"""How the C files in src/ depend on each other: a file and its header are one module, and no module needs itself.

Its folders stand on each other in one order.
"""

import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).parents[3] / "src"
INCLUDE = re.compile(r'^#include "([\w/]+)\.(?:h|def)"$', re.MULTILINE)
# From the top: a folder includes only from itself and from those below it.
FOLDERS = ("bpf", "pcap", "path", "forward", "io", "monitor", "tables", "security", "packet", "counters")
DEFINITION = re.compile(r"^(?!static)[a-z][\w *]*?\b(fp_\w+)\([^;]*?\) \{$", re.MULTILINE)


def module(path: Path) -> str:
    """A file of src/ as others include it, without its suffix."""
    return path.relative_to(SRC).with_suffix("").as_posix()


def modules() -> dict[str, set[str]]:
    """The modules, and those that each includes."""
    found: dict[str, set[str]] = {}
    for path in sorted(SRC.rglob("*.[ch]")):
        name = module(path)
        found.setdefault(name, set()).update(set(INCLUDE.findall(path.read_text())) - {name})
    return found


def above(graph: dict[str, set[str]]) -> list[str]:
    """The includes of a folder that stands above the including one."""
    places = {folder: place for place, folder in enumerate(FOLDERS)}
    return [
        f"{name} includes {other}"
        for name, others in graph.items()
        for other in others
        if places[other.split("/")[0]] < places[name.split("/")[0]]
    ]


def definitions() -> Iterator[tuple[str, str]]:
    """(module, function) of every function that others may call."""
    for path in sorted(SRC.rglob("*.c")):
        if path.parent.name == "bpf":  # programs: the kernel calls them
            continue
        for name in DEFINITION.findall(path.read_text()):
            yield module(path), name


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


def test_folders_include_only_those_below() -> None:
    assert {path.parent.relative_to(SRC).as_posix() for path in SRC.rglob("*.[ch]")} == set(FOLDERS)
    assert above(modules()) == []


def test_an_include_from_above_is_found() -> None:
    assert above({"packet/flow": {"packet/wire", "tables/fdb"}}) == ["packet/flow includes tables/fdb"]


def test_a_function_is_declared_by_the_header_of_its_own_file() -> None:
    """Else an include says nothing of what a file depends on."""
    found = list(definitions())
    assert ("monitor/count", "fp_drop") in found
    for there, name in found:
        header = SRC / f"{there}.h"
        if not re.search(rf"\b{name}\(", header.read_text() if header.exists() else ""):
            pytest.fail(f"{name} is defined in {there}.c, and not declared in {there}.h")
