# SPDX-License-Identifier: Apache-2.0
"""The keeper of our nftables tables: it puts back at once what somebody else changes in them.

It listens to the kernel's notifications. A transaction that touched a table of ours and was not our own leads to one
transaction that replaces the table by the wanted one. No table of others is read or written. The keeper has a thread of
its own, and needs neither the event loop nor the store; it sleeps while nobody changes nftables.

How it recognises its own changes: the notifications of a transaction are there when `nft` returns, and the keeper reads
them then. If one transaction touched the table meanwhile, it was its own. If there were more, it replaces the table
again.
"""

import contextlib
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from fastpath.control.kernel import nftables
from fastpath.control.kernel.nft_events import NftEvents
from fastpath.control.kernel.nft_owned import OwnedTables
from fastpath.errors import FastpathError, RefusedError

log = logging.getLogger("fastpath")

RETRY_S = 10.0  # after a refusal
OFTEN, WITHIN_S = 200, 60.0  # restored so often within this time: somebody fights for the table
PAUSE_S = 0.5  # between two restorations in a fight


@dataclass
class _Kept:
    """A table that is kept: the wanted body, and what has to be done for it."""

    body: str
    owned: bool = False  # nobody else can change it, and it goes with this process
    shared: str | None = None  # why it is not owned, though that was asked for
    due: float | None = 0.0  # when to do it; None: the table is as wanted
    replace: bool = True  # do it by replacing the table; else by `commands`
    commands: list[str] = field(default_factory=list)
    unsure: bool = False  # notifications were lost: somebody may have changed the table
    listing: object = None  # the table as it is wanted, in nft's words; None: unknown
    waiting: list[Future[None]] = field(default_factory=list)
    problem: str | None = None
    disturbed: float | None = None  # when a change of somebody else was noticed
    times: deque[float] = field(default_factory=lambda: deque(maxlen=OFTEN))  # of restorations
    restored: int = 0

    def disturb(self, now: float) -> None:
        """Note that somebody else changed the table."""
        self.replace = True
        if self.disturbed is None:
            self.disturbed = now
        if self.due is None:
            self.due = now + (PAUSE_S if self.contested(now) else 0.0)

    def take(self, name: str) -> "_Job":
        """Return what has to be done; it is not due any more then."""
        commands = nftables.replacement(name, self.body) if self.replace else "\n".join(self.commands)
        job = _Job(name, self, commands, self.replace, self.body, self.unsure, self.waiting, self.disturbed)
        self.due, self.replace, self.commands, self.unsure = None, False, [], False
        self.waiting, self.disturbed = [], None
        return job

    def contested(self, now: float) -> bool:
        """Return whether somebody fights for the table."""
        return len(self.times) == OFTEN and now - self.times[0] < WITHIN_S


@dataclass
class _Job:
    """What has to be done for a table: commands, which replace the table or change it; none if there is only doubt
    about it, and the table turned out to be as it should."""

    name: str
    kept: _Kept
    commands: str
    replaces: bool
    body: str
    unsure: bool
    waiting: list[Future[None]]
    disturbed: float | None

    def answer(self, problem: FastpathError | None) -> None:
        """Tell those who wait for it how it ended."""
        for done in self.waiting:
            if problem is None:
                done.set_result(None)
            else:
                done.set_exception(problem)


class Keeper:
    """Keeps tables of the network namespace of the thread that makes it, until it is closed; they stay then. Methods
    may be called from any thread. Tables are restored together, in one transaction."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: dict[str, _Kept] = {}
        self._released: list[tuple[str, Future[None]]] = []
        self._closing = False
        self._nft = nftables.Standby()
        self._owned = OwnedTables()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._events: NftEvents | None = None
        self._deaf: str | None = None
        try:
            self._events = NftEvents()
        except OSError as error:
            self._deaf = f"the kernel does not report changes of nftables ({error.strerror})"
        self._thread = threading.Thread(target=self._run, name="fastpath-keeper", daemon=True)
        self._thread.start()

    def keep(self, table: str, body: str, change: str | None = None) -> None:
        """Make `table`, such as "inet NAME", consist of `body` in one transaction, and keep it so. `change` has
        commands that turn the body that was wanted before into this one, to keep counters. Raise RefusedError if nft
        refuses; the keeper tries again from time to time."""
        self.keep_soon(table, body, change).result()

    def keep_soon(self, table: str, body: str, change: str | None = None, *, owned: bool = False) -> Future[None]:
        """Do the same, without waiting. `problems` has what nft refuses. Nobody else can change an `owned` table; it is
        replaced, whatever changes, and goes when the keeper is closed (nft_owned.py). Where that cannot be, it is kept
        as any other, and `shared` says why."""
        done: Future[None] = Future()
        with self._lock:
            kept = self._tables.get(table)
            if kept is None:
                kept = self._tables[table] = _Kept(body, owned)
            elif kept.body == body and kept.due is None and kept.problem is None:
                done.set_result(None)
                return done
            elif change is None or kept.problem is not None:
                kept.replace = True
            else:
                kept.commands.append(change)
            kept.body, kept.due = body, 0.0
            kept.waiting.append(done)
        os.eventfd_write(self._wake, 1)
        return done

    def release(self, table: str) -> None:
        """Delete a table, and keep it no longer. No error if there is none. Raise RefusedError."""
        self.release_soon(table).result()

    def release_soon(self, table: str) -> Future[None]:
        """Do the same, without waiting."""
        done: Future[None] = Future()
        with self._lock:
            self._tables.pop(table, None)
            self._released.append((table, done))
        os.eventfd_write(self._wake, 1)
        return done

    @property
    def problems(self) -> dict[str, str]:
        """Return what is wrong with tables that are kept, one line for each."""
        now = time.monotonic()
        with self._lock:
            found = {}
            for name, kept in self._tables.items():
                if kept.problem is not None:
                    found[name] = kept.problem
                elif kept.contested(now):
                    found[name] = f"somebody else changes it all the time ({kept.restored} times so far)"
                elif self._deaf is not None:
                    found[name] = f"{self._deaf}, so it is not restored"
            return found

    @property
    def shared(self) -> dict[str, str]:
        """Return why tables that should be owned are not, one line for each."""
        with self._lock:
            return {name: kept.shared for name, kept in self._tables.items() if kept.shared is not None}

    @property
    def restored(self) -> dict[str, int]:
        """Return how often each table was restored."""
        with self._lock:
            return {name: kept.restored for name, kept in self._tables.items()}

    def close(self) -> None:
        """End the thread. The tables stay."""
        if not self._closing:
            self._closing = True
            os.eventfd_write(self._wake, 1)
            self._thread.join()
            if self._events is not None:
                self._events.close()
            os.close(self._wake)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._events is not None:
            poll.register(self._events.fileno(), select.POLLIN)
        while not self._closing:
            poll.poll(self._timeout())
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            try:
                self._listen()
                self._delete_released()
                self._apply_due()
                if self._tables:
                    self._nft.prepare()
            except Exception:
                log.exception("the keeper of nftables failed, and tries again")
                time.sleep(PAUSE_S)
        self._nft.close()
        self._owned.close()
        with self._lock:
            left = [done for kept in self._tables.values() for done in kept.waiting]
        for done in [*left, *(done for _, done in self._released)]:
            done.set_exception(RefusedError("the daemon ends"))

    def _timeout(self) -> float | None:
        """Return the time until something is due, in milliseconds."""
        with self._lock:
            times = [kept.due for kept in self._tables.values() if kept.due is not None]
        return max(0.0, min(times) - time.monotonic()) * 1000 if times else None

    def _listen(self, own: Iterable[str] = ()) -> bool:
        """Note what others changed since the last call; return whether they did, or may have. One transaction was our
        own for each of the tables `own`."""
        now, ours, found = time.monotonic(), set(own), False
        for touched in self._events.transactions() if self._events is not None else ():
            with self._lock:
                if touched is None:
                    for kept in self._tables.values():
                        kept.unsure = True
                        kept.due = 0.0 if kept.due is None else kept.due
                    found = True
                    continue
                for name in touched & self._tables.keys() - ours:
                    self._tables[name].disturb(now)
                    found = True
                ours -= touched
        return found

    def _delete_released(self) -> None:
        while self._released:
            name, done = self._released.pop(0)
            try:
                self._owned.delete(name)
                self._listen([name])
                nftables.delete(name)
                self._listen([name])  # somebody may keep it again by now
                done.set_result(None)
            except FastpathError as error:
                done.set_exception(error)

    def _apply_due(self) -> None:
        """Do what is due in one transaction: what protects is never missing while what it protects is there. If nft
        refuses that, do it table by table."""
        jobs = []
        for job in self._take_due():
            if job.commands and job.kept.owned:
                self._end(job, self._put(job))
            elif job.commands:
                jobs.append(job)
            else:
                job.answer(None)
        if len(jobs) > 1:
            try:
                self._nft.run("\n".join(job.commands for job in jobs), "several tables")
            except FastpathError as error:
                log.debug("the tables are replaced one by one", exc_info=error)
            else:
                self._listen(job.name for job in jobs)
                for job in jobs:
                    self._end(job, None)
                return
        for job in jobs:
            try:
                self._do(job)
                self._end(job, None)
            except FastpathError as error:
                self._end(job, error)

    def _take_due(self) -> list["_Job"]:
        """Return what is due, which is not due any more then."""
        now = time.monotonic()
        with self._lock:
            due = {name: kept for name, kept in self._tables.items() if kept.due is not None and kept.due <= now}
            jobs = [kept.take(name) for name, kept in due.items()]
        for job in jobs:
            if job.unsure and not job.replaces and not job.kept.owned:
                with contextlib.suppress(FastpathError):
                    if job.kept.listing is not None and nftables.listing(job.name) == job.kept.listing:
                        continue
                job.commands, job.replaces = nftables.replacement(job.name, job.body), True
        return jobs

    def _put(self, job: "_Job") -> FastpathError | None:
        try:
            self._owned.put(job.name, job.body)
        except FastpathError as refusal:
            try:
                self._nft.run(nftables.replacement(job.name, job.body), job.name)
            except FastpathError:
                return refusal
            with self._lock:
                job.kept.owned, job.kept.shared = False, str(refusal)
        self._listen([job.name])
        return None

    def _do(self, job: "_Job") -> None:
        try:
            self._nft.run(job.commands, job.name)
        except FastpathError as error:
            if job.replaces:
                raise
            log.debug("replacing the nftables table %s", job.name, exc_info=error)
            self._nft.run(nftables.replacement(job.name, job.body), job.name)
        self._listen([job.name])

    def _end(self, job: "_Job", problem: FastpathError | None) -> None:
        """Note how it ended, and tell those who wait for it."""
        job.kept.listing = None
        if job.unsure and problem is None and not job.kept.owned:
            with contextlib.suppress(FastpathError):
                listing = nftables.listing(job.name)
                if not self._listen():  # what somebody changed before the look has been reported by now
                    job.kept.listing = listing
        now, kept = time.monotonic(), job.kept
        with self._lock:
            kept.problem = str(problem) if problem is not None else None
            if problem is not None:
                kept.replace, kept.disturbed = True, job.disturbed
                kept.due = now + RETRY_S
            elif job.disturbed is not None:
                kept.restored += 1
                kept.times.append(now)
        if problem is None and job.disturbed is not None:
            took = (now - job.disturbed) * 1000
            log.warning("somebody changed the nftables table %s: restored in %.0f ms", job.name, took)
        job.answer(problem)
