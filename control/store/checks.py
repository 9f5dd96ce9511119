# SPDX-License-Identifier: Apache-2.0
"""Checks that every store makes, so that code that works with one works with the other."""

import sys
from collections.abc import Sequence

from fastpath.control.store.interface import Compare, Delete, Put
from fastpath.errors import UsageError

MAX_CHANGES = 128  # changes, and conditions, of one commit: etcd's --max-txn-ops
MAX_BYTES = 1 << 20  # of one commit: etcd's --max-request-bytes is 1.5 MiB, its own framing included


def check_commit(compares: Sequence[Compare], changes: Sequence[Put | Delete]) -> None:
    """Raise UsageError for a commit that is too large, ValueError for one that makes no sense."""
    keys = [change.key for change in changes]
    for key in (*keys, *(compare.key for compare in compares)):
        check_key(key)
    if len(set(keys)) != len(keys):
        raise ValueError("a commit changes a key once at most")
    if any(compare.prefix and compare.revision for compare in compares):
        raise ValueError("a condition on a prefix is that there is no such key: revision 0")
    if max(len(compares), len(changes)) > MAX_CHANGES:
        raise UsageError(f"too much at once for the store: more than {MAX_CHANGES} keys")
    size = sum(len(change.key) + (len(change.value) if isinstance(change, Put) else 0) for change in changes)
    if size > MAX_BYTES:
        raise UsageError(f"too much at once for the store: {size} bytes, {MAX_BYTES} at most")


def check_key(key: str) -> None:
    """Raise ValueError for text that is neither a key nor a prefix."""
    if not key.startswith("/") or "\0" in key:
        raise ValueError(f'a key begins with "/" and has no NUL: {key!r}')


def prefix_end(prefix: str) -> str:
    """Return the first text, in the order of UTF-8's bytes, after all those that begin with `prefix`."""
    head, last = prefix[:-1], ord(prefix[-1])
    if last == sys.maxunicode:
        return prefix_end(head)
    return head + chr(0xE000 if last == 0xD7FF else last + 1)  # there are no characters from D800 to DFFF
