# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: find them, work in them, create and remove those that have a name as in `ip netns`."""

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from fastpath.control.kernel import syscalls as calls
from fastpath.control.kernel.netlink import links_mention
from fastpath.control.kernel.visit import OWN, NamespaceThread, Visit, open_namespace
from fastpath.control.model.objects import Sandbox
from fastpath.errors import FastpathError, UsageError
from fastpath.text import from_kernel

T = TypeVar("T")
NAMED = Path("/run/netns")


def resolve(name_or_path: str) -> Sandbox:
    """Return the present namespace of a name as in `ip netns`, or of a path. Raise UsageError."""
    path = name_or_path if "/" in name_or_path else str(NAMED / name_or_path)
    if not os.path.isabs(path) or not name_or_path or name_or_path in (".", ".."):
        raise UsageError(
            f'invalid network namespace "{name_or_path}": give a name as in `ip netns`, or an absolute path'
        )
    with Visit(path) as visit:
        return visit.sandbox


def is_named(sandbox: Sandbox) -> bool:
    """Return whether the path names a namespace with the same inode: a quick form of Visits.is_alive."""
    try:
        with opened(sandbox.path) as fd:
            return os.fstat(fd).st_ino == sandbox.inode
    except UsageError:
        return False


def exists(path: str) -> bool:
    """Return whether the path names a network namespace."""
    try:
        with opened(path):
            return True
    except UsageError:
        return False


def inside(where: str | Sandbox, function: Callable[[], T]) -> T:
    """Call a function in a short-lived thread in the namespace, and return its result. Sockets and files that the
    function opens belong to the namespace. Raise ConflictError if a Sandbox was replaced."""
    with Visit(where) as visit:
        return visit.run(function)


def that_mention(mark: str, paths: Iterable[str]) -> list[str]:
    """Return those of the namespaces where an interface may have an alias with this mark. A host may have hundreds of
    namespaces that have nothing to do with us: one thread looks into all of them, and parses nothing. Those that have
    just gone are left out."""
    found = []

    def look() -> None:
        for path in paths:
            with contextlib.suppress(FastpathError, OSError), opened(path) as fd:
                calls.enter_namespace(fd)
                if links_mention(mark.encode()):
                    found.append(path)

    with NamespaceThread("all namespaces", lambda: None) as worker:
        worker.run(look)
    return found


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """Open a file descriptor of the namespace. Raise UsageError if there is none."""
    fd = open_namespace(path)
    try:
        yield fd
    finally:
        os.close(fd)


def ensure_namespace(name: str, prepare: Callable[[], object]) -> Sandbox:
    """Return the network namespace with this name as in `ip netns`. If there is none, call `prepare` in a new one
    before it gets the name: a namespace with a name is always complete."""
    path = NAMED / name
    try:
        return resolve(name)
    except UsageError:
        pass
    with NamespaceThread(str(path), calls.new_namespace) as worker:
        worker.run(prepare)
        worker.run(lambda: _name_this(path))
    return resolve(name)


def remove_namespace(name: str) -> None:
    """Remove the name; the namespace is removed with everything in it, unless something else holds it. No error if
    there is none."""
    path = NAMED / name
    with contextlib.suppress(OSError):  # EINVAL: only a file, left by a killed process
        while True:
            calls.unmount(str(path))
    path.unlink(missing_ok=True)


def _name_this(path: Path) -> None:
    """Give the calling thread's namespace a name, as `ip netns add` does: the directory is a shared mount, so that
    other mount namespaces see new and removed names."""
    NAMED.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not _is_shared(NAMED):
        try:
            calls.mount("", str(NAMED), calls.MS_SHARED | calls.MS_REC)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: not a mount point yet
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
    lines = from_kernel(Path("/proc/thread-self/mountinfo").read_bytes()).split("\n")
    return any(re.match(rf"\S+ \S+ \S+ \S+ {re.escape(str(directory))} .*shared:", line) for line in lines)
