# SPDX-License-Identifier: Apache-2.0
"""The file of the SQLite store: its tables and the operations on them, one transaction each.

Any number of processes may have the file open, and each may be killed at any moment: SQLite's write-ahead log keeps
whole transactions only. All methods block; one thread calls them. Time is CLOCK_MONOTONIC, which all processes of a
machine share and nobody can set. It restarts at boot, and so does the time of every lease.
docs/operators/store.md shows the tables.
"""

import contextlib
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fastpath.control.store.checks import prefix_end
from fastpath.control.store.interface import (
    CompactedError,
    Compare,
    Delete,
    Event,
    Events,
    Item,
    LeaseGoneError,
    Listing,
    Put,
)
from fastpath.control.store.sqlite.open import connect, explained, identity

BATCH = 1000  # the most changes that one read of the log takes, unless a single commit has more
KEPT_CHANGES = 50_000  # in the log, at most
KEPT_SECONDS = 3600.0


class StoreFile:
    """The file. It is opened at its first use, and again when another file has replaced it at its path."""

    def __init__(self, path: Path | None, busy_seconds: float, clock: Callable[[], float] = time.monotonic):
        self._path, self._busy_seconds, self._clock = path, busy_seconds, clock
        self._db: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._db is not None:
            db, self._db = self._db, None
            db.close()

    def get(self, key: str) -> Item | None:
        """See Store.get."""
        with self._reading() as db:
            row = db.execute("SELECT key, value, revision, lease FROM item WHERE key = ?", (key,)).fetchone()
        return Item(*row) if row else None

    def list(self, prefix: str) -> Listing:
        """See Store.list."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT key, value, revision, lease FROM item WHERE key >= ? AND key < ? ORDER BY key",
                (prefix, prefix_end(prefix)),
            ).fetchall()
            return Listing(_revision(db), tuple(Item(*row) for row in rows))

    def commit(self, compares: Sequence[Compare], changes: Sequence[Put | Delete]) -> int | None:
        """See Store.commit."""
        with self._writing() as db:
            if not all(_holds(db, compare) for compare in compares):
                return None
            for lease in {change.lease for change in changes if isinstance(change, Put) and change.lease}:
                if not db.execute("SELECT 1 FROM lease WHERE id = ?", (lease,)).fetchone():
                    raise LeaseGoneError(f"lease {lease} is gone")
            return _apply(db, changes)

    def changes(self, prefix: str, after: int, known: str | None) -> tuple[Events, str]:
        """Return a batch of the changes under `prefix` after revision `after`, and the name of the file's history.
        Raise CompactedError if the history is not `known`, or no longer or not yet has `after`."""
        with self._reading() as db:
            history, revision, compacted = db.execute("SELECT history, revision, compacted FROM state").fetchone()
            if known not in (None, history) or not compacted <= after <= revision:
                raise CompactedError("the store no longer knows what happened meanwhile")
            span = (after, prefix, prefix_end(prefix))
            where = "FROM change WHERE revision > ? AND key >= ? AND key < ?"
            # The batch ends with a whole commit: that of its last change.
            last = db.execute(f"SELECT revision {where} ORDER BY revision LIMIT 1 OFFSET {BATCH}", span).fetchone()
            upto = last[0] if last else revision
            rows = db.execute(
                f"SELECT key, value, revision {where} AND revision <= ? ORDER BY revision, position",
                (*span, upto),
            ).fetchall()
            return Events(upto, tuple(Event(*row) for row in rows)), history

    def grant(self, ttl: int) -> int:
        """See Store.grant."""
        lease = 1 + secrets.randbits(62)
        with self._writing() as db:
            db.execute("INSERT INTO lease VALUES (?, ?, ?)", (lease, ttl, self._clock() + ttl))
        return lease

    def keep_alive(self, lease: int) -> bool:
        """See Store.keep_alive."""
        with self._writing() as db:
            return bool(db.execute("UPDATE lease SET expires = ? + ttl WHERE id = ?", (self._clock(), lease)).rowcount)

    def revoke(self, lease: int) -> None:
        """See Store.revoke."""
        with self._writing() as db:
            _end_leases(db, [lease])

    def expire(self) -> bool:
        """Delete the keys of leases whose time is over; return whether there were any."""
        with self._reading() as db:
            due = db.execute("SELECT 1 FROM lease WHERE expires <= ? LIMIT 1", (self._clock(),)).fetchone()
        if due:
            with self._writing():
                pass  # every writer does it first
        return due is not None

    def compact(self, changes: int = KEPT_CHANGES, seconds: float = KEPT_SECONDS) -> None:
        """Delete old entries of the log of changes. Readers that still need them have to list again.

        Age is measured by the wall clock: if it is set wrongly, readers list again, or the log is longer, up to its
        limit."""
        with self._reading() as db:
            old = db.execute(
                "SELECT max(revision) FROM change WHERE revision <= ("
                "SELECT revision FROM change ORDER BY revision DESC LIMIT 1 OFFSET ?) OR at < ?",
                (changes, time.time() - seconds),
            ).fetchone()[0]
        if old is not None:
            with self._writing() as db:
                db.execute("DELETE FROM change WHERE revision <= ?", (old,))
                db.execute("UPDATE state SET compacted = max(compacted, ?)", (old,))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._transaction("BEGIN") as db:
            yield db

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Run a write transaction that sees no expired lease."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            _end_leases(db, [row[0] for row in db.execute("SELECT id FROM lease WHERE expires <= ?", (self._clock(),))])
            yield db

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with explained(self._path):
            db = self._opened()
            db.execute(begin)
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:  # it failed
                    with contextlib.suppress(sqlite3.Error):
                        db.execute("ROLLBACK")

    def _opened(self) -> sqlite3.Connection:
        if self._path is not None and self._identity != identity(self._path):
            self.close()
        if self._db is None:
            self._db = connect(self._path, self._busy_seconds, self._clock)
            self._identity = identity(self._path) if self._path else None
        return self._db


def _revision(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT revision FROM state").fetchone()[0])


def _holds(db: sqlite3.Connection, compare: Compare) -> bool:
    if compare.prefix:
        span = (compare.key, prefix_end(compare.key))
        return db.execute("SELECT 1 FROM item WHERE key >= ? AND key < ? LIMIT 1", span).fetchone() is None
    row = db.execute("SELECT revision FROM item WHERE key = ?", (compare.key,)).fetchone()
    return (row[0] if row else 0) == compare.revision


def _apply(db: sqlite3.Connection, changes: Sequence[Put | Delete]) -> int:
    """Make the changes at one new revision and return it; return the present one if there is nothing to do."""
    revision = _revision(db)
    new, position, now = revision + 1, 0, int(time.time())
    for change in changes:
        if isinstance(change, Put):
            value: bytes | None = change.value
            db.execute("INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?)", (change.key, value, new, change.lease))
        elif db.execute("DELETE FROM item WHERE key = ?", (change.key,)).rowcount:
            value = None
        else:
            continue
        db.execute("INSERT INTO change VALUES (?, ?, ?, ?, ?)", (new, position, change.key, value, now))
        position += 1
    if position == 0:
        return revision
    db.execute("UPDATE state SET revision = ?", (new,))
    return new


def _end_leases(db: sqlite3.Connection, leases: Sequence[int]) -> None:
    for lease in leases:
        _apply(db, [Delete(row[0]) for row in db.execute("SELECT key FROM item WHERE lease = ?", (lease,)).fetchall()])
        db.execute("DELETE FROM lease WHERE id = ?", (lease,))
