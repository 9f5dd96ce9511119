# SPDX-License-Identifier: Apache-2.0
"""Build the resolvers."""

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.dns.answer import Answers
from fastpath.control.dns.counts import Counts
from fastpath.control.dns.forward import Forwarder, host_servers
from fastpath.control.dns.names import Names
from fastpath.control.dns.server import Server
from fastpath.control.dns.sockets import Sockets
from fastpath.control.runtime.config import DaemonConfig


def resolvers(config: DaemonConfig, sockets: Sockets, mirror: Mirror, counts: Counts) -> Server:
    """Return the server that answers containers, by the names that the mirror shows."""
    names = Names(mirror)
    mirror.subscribe(names.changed)
    fixed = [(str(address), 53) for address in config.dns_servers] if config.dns_servers is not None else None
    answers = Answers(names, Forwarder(host_servers() if fixed is None else lambda: fixed), counts)
    return Server(sockets, answers, counts)
