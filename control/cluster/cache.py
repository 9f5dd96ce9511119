# SPDX-License-Identifier: Apache-2.0
"""The mirror's copy on disk: with it, a daemon that comes back while the store is away still knows what to do.

It may lag behind; it is never ahead. A damaged one is replaced: the store has everything. A daemon that cannot keep
one, e.g. on a full disk, works without.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from fastpath.control.cluster import keys
from fastpath.control.model.store_url import same_store
from fastpath.control.store.interface import Event, Item, Listing

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS item (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS since (key TEXT PRIMARY KEY, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_LOST = "CREATE TABLE IF NOT EXISTS lost (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
_PUT = "REPLACE INTO item (key, value, revision) VALUES (?, ?, ?)"
_FIRST_SEEN = "INSERT OR IGNORE INTO since VALUES (?, ?)"


class Cache:
    """A copy of one store, whose URL is `source`; a copy of another store is emptied. It keeps when this host first saw
    each key, where the store does not tell when that was created, and the hosts whose keys are gone: in tables of their
    own, which version 0.1 does not know, and lets be, if a host goes back to it."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source
        try:
            self._db = self._open(path)
            self._db.execute("SELECT count(value) FROM item").fetchone()  # what is damaged shows when it is read
        except sqlite3.DatabaseError as error:
            self._db = self._replaced(error)

    def _replaced(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        """Replace a damaged file; keep the copy in memory if there can be no file."""
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            log.warning("%s cannot be used (%s): nothing is kept for the next start", self._path, error)
            return self._open(":memory:")
        log.warning("%s is damaged (%s) and is replaced by a new one", self._path, error)
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        try:
            return self._open(self._path)
        except sqlite3.DatabaseError as another:
            log.warning("%s cannot be created (%s): nothing is kept for the next start", self._path, another)
            return self._open(":memory:")

    def _open(self, path: Path | str) -> sqlite3.Connection:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(_SCHEMA + _LOST + "CREATE TABLE IF NOT EXISTS source (url TEXT NOT NULL);")
            kept = db.execute("SELECT url FROM source").fetchone()
            if kept is None or not same_store(kept[0], self._source):
                db.executescript("DELETE FROM item; DELETE FROM since; DELETE FROM lost; DELETE FROM state;")
                db.execute("DELETE FROM source")
                db.execute("INSERT INTO source VALUES (?)", (self._source,))
        except BaseException:
            db.close()
            raise
        return db

    def load(self) -> Listing:
        """Return what was last kept; revision 0 if nothing was."""
        try:
            return self._read()
        except sqlite3.DatabaseError as error:
            self._db.close()
            self._db = self._replaced(error)
            return Listing(0, ())

    def _read(self) -> Listing:
        found = self._db.execute("SELECT value FROM state WHERE name = 'revision'").fetchone()
        rows = self._db.execute(
            "SELECT key, value, revision, 0, coalesce(since.created, 0) FROM item LEFT JOIN since USING (key) "
            "ORDER BY key"
        )
        return Listing(found[0] if found else 0, tuple(Item(*row) for row in rows))

    def replace(self, listing: Listing) -> None:
        """Replace the copy by this listing."""
        with self._transaction(listing.revision):
            known = dict(self._db.execute("SELECT key, created FROM since"))
            self._lost_but({item.key for item in listing.items})
            self._db.execute("DELETE FROM item")
            self._db.execute("DELETE FROM since")
            self._db.executemany(_PUT, ((item.key, item.value, item.revision) for item in listing.items))
            self._db.executemany(
                _FIRST_SEEN,
                ((item.key, item.created or known.get(item.key) or item.revision) for item in listing.items),
            )

    def apply(self, revision: int, events: Iterable[Event]) -> None:
        """Apply what happened up to `revision`."""
        with self._transaction(revision):
            for event in events:
                if event.key.startswith(keys.PEERS):
                    self._note_peer(event)
                if event.value is None:
                    self._db.execute("DELETE FROM item WHERE key = ?", (event.key,))
                    self._db.execute("DELETE FROM since WHERE key = ?", (event.key,))
                else:
                    self._db.execute(_PUT, (event.key, event.value, event.revision))
                    self._db.execute(_FIRST_SEEN, (event.key, event.created or event.revision))

    def _lost_but(self, there: set[str]) -> None:
        """Note that all hosts' keys are gone but those that are `there`."""
        rows = self._db.execute("SELECT key, value FROM item WHERE key GLOB ?", (keys.PEERS + "*",)).fetchall()
        self._db.executemany("REPLACE INTO lost VALUES (?, ?)", [row for row in rows if row[0] not in there])
        self._db.executemany("DELETE FROM lost WHERE key = ?", ((key,) for key in there))

    def _note_peer(self, event: Event) -> None:
        """Note that a host's key is gone, or there."""
        if event.value is None:
            row = self._db.execute("SELECT key, value FROM item WHERE key = ?", (event.key,)).fetchone()
            self._db.executemany("REPLACE INTO lost VALUES (?, ?)", [row] if row else [])
        else:
            self._db.execute("DELETE FROM lost WHERE key = ?", (event.key,))

    def lost(self) -> tuple[Item, ...]:
        """Return the hosts whose keys are gone, as they were last."""
        with contextlib.suppress(sqlite3.DatabaseError):  # `load` has told of it
            return tuple(Item(key, value, 0) for key, value in self._db.execute("SELECT key, value FROM lost"))
        return ()

    def forget(self, key: str) -> None:
        """Forget a host whose key is gone. An error costs a look at it after the next start."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("DELETE FROM lost WHERE key = ?", (key,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self, revision: int) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("REPLACE INTO state VALUES ('revision', ?)", (revision,))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk has ended it already
                self._db.execute("ROLLBACK")
            raise
