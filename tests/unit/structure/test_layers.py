# SPDX-License-Identifier: Apache-2.0
"""The packages of fastpath/ stand on each other in one order, also where Cython's cimport ties them.

`lint-imports` sees Python files only; most modules here are Cython's.
"""

import re
from collections import defaultdict
from pathlib import Path

import fastpath

ROOT = Path(fastpath.__file__).parent
# From the top. What is not named here stands on none of these: control and bench, which lint-imports checks.
LAYERS = ("kernelpath", "testing", "replay", "engine", "forwarder", "pcap", "kernels", "addresses", "errors", "version")
IMPORT = re.compile(r"^\s*(?:from (fastpath[\w.]*) c?import (\([^)]*\)|[^\n#]*)|c?import (fastpath[\w.]*))", re.M)


def modules() -> dict[str, set[str]]:
    """Return what each module imports of fastpath, by dotted names. Stubs are left out: a type may name its user."""
    found: dict[str, set[str]] = defaultdict(set)
    sources = [path for layer in LAYERS for pattern in ("", "/**/*") for path in ROOT.glob(f"{layer}{pattern}.p[yx]*")]
    for path in sources:
        if path.suffix not in (".py", ".pyx", ".pxd"):
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name] |= set()
        for match in IMPORT.finditer(path.read_text()):
            target = (match[1] or match[3]).removeprefix("fastpath").removeprefix(".")
            names = [word.split(" as ")[0].strip() for word in (match[2] or "").strip("()").split(",")]
            for word in names:
                within = f"{target}.{word}".strip(".")
                is_module = any(
                    (ROOT / within.replace(".", "/")).with_suffix(s).exists() for s in (".py", ".pyx", ".pxd")
                )
                found[name].add(within if is_module else target)
    return found


def test_no_package_imports_one_above_it() -> None:
    found = modules()
    assert len(found) > 30
    above = [
        f"{name} imports {target}"
        for name, targets in found.items()
        for target in targets
        if target.split(".")[0] in LAYERS and LAYERS.index(target.split(".")[0]) < LAYERS.index(name.split(".")[0])
    ]
    assert not above


def test_modules_make_no_circle() -> None:
    left = {name: {target for target in targets if target != name} for name, targets in modules().items()}
    while True:
        free = [name for name, targets in left.items() if not targets & left.keys()]
        if not free:
            break
        for name in free:
            del left[name]
    assert not left
