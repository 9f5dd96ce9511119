# SPDX-License-Identifier: Apache-2.0
"""Present problems: `fastpath status` shows each until it is over, the log reports it once."""

import traceback
from dataclasses import dataclass

# Frames that do not show which call failed.
_WRAPPERS = ("/contextlib.py", "/netlink/explain.py")


@dataclass(frozen=True, slots=True)
class Problem:
    """`scope` and `subject` name its object: a network and the id of an endpoint, "store" and a key. `code`
    distinguishes kinds of failures; `text`, one line for people, may contain numbers that change between looks."""

    scope: str
    subject: str
    code: str
    text: str

    def is_same(self, other: "Problem | None") -> bool:
        """Return whether both are the same problem, even if their texts differ."""
        return other is not None and (self.scope, self.subject, self.code) == (other.scope, other.subject, other.code)


def problem_of(scope: str, subject: str, error: BaseException, text: str | None = None) -> Problem:
    """Return the problem that an error describes; its text is the error's own if `text` is None."""
    return Problem(scope, subject, code_of(error), str(error) if text is None else text)


def code_of(error: BaseException) -> str:
    """Return a code that is the same for the same failure: the error's own code, or its type, place and cause."""
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
