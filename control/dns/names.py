# SPDX-License-Identifier: Apache-2.0
"""The names of endpoints, from the mirror. A network's index is built when it is first needed."""

from dataclasses import dataclass, field

from fastpath.addresses import IPAddress
from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.model.objects import Network


@dataclass
class Index:
    """One network's names, in lower case, with their addresses, and addresses with their names."""

    addresses: dict[str, list[IPAddress]] = field(default_factory=dict)
    names: dict[IPAddress, str] = field(default_factory=dict)


class Names:
    """The names of all networks. For the event loop's thread."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._indices: dict[str, Index] = {}

    def changed(self, changes: Changes) -> None:
        """Forget the indices of networks that changed."""
        for name in {*changes.networks, *(network for network, _ in changes.endpoints)}:
            self._indices.pop(name, None)

    def index(self, network: Network) -> Index:
        """Return the index of a network. An endpoint that is leaving has no names."""
        found = self._indices.get(network.name)
        if found is None:
            found = self._indices[network.name] = self._make(network.name)
        return found

    def _make(self, network: str) -> Index:
        index = Index()
        for endpoint in self._mirror.endpoints.get(network, {}).values():
            if endpoint.state == "leaving":
                continue
            own = [interface.ip for interface in endpoint.addresses]
            for name in endpoint.names:
                index.addresses.setdefault(name, []).extend(own)
            if endpoint.names:
                index.names.update(dict.fromkeys(own, endpoint.names[0]))
        return index
