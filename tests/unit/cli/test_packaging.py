# SPDX-License-Identifier: Apache-2.0
"""The man page and the shell completion are those of the commands."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from fastpath.control.cli.main import COMMANDS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "packaging" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_in_the_tree_is_what_is_generated(generate: ModuleType) -> None:
    files = generate.files()
    assert len(files) == 4
    for path, text in files.items():
        assert path.read_text() == text, f"{path.name}: run python packaging/generate.py"


def test_the_man_page_has_every_command_and_option(generate: ModuleType) -> None:
    page = generate.MAN_PAGE.read_text()
    every = list(generate.commands(generate.main, "fastpath"))
    assert len(every) > 25
    for name, command in every:
        assert f'.SH "{generate.escaped(name)}' in page
        for option in command.params:
            if isinstance(option, click.Option):
                assert all(generate.escaped(word) in page for word in option.opts)


def test_what_is_generated_is_installed(generate: ModuleType) -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for path in generate.files():
        assert f'"{path.relative_to(ROOT)}"' in project


def complete(words: str) -> list[str]:
    """Return what is offered for the last of these words."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_FASTPATH_COMPLETE": "bash_complete"}
    command = [sys.executable, "-c", "from fastpath.control.cli.__main__ import main; main(prog_name='fastpath')"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | asked)
    return [line.removeprefix("plain,") for line in done.stdout.splitlines()]


def test_completion_offers_commands_and_options() -> None:
    assert complete("fastpath ") == list(COMMANDS)
    assert complete("fastpath st") == ["status", "store", "stats"]
    assert complete("fastpath network i") == ["inspect"]
    assert "--subnet" in complete("fastpath network create --s")


def test_bash_loads_its_completion() -> None:
    script = ROOT / "packaging" / "completion" / "fastpath.bash"
    shown = subprocess.run(
        ["bash", "-c", f"source {script} && complete -p fastpath"], capture_output=True, text=True, check=True
    )
    assert "_fastpath_completion" in shown.stdout
