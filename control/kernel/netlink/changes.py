# SPDX-License-Identifier: Apache-2.0
"""What `Links` changed: for those who want to tell that somebody else had changed it before."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_RECORDED: ContextVar[list[str] | None] = ContextVar("recorded", default=None)


@contextlib.contextmanager
def recorded() -> Iterator[list[str]]:
    """Yield a list of the changes that this thread makes within the block, in words."""
    made: list[str] = []
    token = _RECORDED.set(made)
    try:
        yield made
    finally:
        _RECORDED.reset(token)


def note(text: str) -> None:
    """Record a change, if anybody wants to know."""
    made = _RECORDED.get()
    if made is not None:
        made.append(text)
