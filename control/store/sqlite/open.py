# SPDX-License-Identifier: Apache-2.0
"""Open the file of the SQLite store: create it, recognise it, and explain errors in one line."""

import contextlib
import errno
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fastpath.control.store.interface import UnavailableError
from fastpath.errors import UsageError

APPLICATION_ID = 0x66706174  # "fpat": tells the file from other programs' SQLite files, also for file(1)
VERSION = 1  # of the tables
TABLES = """
CREATE TABLE state (history TEXT NOT NULL, boot TEXT NOT NULL, revision INTEGER NOT NULL, compacted INTEGER NOT NULL);
CREATE TABLE item (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, lease INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE INDEX item_lease ON item (lease) WHERE lease != 0;
CREATE TABLE change (revision INTEGER, position INTEGER, key TEXT NOT NULL, value BLOB, at INTEGER NOT NULL,
    PRIMARY KEY (revision, position)) WITHOUT ROWID;
CREATE TABLE lease (id INTEGER PRIMARY KEY, ttl INTEGER NOT NULL, expires REAL NOT NULL);
"""
# Errors that end by themselves, or when an administrator acts, while we wait.
TEMPORARY = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM}
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def identity(path: Path) -> tuple[int, int] | None:
    """Return what distinguishes a file from one that replaces it; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def connect(path: Path | None, busy_seconds: float, clock: Callable[[], float]) -> sqlite3.Connection:
    """Open or create the file. None: a store in memory."""
    if path is not None:
        _make(path)
    db = sqlite3.connect(path or ":memory:", busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        db.execute("BEGIN")  # one snapshot: another process may be creating the tables
        _recognise(db, path)
        db.execute("COMMIT")
        # SQLite ignores its timeout here: it refuses at once while another process changes the mode, too.
        _retried(lambda: db.execute("PRAGMA journal_mode = WAL"), busy_seconds)
        db.execute("PRAGMA synchronous = FULL")  # a confirmed commit survives a loss of power
        db.execute("BEGIN IMMEDIATE")
        if _recognise(db, path) == 0:
            _make_tables(db)
        _after_boot(db, clock())
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


@contextlib.contextmanager
def explained(path: Path | None) -> Iterator[None]:
    """Explain errors of SQLite and the kernel in one line: raise UnavailableError for those that may pass, UsageError
    for those that somebody has to mend."""
    try:
        yield
    except OSError as error:
        refusal = UnavailableError if error.errno in NO_ROOM else UsageError
        raise refusal(f"the store {path}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise UnavailableError(f"the store {path} is in use by another process, which does not let go") from error
        if code in TEMPORARY:
            raise UnavailableError(f"the store {path}: {error}") from error
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise UsageError(
                f"{path} is not a store, or damaged ({error}): move it away, and a new one is created"
            ) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise UsageError(
                f"the store {path} cannot be written ({error}): its folder has to be writable, too"
            ) from error
        raise UsageError(f"the store {path}: {error}") from error


def _make(path: Path) -> None:
    """Create an empty file that only its owner can read; SQLite gives its companion files the same mode.

    An existing file is not opened here: closing it would drop the locks that this process holds on it."""
    if path.is_dir():
        raise UsageError(f"the store {path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"the store {path} cannot be created: there is no folder {path.parent}")
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _recognise(db: sqlite3.Connection, path: Path | None) -> int:
    """Return the version of the tables, 0 for a new file."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application = db.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID and (version or db.execute("SELECT 1 FROM sqlite_schema").fetchone()):
        raise UsageError(f"{path} is another program's SQLite file: name another one for the store")
    if version > VERSION:
        raise UsageError(
            f"the store {path} was created by a newer fastpath (version {version} of its tables, not {VERSION})"
        )
    return version


def _make_tables(db: sqlite3.Connection) -> None:
    for statement in TABLES.split(";")[:-1]:
        db.execute(statement)
    # Revision 1 is the empty store, as in etcd. The history's name distinguishes this file from one that replaces it.
    db.execute("INSERT INTO state VALUES (?, '', 1, 0)", (secrets.token_hex(8),))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def _after_boot(db: sqlite3.Connection, now: float) -> None:
    """Restart the time of every lease after a boot, since the clock restarted, too."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    if db.execute("SELECT boot FROM state").fetchone()[0] != boot:
        db.execute("UPDATE lease SET expires = ? + ttl", (now,))
        db.execute("UPDATE state SET boot = ?", (boot,))
    # No lease lasts longer than its time: a clock of another time namespace may say so.
    db.execute("UPDATE lease SET expires = ?1 + ttl WHERE expires > ?1 + ttl", (now,))


def _retried(action: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            action()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return
