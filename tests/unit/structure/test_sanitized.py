# SPDX-License-Identifier: Apache-2.0
"""The tests that run with sanitizers reach every compiled module, and every C file of src/, by what they import.

Imports are cheap to follow. Which lines run was measured once, with gcov and without slow tests: 93 % of the 2,885 in
C files. The rest is mostly error paths, TAPs (which take root), and what only compiled forwarders call (compiled.c).
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import fastpath
from tests.suite.phases import OF_C
from tests.unit.kernels import test_includes
from tests.unit.structure import test_layers

ROOT = Path(__file__).parents[3]
PACKAGE = Path(fastpath.__file__).parent
# Forwarders in Cython load the first, which the tests have to compile; the second loads programs, which takes root.
NOT_REACHED = {"forwarder.native", "kernelpath.programs"}
HEADER = re.compile(r'^cdef extern from "([\w/]+)\.h"', re.MULTILINE)


def imported(path: Path) -> Iterator[str]:
    """Yield what a Python file imports: modules, and names of modules that may be modules themselves."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of_tests() -> set[Path]:
    """The tests, and the helpers that they import."""
    found: set[Path] = set()
    left = [path for folder in OF_C for path in (ROOT / folder).rglob("*.py")]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            names = (name for name in imported(path) if name.startswith("tests."))
            files = (ROOT / f"{name.replace('.', '/')}.py" for name in names)
            left += [file for file in files if file.exists()]
    return found


def reached(graph: Mapping[str, Iterable[str]], begin: Iterable[str]) -> set[str]:
    """The nodes of a graph that one comes to."""
    found: set[str] = set()
    left = list(begin)
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += graph.get(node, ())
    return found


@cache
def modules() -> set[str]:
    """The modules of fastpath that the tests load, without "fastpath." in front."""
    names = {name.removeprefix("fastpath.") for path in files_of_tests() for name in imported(path)}
    begin = {fastpath._MODULES.get(name, name).removeprefix("fastpath.") for name in names}
    return reached(test_layers.modules(), begin)


def test_every_compiled_module_is_reached() -> None:
    compiled = {".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.pyx")}
    assert "engine.workers.worker" in compiled
    assert {name for name in compiled if not name.startswith("bench.")} - modules() == NOT_REACHED


def test_every_c_file_is_reached() -> None:
    declarations = [PACKAGE / f"{name.replace('.', '/')}.pxd" for name in modules() if name.startswith("kernels.")]
    headers = {header for path in declarations if path.exists() for header in HEADER.findall(path.read_text())}
    files = {test_includes.module(path) for path in test_includes.SRC.rglob("*.c")} - {"bpf/kernel_path"}
    assert "packet/flow" in files
    assert files <= reached(test_includes.modules(), headers)


def test_what_is_not_imported_is_not_reached() -> None:
    assert reached({"a": {"b"}, "b": {"c"}, "d": {"a"}}, ["a"]) == {"a", "b", "c"}
