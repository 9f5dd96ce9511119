# SPDX-License-Identifier: Apache-2.0
"""packaging/Dockerfile: what it copies exists and is all that the build needs, and its command is ours."""

import json
import re
from pathlib import Path

from click.testing import CliRunner

from fastpath.control.cli import main

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "packaging" / "Dockerfile").read_text()


def copied() -> list[str]:
    """What is copied from the source tree."""
    lines = re.findall(r"(?m)^COPY (?!--from)(.*)$", DOCKERFILE)
    return [source for line in lines for source in line.split()[:-1]]


def test_what_it_copies_exists() -> None:
    assert copied()
    assert [source for source in copied() if not (ROOT / source).exists()] == []


def test_it_copies_what_the_package_is_made_of() -> None:
    manifest = (ROOT / "MANIFEST.in").read_text()
    named = set(re.findall(r"(?m)^(?:graft|recursive-include|include) (\S+)", manifest))
    named |= set(re.findall(r"(?m)^include \S+ (\S+)", manifest))
    assert {*named, "control", "setup.py", "pyproject.toml", "README.md", "LICENSE"} - set(copied()) == set()


def test_its_command_is_ours() -> None:
    entry, command = (json.loads(re.findall(rf"(?m)^{word} (.*)$", DOCKERFILE)[0]) for word in ("ENTRYPOINT", "CMD"))
    assert entry == ["fastpath"]
    assert CliRunner().invoke(main, [*command, "--help"]).exit_code == 0
