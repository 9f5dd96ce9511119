# SPDX-License-Identifier: Apache-2.0
"""Visits to network namespaces. Each thread is in a namespace; a netlink socket belongs to the namespace in which it
was opened, whichever thread uses it later. So a visit enters a namespace once, with a thread that stays there until the
visit ends, and opens one netlink socket there, which serves for all interfaces, addresses and routes. Only work that
depends on the thread's namespace runs in that thread (`Visit.run`): files below /proc/sys/net, other sockets, TAPs.
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
from fastpath.control.kernel.netlink import SANDBOX_LIMITS, Rtnetlink, StackedLinks
from fastpath.control.model.objects import Sandbox
from fastpath.errors import ConflictError, RefusedError, UsageError

T = TypeVar("T")
OWN = "/proc/thread-self/ns/net"
SO_NETNS_COOKIE = 71  # <asm-generic/socket.h>, Linux 5.14
# Errors of a path without an object. Others, such as too many open files, say nothing about the namespace.
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ESRCH}


def open_namespace(path: str) -> int:
    """Return a file descriptor of the namespace. Raise UsageError if the path names no network namespace, RefusedError
    if that is unknown."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if stat.S_ISREG(os.stat(path).st_mode) else -1
    except ValueError:  # a NUL in it
        raise UsageError(f"{path!r} is not a path: see `ip netns`") from None
    except OSError as error:
        if error.errno in _ABSENT:
            raise UsageError(f'there is no network namespace "{path}": see `ip netns`') from error
        raise RefusedError(f'cannot open the network namespace "{path}": {error.strerror}') from error
    if fd < 0:  # opening a device or a pipe may have side effects
        raise UsageError(f'"{path}" is not a network namespace: see `ip netns`')
    try:
        if fcntl.ioctl(fd, syscalls.NS_GET_NSTYPE) == syscalls.CLONE_NEWNET:
            return fd
    except OSError:
        pass
    os.close(fd)
    raise UsageError(f'"{path}" is not a network namespace: see `ip netns`')


class NamespaceThread:
    """A thread of its own in a network namespace. `path` is the namespace's name in errors."""

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
        """Call a function in the thread, and return its result."""
        try:
            return self._thread.submit(function).result()
        except OSError as error:
            raise RefusedError(f"{self._path}: {error.strerror or error}") from error

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


class Visit:
    """An open namespace. Raise UsageError if there is none, ConflictError if a Sandbox was replaced by another one."""

    def __init__(self, where: str | Sandbox) -> None:
        path = where if isinstance(where, str) else where.path
        with contextlib.ExitStack() as stack:
            self.fd = open_namespace(path)
            stack.callback(os.close, self.fd)
            inode = os.fstat(self.fd).st_ino
            if isinstance(where, Sandbox) and where.inode != inode:
                raise _another(where)
            self._worker = stack.enter_context(NamespaceThread(path, partial(syscalls.enter_namespace, self.fd)))
            self.netlink = stack.enter_context(self._worker.run(self._open_netlink))
            self.links = StackedLinks(self.netlink)
            self.sandbox = Sandbox(path=path, inode=inode, cookie=_cookie(self.netlink.socket))
            if isinstance(where, Sandbox) and where.cookie not in (0, self.sandbox.cookie):
                raise _another(where)
            self._stack = stack.pop_all()

    def _open_netlink(self) -> Rtnetlink:
        return Rtnetlink(SANDBOX_LIMITS, self._worker.run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def run(self, function: Callable[[], T]) -> T:
        """Call a function in a thread in the namespace, and return its result. Sockets and files that the function
        opens belong to the namespace."""
        return self._worker.run(function)

    def set_sysctl(self, path: str, value: int) -> bool:
        """Set /proc/sys/net/PATH in the namespace, as sysctl.ensure does."""
        return self.run(lambda: sysctl.ensure(path, value))

    def close(self) -> None:
        """End the visit."""
        self._stack.close()


class Home:
    """The namespace of the calling thread, with the methods of a Visit, but without another thread."""

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
    """The visits of one pass over many objects of a host: every namespace is entered at most once.

    `with visits:` begins a pass, or joins the present one. Visits stay open until the end of the pass, or of the part
    of it (`part`). For one thread at a time.
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
        """End the visits of the block at its end: a pass may visit hundreds of sandboxes."""
        with self:
            self._parts.append({})
            try:
                yield
            finally:
                _close(self._parts.pop())

    @property
    def home(self) -> Home:
        """The namespace of the calling thread: the daemon's own."""
        if self._home is None:
            self._home = Home()
        return self._home

    @contextlib.contextmanager
    def at_home(self) -> Iterator[StackedLinks]:
        """Begin or join a pass, and yield the links of the daemon's own namespace."""
        with self:
            yield self.home.links

    def to(self, where: str | Sandbox) -> Visit:
        """Return the visit to a namespace, which begins now unless it has begun already. Raise the errors of Visit."""
        path = where if isinstance(where, str) else where.path
        for part in self._parts:
            if (found := part.get(path)) is not None:
                if isinstance(where, Sandbox) and not _is_same(where, found.sandbox):
                    raise _another(where)
                return found
        found = self._parts[-1][path] = Visit(where)
        return found

    def is_alive(self, where: Sandbox) -> bool:
        """Return whether the path still names the same namespace. A namespace without a name counts as gone, even if
        it lives on because processes are in it, or because we hold a TAP that was taken over there. Raise RefusedError
        if that is unknown at present."""
        try:
            self.to(where)
        except (UsageError, ConflictError):
            return False
        return True

    def leave(self, path: str) -> None:
        """End the visit to a namespace, if there is one: its name is about to be removed, and may be used again."""
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
    """Return a number that no other namespace has had since the machine booted, unlike the inode, which is reused; 0 if
    there is none."""
    try:
        return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
    except OSError:
        return 0
