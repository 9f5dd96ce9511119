# SPDX-License-Identifier: Apache-2.0
"""Decisions of this host that the mirror may not show yet."""

import json
import logging
from pathlib import Path

from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.model.objects import Endpoint
from fastpath.control.runtime import durable

log = logging.getLogger(__name__)


class Intentions:
    """Endpoints that will be removed, or whose creation failed. As long as the mirror has them, every pass treats them
    as leaving. Those that a person removed while the store was not to be written are kept in `file`."""

    def __init__(self, mirror: Mirror, file: Path | None = None) -> None:
        self._mirror = mirror
        self._file = file
        self._kept = self._read()
        self._abandoned = set(self._kept)

    def abandon(self, identity: str) -> None:
        """Mark an endpoint as unwanted, even if the store has it or still gets it."""
        self._abandoned.add(identity)

    def abandon_for_good(self, identity: str) -> None:
        """Do the same, over a restart of the daemon, too."""
        self._abandoned.add(identity)
        self._kept.add(identity)
        self._write()

    def changed(self, changes: Changes) -> None:
        """Forget the endpoints that the mirror has lost."""
        lost = {i for n, i in changes.endpoints if i not in self._mirror.endpoints.get(n, {})}
        self._abandoned -= lost
        if self._kept & lost:
            self._kept -= lost
            self._write()

    def applied(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint, with the state "leaving" if it is unwanted."""
        return endpoint if endpoint.id not in self._abandoned else endpoint.model_copy(update={"state": "leaving"})

    def __contains__(self, identity: str) -> bool:
        return identity in self._abandoned

    def __len__(self) -> int:
        return len(self._abandoned)

    def _read(self) -> set[str]:
        if self._file is None:
            return set()
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()
        except (OSError, ValueError):
            return set()

    def _write(self) -> None:
        if self._file is None:
            return
        try:
            durable.write(self._file, json.dumps(sorted(self._kept)).encode())
        except OSError as error:
            log.warning("%s cannot be written (%s): what was removed may be back after a restart", self._file, error)
