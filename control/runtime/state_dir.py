# SPDX-License-Identifier: Apache-2.0
"""The daemon's state directory: this host's id, a lock against a second daemon, the copy of the store."""

import contextlib
import fcntl
import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from fastpath.control.runtime import durable
from fastpath.errors import ConflictError, RefusedError


class StateDir:
    """A context in which the directory is ours alone. Raise ConflictError if another daemon has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            try:
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                stack.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.host_id = self._read_host_id()
            except BlockingIOError as error:
                raise ConflictError(
                    f"a fastpath daemon with the state directory {self.path} runs already: stop it, or give another "
                    "--state-dir"
                ) from error
            except OSError as error:
                raise RefusedError(f"cannot use the state directory {self.path}: {error.strerror}") from error
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def cache(self) -> Path:
        """Return the file of the mirror's copy."""
        return self.path / "mirror.db"

    @property
    def lives(self) -> Path:
        """Return the file of what earlier lives used."""
        return self.path / "lives.json"

    @property
    def removals(self) -> Path:
        """Return the file of endpoints that were removed while the store was not to be written."""
        return self.path / "removals.json"

    def _read_host_id(self) -> str:
        """Return the id of this installation, which is created once and distinguishes two hosts of one name."""
        file = self.path / "host-id"
        with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
            if text := file.read_text(encoding="ascii").strip():
                return text
        text = uuid.uuid4().hex
        durable.write(file, f"{text}\n".encode())
        return text
