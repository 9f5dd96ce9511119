# SPDX-License-Identifier: Apache-2.0
"""Which networks the objects may be about that cannot be read: there, an address that this host does not know may be
somebody's all the same. Whoever may write about one host only causes no doubt about all networks."""

from collections import Counter

from fastpath.control.cluster import keys
from fastpath.control.model.objects import Endpoint


class Doubts:
    """What is in doubt, by the keys of objects that cannot be read."""

    def __init__(self) -> None:
        self._subjects: Counter[keys.Subject] = Counter()
        self._hosts = 0  # how many of them are hosts

    def add(self, key: str) -> keys.Subject:
        """Note an object that cannot be read. Return what it is about."""
        subject = keys.subject_of(key)
        self._subjects[subject] += 1
        self._hosts += subject.host is not None
        return subject

    def remove(self, key: str) -> keys.Subject:
        """Note that it can be read, or is gone. Return what it is about."""
        subject = keys.subject_of(key)
        self._subjects[subject] -= 1
        self._hosts -= subject.host is not None
        if not self._subjects[subject]:
            del self._subjects[subject]
        return subject

    @property
    def about_all(self) -> bool:
        """Whether any network may be concerned."""
        return keys.Subject() in self._subjects

    def about(self, name: str, members: dict[str, Endpoint]) -> bool:
        """Return whether a network with these endpoints is concerned."""
        if self.about_all or keys.Subject(network=name) in self._subjects:
            return True
        hosts = {endpoint.host for endpoint in members.values()} if self._hosts else ()
        return any(keys.Subject(host=host) in self._subjects for host in hosts)
