# SPDX-License-Identifier: Apache-2.0
"""The forwarder of a replay, by what was typed."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fastpath.control.forwarder_words import parse
from fastpath.control.forwarders import load_all
from fastpath.forwarder import Forwarder


def forwarder_maker(text: str, parameters: Sequence[str] = ()) -> Callable[[], Forwarder]:
    """What makes the forwarder of each segment, of the words for forwarders; `parameters`, NAME=VALUE each, are the last
    one's. Raises UsageError for words that cannot be; what they name is loaded when it is made."""
    elements = parse((*text.replace("|", " | ").split(), *parameters), Path.cwd())
    return lambda: load_all(elements)
