# SPDX-License-Identifier: Apache-2.0
"""iproute2 syntax: keywords followed by values, as in `local 192.0.2.1 remote 192.0.2.2`."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from fastpath.errors import UsageError


@dataclass(frozen=True)
class Word:
    """A keyword: how many values follow, and what they may be."""

    values: int
    number: bool = False
    repeated: bool = False
    hint: str = ""


def read_words(words: Sequence[str], known: dict[str, Word]) -> dict[str, list[str]]:
    """Return the values that follow each keyword. Raise UsageError for a keyword that is unknown, lacks a value, or is
    given twice without being `repeated`."""
    found: dict[str, list[str]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word not in known:
            raise UsageError(f'unknown word "{word}": {_suggest(word, known)}')
        rule = known[word]
        if word in found and not rule.repeated:
            raise UsageError(f'"{word}" is given twice')
        if len(rest) < rule.values:
            raise UsageError(
                f'"{word}" needs {"a value" if rule.values == 1 else f"{rule.values} values"}: {rule.hint}'
            )
        found.setdefault(word, []).extend(rest[: rule.values])
        del rest[: rule.values]
    return found


def _suggest(word: str, known: dict[str, Word]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f'did you mean "{close[0]}"?' if close else f"known words are {' '.join(known)}"
