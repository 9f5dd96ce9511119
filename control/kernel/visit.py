# SPDX-License-Identifier: Apache-2.0
"""Visits to network namespaces. A namespace belongs to a thread, and a netlink socket to the namespace that it was
opened in, whichever thread uses it later. So a visit enters a namespace once, by a thread that stays there until the
visit ends, and opens one netlink socket there, by which all interfaces, addresses and routes are looked at and changed.
Only what goes by the thread is done in that thread (`Visit.run`): files below /proc/sys/net, other sockets, TAPs.
"""

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Self, TypeVar

from fastpath.control.kernel import syscalls, sysctl
from fastpath.control.kernel.netlink import Rtnetlink, StackedLinks
from fastpath.control.model.objects import Sandbox
from fastpath.errors import ConflictError, RefusedError, UsageError

T = TypeVar("T")
OWN = "/proc/thread-self/ns/net"
SO_NETNS_COOKIE = 71  # <asm-generic/socket.h>, Linux 5.14
# Of a path that names nothing (any more). All else, as too many open files, says nothing about the namespace.
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ESRCH}


def open_namespace(path: str) -> int:
    """Return a file descriptor. Raise UsageError if the path names no network namespace, RefusedError if that
    cannot be told."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if stat.S_ISREG(os.stat(path).st_mode) else -1
    except ValueError:  # a NUL in it
        raise UsageError(f"{path!r} is not a path: see `ip netns`") from None
    except OSError as error:
        if error.errno in _ABSENT:
            raise UsageError(f'there is no network namespace "{path}": see `ip netns`') from error
        raise RefusedError(f'cannot open the network namespace "{path}": {error.strerror}') from error
    if fd < 0:  # to open a device or a pipe may do things
        raise UsageError(f'"{path}" is not a network namespace: see `ip netns`')
    try:
        if fcntl.ioctl(fd, syscalls.NS_GET_NSTYPE) == syscalls.CLONE_NEWNET:
            return fd
    except OSError:
        pass
    os.close(fd)
    raise UsageError(f'"{path}" is not a network namespace: see `ip netns`')


class Worker:
    """A thread of its own in a network namespace. `path` is what errors call the namespace."""

    def __init__(self, path: str, enter: Callable[[], None]) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fastpath-netns")
        try:
            self._thread.submit(enter).result()
        except OSError as error:
            self.close()
            needs = " (needs CAP_SYS_ADMIN: run as root)" if error.errno == errno.EPERM else ""
            raise RefusedError(f"cannot enter a network namespace: {error.strerror}{needs}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def run(self, function: Callable[[], T]) -> T:
        """Call a function in the thread, and return what it returns."""
        try:
            return self._thread.submit(function).result()
        except OSError as error:
            raise RefusedError(f"{self._path}: {error.strerror or error}") from error

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


class Visit:
    """A namespace while it is open. Raise UsageError if there is none, ConflictError if a Sandbox is not the one
    that it was."""

    def __init__(self, where: str | Sandbox) -> None:
        path = where if isinstance(where, str) else where.path
        with contextlib.ExitStack() as stack:
            self.fd = open_namespace(path)
            stack.callback(os.close, self.fd)
            inode = os.fstat(self.fd).st_ino
            if isinstance(where, Sandbox) and where.inode != inode:
                raise _another(where)
            self._worker = stack.enter_context(Worker(path, partial(syscalls.enter_namespace, self.fd)))
            self.netlink = stack.enter_context(self._worker.run(Rtnetlink))
            self.links = StackedLinks(self.netlink)
            self.sandbox = Sandbox(path=path, inode=inode, cookie=_cookie(self.netlink.socket))
            if isinstance(where, Sandbox) and where.cookie not in (0, self.sandbox.cookie):
                raise _another(where)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def run(self, function: Callable[[], T]) -> T:
        """Call a function in a thread that is in the namespace, and return what it returns. Sockets and files that it
        opens belong there."""
        return self._worker.run(function)

    def set_sysctl(self, path: str, value: int) -> bool:
        """Set /proc/sys/net/PATH there, as sysctl.ensure does."""
        return self.run(lambda: sysctl.ensure(path, value))

    def close(self) -> None:
        """End the visit."""
        self._stack.close()


class Home:
    """The namespace of the calling thread, with what a Visit offers: here, no other thread is needed."""

    def __init__(self) -> None:
        self.netlink = Rtnetlink()
        self.links = StackedLinks(self.netlink)
        self.fd = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)

    def run(self, function: Callable[[], T]) -> T:
        """Call a function."""
        return function()

    def set_sysctl(self, path: str, value: int) -> bool:
        """Set /proc/sys/net/PATH."""
        return sysctl.ensure(path, value)

    def close(self) -> None:
        """Close the socket."""
        self.netlink.close()
        os.close(self.fd)


class Visits:
    """The visits of one pass, which looks at many things of a host: every namespace is entered at most once.

    `with visits:` begins a pass, or joins the one that has begun. What is entered stays open until the pass ends, or
    the part of it (`part`). To be used by one thread at a time.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._parts: list[dict[str, Visit]] = [{}]
        self._home: Home | None = None

    def __enter__(self) -> Self:
        self._depth += 1
        return self

    def __exit__(self, *exception: object) -> None:
        self._depth -= 1
        if self._depth > 0:
            return
        with contextlib.ExitStack() as stack:
            stack.callback(_close, self._parts[0])
            if self._home is not None:
                stack.callback(self._home.close)
                self._home = None

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """Leave at the end what is entered within: a pass may look at hundreds of sandboxes."""
        with self:
            self._parts.append({})
            try:
                yield
            finally:
                _close(self._parts.pop())

    @property
    def home(self) -> Home:
        """The namespace of the calling thread, which is the daemon's own."""
        if self._home is None:
            self._home = Home()
        return self._home

    @contextlib.contextmanager
    def at_home(self) -> Iterator[StackedLinks]:
        """Be in a pass, for the links of the namespace at home."""
        with self:
            yield self.home.links

    def to(self, where: str | Sandbox) -> Visit:
        """Return the visit to a namespace, which is entered now unless that was done before. Raise as Visit does."""
        path = where if isinstance(where, str) else where.path
        for part in self._parts:
            if (found := part.get(path)) is not None:
                if isinstance(where, Sandbox) and not _is_same(where, found.sandbox):
                    raise _another(where)
                return found
        found = self._parts[-1][path] = Visit(where)
        return found

    def is_alive(self, where: Sandbox) -> bool:
        """Return whether the path still names the same namespace. Raise RefusedError if that cannot be told."""
        try:
            self.to(where)
        except (UsageError, ConflictError):
            return False
        return True

    def leave(self, path: str) -> None:
        """End the visit to a namespace, if there is one: its name is taken away, and may come to name another one."""
        for part in self._parts:
            if (found := part.pop(path, None)) is not None:
                found.close()


def _close(visits: dict[str, Visit]) -> None:
    with contextlib.ExitStack() as stack:
        while visits:
            stack.callback(visits.popitem()[1].close)


def _another(where: Sandbox) -> ConflictError:
    return ConflictError(f"the sandbox {where.path} was removed, and another one has its name now")


def _is_same(wanted: Sandbox, found: Sandbox) -> bool:
    return wanted.inode == found.inode and wanted.cookie in (0, found.cookie)


def _cookie(sock: socket.socket) -> int:
    """Return a number that a socket's namespace shares with none since the machine booted, other than its inode, which
    the next one may have; 0 if there is none."""
    try:
        return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
    except OSError:
        return 0
