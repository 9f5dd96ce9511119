# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: find one, do something in one, make and remove those that have a name as in `ip netns`."""

import contextlib
import errno
import fcntl
import os
import re
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from fastpath.control.kernel import syscalls as calls
from fastpath.control.model.objects import Sandbox
from fastpath.errors import ConflictError, RefusedError, UsageError

T = TypeVar("T")
NAMED = Path("/run/netns")
SO_NETNS_COOKIE = 71
OWN = "/proc/thread-self/ns/net"
# Of a path that names nothing (any more). All else, as too many open files, says nothing about the namespace.
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ESRCH}


def resolve(name_or_path: str) -> Sandbox:
    """The namespace that a name as in `ip netns`, or a path, means at present. Raises UsageError."""
    path = name_or_path if "/" in name_or_path else str(NAMED / name_or_path)
    if not os.path.isabs(path) or not name_or_path or name_or_path in (".", ".."):
        raise UsageError(f'"{name_or_path}" is no network namespace: give a name as in `ip netns`, or an absolute path')
    with contextlib.closing(_open(path)) as namespace:
        cookie = _Visit(lambda: calls.enter_namespace(namespace.fd), _cookie).outcome(path)
        return Sandbox(path=path, inode=namespace.inode, cookie=cookie)


def is_named(sandbox: Sandbox) -> bool:
    """Whether the path names a namespace with the same inode: the quick form of is_alive."""
    try:
        with contextlib.closing(_open(sandbox.path)) as namespace:
            return namespace.inode == sandbox.inode
    except UsageError:
        return False


def is_alive(sandbox: Sandbox) -> bool:
    """Whether the path still names the same namespace. One that lost its last name may live on for as long as
    processes are in it, or as we hold a TAP that was taken over there; it counts as gone. Raises RefusedError where
    that cannot be told at present."""
    try:
        return inside(sandbox, lambda: True)
    except (UsageError, ConflictError):
        return False


def exists(path: str) -> bool:
    """Whether the path names a network namespace."""
    try:
        with contextlib.closing(_open(path)):
            return True
    except UsageError:
        return False


def inside(where: str | Sandbox, function: Callable[[], T]) -> T:
    """Call a function in a short-lived thread that entered the namespace, and return what it returns. Sockets
    and files that it opens belong there. Raises ConflictError where a Sandbox is not the one it was."""

    def checked() -> T:
        if isinstance(where, Sandbox) and where.cookie not in (0, _cookie()):
            raise _another(where)
        return function()

    with opened(where) as fd:
        return _Visit(lambda: calls.enter_namespace(fd), checked).outcome(_path(where))


@contextlib.contextmanager
def opened(where: str | Sandbox) -> Iterator[int]:
    """A file descriptor of the namespace. Raises as `inside` does."""
    with contextlib.closing(_open(_path(where))) as namespace:
        if isinstance(where, Sandbox) and namespace.inode != where.inode:
            raise _another(where)
        yield namespace.fd


def _another(where: Sandbox) -> ConflictError:
    return ConflictError(f"the sandbox {where.path} was removed, and another one has its name now")


def _cookie() -> int:
    """A number that the calling thread's namespace shares with none since the machine booted, other than its inode,
    which the next one may have (SO_NETNS_COOKIE of <asm-generic/socket.h>, Linux 5.14); 0 where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")
        except OSError:
            return 0


def ensure_namespace(name: str, prepare: Callable[[], object]) -> Sandbox:
    """A network namespace with this name as in `ip netns`. If there is none, `prepare` is called in a new one
    before that gets its name: what has a name is never half made."""
    path = NAMED / name
    try:
        return resolve(name)
    except UsageError:
        pass

    def make() -> None:
        prepare()
        _name_this(path)

    _Visit(calls.new_namespace, make).outcome(str(path))
    return resolve(name)


def remove_namespace(name: str) -> None:
    """Take the name away; the namespace goes, with all that is in it, unless something else holds it. No error
    where there is none."""
    path = NAMED / name
    with contextlib.suppress(OSError):  # EINVAL: a file only, left by somebody who was killed in between
        while True:
            calls.unmount(str(path))
    path.unlink(missing_ok=True)


def _path(where: str | Sandbox) -> str:
    return where if isinstance(where, str) else where.path


class _Namespace:
    """An open one."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.inode = os.fstat(fd).st_ino

    def close(self) -> None:
        os.close(self.fd)


def _open(path: str) -> _Namespace:
    """Raises UsageError where the path names no network namespace, RefusedError where that cannot be told."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if stat.S_ISREG(os.stat(path).st_mode) else -1
    except ValueError:  # a NUL in it
        raise UsageError(f"{path!r} is no path: see `ip netns`") from None
    except OSError as error:
        if error.errno in _ABSENT:
            raise UsageError(f'there is no network namespace "{path}": see `ip netns`') from error
        raise RefusedError(f'cannot open the network namespace "{path}": {error.strerror}') from error
    if fd < 0:  # to open a device or a pipe may do things
        raise UsageError(f'"{path}" is not a network namespace: see `ip netns`')
    try:
        if fcntl.ioctl(fd, calls.NS_GET_NSTYPE) == calls.CLONE_NEWNET:
            return _Namespace(fd)
    except OSError:
        pass
    os.close(fd)
    raise UsageError(f'"{path}" is not a network namespace: see `ip netns`')


class _Visit(Generic[T]):
    """One call in a thread of its own, since a namespace belongs to a thread, and this one ends."""

    def __init__(self, enter: Callable[[], None], function: Callable[[], T]) -> None:
        self._enter, self._function = enter, function
        self._result: list[T] = []
        self._error: BaseException | None = None
        thread = threading.Thread(target=self._run, name="fastpath-netns")
        thread.start()
        thread.join()

    def _run(self) -> None:
        try:
            try:
                self._enter()
            except OSError as error:
                needs = " (needs CAP_SYS_ADMIN: run as root)" if error.errno == errno.EPERM else ""
                raise RefusedError(f"cannot enter a network namespace: {error.strerror}{needs}") from error
            self._result.append(self._function())
        except BaseException as error:  # raised again by the thread that waits
            self._error = error

    def outcome(self, path: str) -> T:
        """What the function returned, or raise what it raised."""
        if isinstance(self._error, OSError):
            raise RefusedError(f"{path}: {self._error.strerror or self._error}") from self._error
        if self._error is not None:
            raise self._error
        return self._result[0]


def _name_this(path: Path) -> None:
    """Give the calling thread's namespace a name, in the way of `ip netns add`: the directory is a shared mount,
    so that other mount namespaces see names come and go."""
    NAMED.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not _is_shared(NAMED):
        try:
            calls.mount("", str(NAMED), calls.MS_SHARED | calls.MS_REC)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: no mount point as yet
                raise
            calls.mount(str(NAMED), str(NAMED), calls.MS_BIND | calls.MS_REC)
            calls.mount("", str(NAMED), calls.MS_SHARED | calls.MS_REC)
    path.touch(mode=0o444)
    try:
        calls.mount(OWN, str(path), calls.MS_BIND)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _is_shared(directory: Path) -> bool:
    lines = Path("/proc/thread-self/mountinfo").read_text(encoding="utf-8").splitlines()
    return any(re.match(rf"\S+ \S+ \S+ \S+ {re.escape(str(directory))} .*shared:", line) for line in lines)
