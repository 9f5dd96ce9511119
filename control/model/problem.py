# SPDX-License-Identifier: Apache-2.0
"""What is wrong at present: `fastpath status` shows it until it is over, the log tells it once."""

import traceback
from dataclasses import dataclass

# Frames that say nothing about which call failed.
_WRAPPERS = ("/contextlib.py", "/netlink/explain.py")


@dataclass(frozen=True, slots=True)
class Problem:
    """`scope` and `subject` say of what: a network and the id of an endpoint, "store" and a key. `code` tells kinds of
    failures apart; `text`, one line for people, may have numbers in it that change from one look to the next."""

    scope: str
    subject: str
    code: str
    text: str

    def is_same(self, other: "Problem | None") -> bool:
        """Return whether the other one is this one, perhaps in other words."""
        return other is not None and (self.scope, self.subject, self.code) == (other.scope, other.subject, other.code)


def problem_of(scope: str, subject: str, error: BaseException, text: str | None = None) -> Problem:
    """Return the problem that an error is, in the error's own words where `text` is None."""
    return Problem(scope, subject, code_of(error), str(error) if text is None else text)


def code_of(error: BaseException) -> str:
    """Return what is the same for the same failure: the error's own code, or its type and where it was raised, with its
    cause."""
    own = getattr(error, "code", None)
    if isinstance(own, str):
        return own
    number = getattr(error, "errno", None) or own
    code = type(error).__name__ + (f" {number}" if isinstance(number, int) else "")
    frames = [
        f"{frame.f_code.co_qualname}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.endswith(_WRAPPERS)
    ]
    place = f" in {frames[-1]}" if frames else ""
    return code + place + (f" < {code_of(error.__cause__)}" if error.__cause__ is not None else "")
