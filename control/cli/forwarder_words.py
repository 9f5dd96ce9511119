# SPDX-License-Identifier: Apache-2.0
"""The words for forwarders: `acl.py rules=acl.toml '|' bridge`."""

from collections.abc import Sequence
from pathlib import Path

from fastpath.control.model.requests import ForwarderElement
from fastpath.errors import UsageError


def split(text: str) -> list[str]:
    """The words of a forwarder, or a chain, that stands in one piece."""
    return text.replace("|", " | ").split()


def parse(words: Sequence[str], directory: Path) -> list[ForwarderElement]:
    """The forwarders of `FILE[:NAME] [k=v]… ['|' FILE[:NAME] [k=v]…]…`, as many words or as one; files are
    found from `directory`. Raises UsageError."""
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
            raise UsageError(f'"{word}" is no parameter: they are written NAME=VALUE')
        if name in parameters:
            raise UsageError(f"the parameter {name} stands twice")
        parameters[name] = value
    return ForwarderElement(spec=spec, parameters=parameters, directory=str(directory))
