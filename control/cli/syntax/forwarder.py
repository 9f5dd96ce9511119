# SPDX-License-Identifier: Apache-2.0
"""The syntax of forwarders: `acl.py rules=acl.toml '|' bridge`."""

from collections.abc import Sequence
from pathlib import Path

from fastpath.control.model.requests import ForwarderElement
from fastpath.errors import UsageError


def split(text: str) -> list[str]:
    """Return the words of a forwarder or a chain that is one argument."""
    return text.replace("|", " | ").split()


def parse(words: Sequence[str], directory: Path) -> list[ForwarderElement]:
    """Return the forwarders of `FILE[:NAME] [k=v]… ['|' FILE[:NAME] [k=v]…]…`, given as many words or as one. Files are
    relative to `directory`. Raise UsageError."""
    if len(words) == 1:
        words = split(words[0])
    elements: list[ForwarderElement] = []
    part: list[str] = []
    for word in (*words, "|"):
        if word != "|":
            part.append(word)
            continue
        if not part:
            raise UsageError("a forwarder is missing: FILE[:NAME], package.module:NAME, bridge or hub")
        elements.append(_element(part, directory))
        part = []
    return elements


def _element(words: Sequence[str], directory: Path) -> ForwarderElement:
    spec, *rest = words
    parameters = {}
    for word in rest:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f'"{word}" is not a parameter: expected NAME=VALUE')
        if name in parameters:
            raise UsageError(f"the parameter {name} is given twice")
        parameters[name] = value
    return ForwarderElement(spec=spec, parameters=parameters, directory=str(directory))
