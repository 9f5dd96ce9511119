# SPDX-License-Identifier: Apache-2.0
"""What this host means to do, and the mirror may not show yet."""

from fastpath.control.cluster.mirror import Changes, Mirror
from fastpath.control.model.objects import Endpoint


class Intentions:
    """Endpoints that are to go, or whose creation failed. Until the mirror has lost them no pass may take them for
    wanted."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._abandoned: set[str] = set()

    def abandon(self, identity: str) -> None:
        """Want an endpoint no more. The store may have it, or come to have it."""
        self._abandoned.add(identity)

    def changed(self, changes: Changes) -> None:
        """Forget the endpoints that the mirror has lost."""
        self._abandoned -= {i for n, i in changes.endpoints if i not in self._mirror.endpoints.get(n, {})}

    def applied(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as it should be: leaving, if it is to go."""
        return endpoint if endpoint.id not in self._abandoned else endpoint.model_copy(update={"state": "leaving"})

    def __len__(self) -> int:
        return len(self._abandoned)
