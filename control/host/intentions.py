# SPDX-License-Identifier: Apache-2.0
"""Decisions of this host that the mirror may not show yet."""

from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.model.objects import Endpoint


class Intentions:
    """Endpoints that will be removed, or whose creation failed. As long as the mirror has them, every pass treats them
    as leaving."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._abandoned: set[str] = set()

    def abandon(self, identity: str) -> None:
        """Mark an endpoint as unwanted, even if the store has it or still gets it."""
        self._abandoned.add(identity)

    def changed(self, changes: Changes) -> None:
        """Forget the endpoints that the mirror has lost."""
        self._abandoned -= {i for n, i in changes.endpoints if i not in self._mirror.endpoints.get(n, {})}

    def applied(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint, with the state "leaving" if it is unwanted."""
        return endpoint if endpoint.id not in self._abandoned else endpoint.model_copy(update={"state": "leaving"})

    def __len__(self) -> int:
        return len(self._abandoned)
