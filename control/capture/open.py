# SPDX-License-Identifier: Apache-2.0
"""Begin a capture as requested."""

from collections.abc import Iterable

from fastpath import Capture, Engine, Port, Segment
from fastpath.control.capture.request import CaptureRequest
from fastpath.control.model.objects import Endpoint
from fastpath.errors import NotFoundError
from fastpath.text import printable


def open_capture(
    engine: Engine, segment: Segment, wanted: CaptureRequest, names: dict[str, Port], *, label: bool = True
) -> Capture:
    """Begin. `names` are what ports may be called beside their interfaces' names, and with `label` they are called by
    the first of these in the capture. A filter may have to ask a resolver: not for an event loop. Raises
    FastpathError."""
    labels = {port: name for name, port in reversed(names.items())} if label else {}
    return engine.capture(
        segment,
        ports=[port for name in wanted.ports for port in _ports_of(segment, name, names)],
        remotes=wanted.remotes,
        drops=wanted.drops,
        directions=wanted.directions,
        outer=wanted.outer,
        filter=wanted.filter,
        snaplen=wanted.snaplen,
        name_of=lambda port: labels.get(port) or printable(port.name),
    )


def _ports_of(segment: Segment, name: str, names: dict[str, Port]) -> list[Port]:
    if name in names:
        return [names[name]]
    found = [port for port in segment.ports if name in {port.name, printable(port.name)}]
    if not found:
        known = sorted({*names, *(printable(port.name) for port in segment.ports)})
        raise NotFoundError(f"there is no port {name} here: the ports are {' '.join(known) or 'none'}")
    return found


def endpoint_ports(segment: Segment, endpoints: Iterable[Endpoint]) -> dict[str, Port]:
    """Return the ports of this host's endpoints by their host names, addresses and ids, in this order."""
    names: dict[str, Port] = {}
    for endpoint in endpoints:
        entry = segment.fdb.get(endpoint.mac)
        port = entry.to[0] if entry is not None else None
        if isinstance(port, Port):  # if not, it is just being made or removed
            called = [*endpoint.names, *(str(address.ip) for address in endpoint.addresses), endpoint.id]
            names.update(dict.fromkeys(called, port))
    return names
