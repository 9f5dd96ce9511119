# SPDX-License-Identifier: Apache-2.0
"""What the results of every benchmark have in common: where and when they come from, and the file that they are kept
in."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from fastpath.bench.common import machine
from fastpath.errors import RefusedError, UsageError
from fastpath.version import VERSION


class Frozen(BaseModel):
    """The base of all: strict about what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AboutRun(Frozen):
    """Where, with what and how it was measured."""

    date: str
    cpu: str
    cores: int
    kernel: str
    python: str
    fastpath: str
    commit: str
    seconds: float
    rounds: int

    @property
    def machine(self) -> str:
        """In words, for the head of a table."""
        return f"{self.cpu}, {self.cores} cores, Linux {self.kernel.split('-')[0]}"


def about_run(seconds: float, rounds: int) -> dict[str, Any]:
    """AboutRun's fields, here and now."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": machine.processor(),
        "cores": os.cpu_count() or 1,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "fastpath": VERSION,
        "commit": machine.commit(),
        "seconds": seconds,
        "rounds": rounds,
    }


class Kept(Frozen):
    """A whole run, and its file of JSON."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """The results in a file. Raises UsageError for what is none of ours."""
        try:
            return cls.model_validate_json(path.read_text())
        except (ValidationError, ValueError) as error:
            raise UsageError(f"{path} holds no results of this version: {str(error).splitlines()[0]}") from None

    def write(self, path: Path) -> None:
        """Keep them."""
        path.write_text(self.model_dump_json(indent=1) + "\n")


def check_root(command: str) -> None:
    """Raises RefusedError where this process is not root."""
    if os.geteuid() != 0:
        raise RefusedError(f"the benchmark makes network namespaces, which needs root: sudo {command}")
