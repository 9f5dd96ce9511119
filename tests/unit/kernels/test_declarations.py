# SPDX-License-Identifier: Apache-2.0
"""What fastpath/kernels declares for Cython is in the headers that it names, and something uses it."""

import re
from collections.abc import Iterator
from pathlib import Path

import fastpath
import fastpath.bench

ROOT = Path(fastpath.__file__).parent
SRC = Path(__file__).parents[3] / "src"
DECLARATIONS = sorted((ROOT / "kernels").rglob("*.pxd"))
BLOCK = re.compile(r'^cdef extern from "([\w/]+\.h)" nogil:\n((?:    .*\n|\n)+)', re.MULTILINE)
FUNCTION = re.compile(r'^    [\w ]+?[ *](\w+)(?: "(\w+)")?\(', re.MULTILINE)
TYPE = re.compile(r"^    (?:struct|enum) (\w+)", re.MULTILINE)
CONSTANT = re.compile(r"^(?:        |    uint\d+_t )([A-Z]\w+)$", re.MULTILINE)
FROM_LIST = {"FP_DROP_": "counters/drop.def", "FP_EVENT_": "counters/event.def"}


def header_words(name: str) -> set[str]:
    """Return every word of a header but for its comments."""
    return set(re.findall(r"\w+", re.sub(r"//.*", "", (SRC / name).read_text())))


def declared(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (header, name in C, name in Cython) of each function, type and constant."""
    for header, body in BLOCK.findall(path.read_text()):
        for name, in_c in FUNCTION.findall(body):
            yield header, in_c or name, name
        for name in [*TYPE.findall(body), *CONSTANT.findall(body)]:
            yield header, name, name


def is_there(header: str, name: str) -> bool:
    """Return whether the header has the name, or the list of which it makes its constants."""
    if name in header_words(header):
        return True
    return any(
        name.startswith(prefix) and f"({name.removeprefix(prefix)}," in (SRC / definitions).read_text()
        for prefix, definitions in FROM_LIST.items()
    )


def test_every_declaration_is_in_its_header() -> None:
    found = [(header, in_c) for path in DECLARATIONS for header, in_c, _ in declared(path)]
    assert {
        ("packet/frame.h", "fp_dest_make"),
        ("packet/frame.h", "FP_BURST"),
        ("counters/tally.h", "FP_DROP_runt"),
    } <= set(found)
    assert {
        ("tables/fdb.h", "fp_fdb_share"),
        ("packet/frame.h", "fp_frame"),
        ("monitor/capture.h", "FP_CAPTURE_ALL_VNIS"),
    } <= set(found)
    assert [f"{header}: {name}" for header, name in found if not is_there(header, name)] == []


def test_a_declaration_of_nothing_is_found() -> None:
    assert not is_there("packet/frame.h", "fp_nothing")
    assert not is_there("counters/tally.h", "FP_DROP_nothing")
    assert not is_there("packet/wire.h", "fp_frame_at")  # which frame.h has


def test_every_declaration_is_used() -> None:
    places = [*ROOT.rglob("*.p[yx][xd]"), *Path(fastpath.bench.__file__).parent.rglob("*.pyx")]
    text = {path: re.sub(r"#.*", "", path.read_text()) for path in places}
    words = {path: re.findall(r"\w+", code) for path, code in text.items()}
    used = {word for path, found in words.items() if path not in DECLARATIONS for word in found}
    for path in DECLARATIONS:  # declared once, a name may be used in the declaration of another one
        used |= {word for word in words[path] if words[path].count(word) > 1}
    unused = {name for path in DECLARATIONS for _, _, name in declared(path)} - used
    assert {name for name in unused if not name.startswith("FP_DROP_")} == set()  # those are for forwarders in Cython
