# SPDX-License-Identifier: Apache-2.0
"""etcd's alarms: a host that writes nothing meets none of them, and its users are to know."""

from typing import Any

SENTENCES = {
    "NOSPACE": "etcd has no space left (NOSPACE), and takes nothing but deletions: type "
    "`etcdctl compact --physical {revision}`, `etcdctl defrag --cluster` and `etcdctl alarm disarm`",
    "CORRUPT": "a member of etcd has other data than the others (CORRUPT): see `etcdctl alarm list`, and replace it",
}


def sentence_of(status: Any) -> str | None:
    """Return what the answer to Maintenance.Status says is wrong, in one line; None if all is well."""
    errors = " ".join(status.errors)
    for alarm, text in SENTENCES.items():
        if f"alarm:{alarm}" in errors:
            return text.format(revision=status.header.revision)
    return None
