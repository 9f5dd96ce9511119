# SPDX-License-Identifier: Apache-2.0
"""examples/forwarders/: each command that is shown loads what it names."""

import re
import shlex
from pathlib import Path

import pytest

from fastpath import Forwarder
from fastpath.control.cli.syntax.forwarder import parse
from fastpath.control.runtime.forwarders import load_all
from fastpath.forwarder.forwarder import elements_of

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "examples" / "forwarders"
FILES = sorted(FOLDER.glob("*.py"))
COMMAND = re.compile(r"^ *fastpath forwarder set (?:.*\\\n)*.*$", re.MULTILINE)

pytestmark = pytest.mark.compiler


def loaded(command: str) -> list[str]:
    """The classes of the chain that the command is for."""
    words = shlex.split(command.replace("\\\n", ""))
    assert words[:3] == ["fastpath", "forwarder", "set"]
    forwarder = load_all(parse(words[4:], ROOT))
    assert isinstance(forwarder, Forwarder)
    return [element.name for element in elements_of(forwarder)]


def class_of(path: Path) -> str:
    if path.stem.endswith("_numba"):  # which has a function
        return path.stem.removesuffix("_numba")
    return "".join(word.capitalize() for word in path.stem.split("_"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_begins_with_a_command(path: Path) -> None:
    (command,) = COMMAND.findall(path.read_text())
    assert loaded(command)[0] == class_of(path)


def test_the_document_has_a_command_for_each_file() -> None:
    commands = COMMAND.findall((FOLDER / "README.md").read_text())
    assert len(commands) == len(FILES)
    assert {name for command in commands for name in loaded(command)} >= {class_of(path) for path in FILES}
