# SPDX-License-Identifier: Apache-2.0
"""pyproject.toml names every package of the tree: what it leaves out is missing where the wheel is installed."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = {"fastpath": "fastpath", "control": "fastpath.control", "bench": "fastpath.bench"}


def test_every_package_of_the_tree_is_named() -> None:
    tree = set()
    for folder, package in FOLDERS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            tree.add(".".join((package, *init.parent.relative_to(ROOT / folder).parts)))
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert tree == set(named) - {"fastpath.include"}  # headers, without Python
