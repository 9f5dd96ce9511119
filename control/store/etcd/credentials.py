# SPDX-License-Identifier: Apache-2.0
"""The CA, the certificate and the key for etcd, from files that may be renewed at any time."""

import logging
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from fastpath.control.store.etcd.validity import ends
from fastpath.control.store.interface import StoreOptions
from fastpath.errors import UsageError

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks at the files
Print = tuple[tuple[int, int, int], ...]


class Credentials:
    """`current` is what the next connection uses; None: no TLS. Raise UsageError where the files are wrong at the
    start. Later, files that cannot be used, such as a certificate whose key is not written yet, change nothing, and
    `problem` says so."""

    def __init__(
        self,
        options: StoreOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._options = options
        self._clock, self._now = clock, now
        self._wrong: str | None = None
        self._ends: list[tuple[Path, datetime]] = []
        self._files = [file for file in (options.ca, options.cert, options.key) if file is not None]
        _check(options)
        self._print = _print(self._files)
        self._looked = clock()
        self._contents: tuple[bytes, ...] = ()
        self.current: Any = None
        if self._files:
            self._read()

    @property
    def problem(self) -> str | None:
        """What is wrong with the files at present, in one line, or None."""
        return self._wrong or self.expired

    @property
    def expired(self) -> str | None:
        """Which certificate of ours is not valid any more, and since when, or None."""
        now = self._now()
        for file, end in self._ends:
            if end < now:
                return f"the certificate in {file} was valid until {end:%Y-%m-%d %H:%M} UTC: renew it"
        return None

    def look(self) -> None:
        """Read the files again if they changed; at most once in LOOK_SECONDS."""
        if not self._files or self._clock() < self._looked + LOOK_SECONDS:
            return
        self._looked = self._clock()
        now = _print(self._files)
        if now == self._print and self._wrong is None:
            return
        try:
            renewed = self._read()
        except UsageError as error:
            wrong = f"the files for etcd's TLS changed and cannot be used, those before are: {error}"
            if wrong != self._wrong:
                log.warning("%s", wrong)
            self._wrong = wrong
            return
        self._print, self._wrong = now, None
        if renewed:
            log.info("the files for etcd's TLS were renewed: the next connection uses them")

    def _read(self) -> bool:
        """Read and check the files; return whether they differ. Raise UsageError, and change nothing."""
        options = self._options
        assert options.ca is not None  # noqa: S101  # `_check` saw to it
        contents = tuple(map(_bytes, self._files))
        if contents == self._contents:
            return False
        ca = contents[0]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=ca.decode("ascii"))
            authorities = ends(ca.decode("ascii"))
        except (ssl.SSLError, ValueError, IndexError) as error:
            raise UsageError(f"{options.ca} is not a PEM file with certificates") from error
        found = [(options.ca, max(authorities))] if authorities else []
        pair: tuple[bytes, ...] = ()
        if options.cert is not None and options.key is not None:
            pair = contents[1:]
            try:
                context.load_cert_chain(options.cert, options.key, password="")
                found.append((options.cert, ends(pair[0].decode("ascii"))[0]))
            except (ssl.SSLError, OSError, ValueError, IndexError) as error:  # gRPC would fail without a message
                raise UsageError(
                    f"{options.cert} and {options.key} are not a certificate and its key, in PEM and without a "
                    "passphrase"
                ) from error
            if contents != tuple(map(_bytes, self._files)):  # what was checked is not what was read
                raise UsageError("they are being written")
        self.current = grpc.ssl_channel_credentials(ca, *reversed(pair))
        self._contents, self._ends = contents, found
        return True


def _check(options: StoreOptions) -> None:
    if (options.cert or options.key) and not options.ca:
        raise UsageError("TLS to etcd needs the CA's certificate, too: `ca`")
    if bool(options.cert) != bool(options.key):
        raise UsageError("a client certificate for etcd needs both `cert` and `key`")


def _print(files: list[Path]) -> Print:
    """Return what tells that a file was written or replaced: (0, 0, 0) for one that is not there."""
    found = []
    for file in files:
        try:
            status = file.stat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
