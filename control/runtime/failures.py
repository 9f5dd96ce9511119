# SPDX-License-Identifier: Apache-2.0
"""Failures that go on: the log tells each once, and again when it is another one or comes back."""

import logging

from fastpath.control.model.problem import Problem, problem_of


class Failures:
    """The present failures of one scope, by their subject; new ones are logged at `level`."""

    def __init__(self, log: logging.Logger, scope: str, level: int = logging.WARNING) -> None:
        self._log = log
        self._scope = scope
        self._level = level
        self._present: dict[str, Problem] = {}

    @property
    def problems(self) -> list[Problem]:
        """Return the present failures."""
        return list(self._present.values())

    def failed(self, subject: str, error: BaseException, text: str) -> None:
        """Note a failure; `text` is a sentence about it."""
        problem = problem_of(self._scope, subject, error, text)
        known = problem.is_same(self._present.get(subject))
        self._present[subject] = problem
        self._log.log(logging.DEBUG if known else self._level, "%s", text)
        if not known:
            level = self._level if self._level >= logging.ERROR else logging.DEBUG
            self._log.log(level, "its cause", exc_info=error)

    def over(self, subject: str) -> None:
        """Note that it went well."""
        self._present.pop(subject, None)

    def only(self, subjects: set[str]) -> None:
        """Forget failures of other subjects."""
        self._present = {subject: why for subject, why in self._present.items() if subject in subjects}
