# SPDX-License-Identifier: Apache-2.0
"""The kernel path of this host: its programs, the pen in which they sit, and the networks that use it
(docs/kernel-path.md). Without it, engines carry everything."""

import logging
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING

from fastpath import Engine, Segment
from fastpath.addresses import IPAddress
from fastpath.control.drivers import cleanup, naming
from fastpath.control.drivers.kernel_network import KernelNetwork
from fastpath.control.drivers.overlay.pen import Pen
from fastpath.control.drivers.overlay.penned import PennedLayout
from fastpath.control.drivers.overlay.probe_device import Asker, ProbeDevice
from fastpath.control.kernel.netlink.tunnels import Tunnel
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.objects import Endpoint, Network
from fastpath.errors import FastpathError, RefusedError
from fastpath.forwarder.forwarder import LearningBridge
from fastpath.kernelpath import unavailable

if TYPE_CHECKING:
    from fastpath.engine.stats import Traffic
    from fastpath.kernelpath.path import KernelPath

log = logging.getLogger(__name__)

SOURCE_PORTS = (49152, 65535)  # RFC 7348, 5: the dynamic ports


class Carrier:
    """All methods are called within a pass. `udp_port` is that of the vxlan devices; 0: networks have none here, and
    the engine carries all frames, also of ports that are in the pen already. So it does while `unguarded` says why
    nobody checks who sends to the vxlan devices. `members` is called with
    everybody who may send to it, (VTEP, VNI), when that changes. `asker` proves the way to each; `mtu` returns the
    longest packet of a container, in bytes, that leaves this host in one piece. The engine carries all frames of
    networks that are `captured`."""

    def __init__(
        self,
        engine: Engine,
        host: str,
        visits: Visits,
        *,
        vtep: IPAddress,
        udp_port: int,
        asker: Asker,
        mtu: Callable[[], int],
        captured: Container[str] = (),
        unguarded: Callable[[], str] = lambda: "",
        members: Callable[[frozenset[tuple[IPAddress, int]]], object] = lambda _: None,
    ) -> None:
        self.udp_port = udp_port
        self.pen = Pen(host, visits)
        self.layout = PennedLayout(engine, host, self.pen, self.path, visits)
        self._probes = ProbeDevice(host, self.pen, asker)
        self._host = host
        self._mtu = mtu
        self._captured = captured
        self._unguarded = unguarded
        self._vtep = vtep
        self._networks: dict[str, KernelNetwork] = {}
        self._members = members
        self._assumed: frozenset[tuple[IPAddress, int]] = frozenset()  # until all networks have been seen
        self._path: KernelPath | None = None
        self._refusal: RefusedError | None = None

    def path(self) -> "KernelPath":
        """Return programs and maps, those of an earlier process if there are some. Raise RefusedError if this
        installation or this kernel has none."""
        if self._refusal is not None:
            raise self._refusal
        if self._path is None:
            try:
                if reason := unavailable():
                    raise RefusedError(f"there is no kernel path: {reason}")
                from fastpath.kernelpath.path import KernelPath  # noqa: PLC0415  # which not every installation has

                self._path = KernelPath(self.pen.programs().values())
            except RefusedError as error:
                self._refusal = error
                raise
        return self._path

    @property
    def refusal(self) -> str:
        """Return why there is no kernel path here; "" if there is one."""
        try:
            self.path()
        except RefusedError as error:
            return str(error)
        return self._unguarded() if self.udp_port else "kernel_port is 0"

    def network(self, network: Network) -> KernelNetwork | None:
        """Return the kernel path's part in a network, if it has one."""
        return self._networks.get(network.name)

    def assume(self, members: frozenset[tuple[IPAddress, int]]) -> None:
        """Let these send, too, until all networks have been ensured."""
        self._assumed = members

    def take_over(self, network: Network) -> None:
        """Let a network go on with what an earlier process left in the pen: its vxlan device, or ports alone."""
        if network.layout != "direct" or network.vni is None or self.pen.find() is None:
            return
        try:
            known = self._network(network, network.vni)
            if self.udp_port and not self._unguarded():
                known.use_tunnel(self.pen.tunnel(network.vni))
        except FastpathError as error:
            log.debug("the kernel path of %s is not taken over", network.name, exc_info=error)

    def ensure_network(self, network: Network, segment: Segment, mtu: int) -> None:
        """Create or repair the network's vxlan device, or remove it if the network uses the engine only. Raise
        RefusedError."""
        if network.layout != "direct":
            return
        if network.kernel_path == "off" or not self.udp_port:
            self._leave(network, segment)
            return
        if why := self._unguarded():
            self._leave(network, segment)
            raise RefusedError(why)
        known = self._network(network, segment.vni)
        self._probes.ensure(Tunnel(naming.PROBE_VNI, self._vtep, self.udp_port, SOURCE_PORTS), self._mtu())
        tunnel = Tunnel(segment.vni, self._vtep, self.udp_port, SOURCE_PORTS)
        alias = naming.of_network(self._host, network.name)
        known.use_tunnel(self.pen.ensure_tunnel(alias, tunnel, mtu, self.path().from_tunnel))
        known.switch(is_plain(segment) and network.name not in self._captured)

    def _leave(self, network: Network, segment: Segment) -> None:
        """Let the engine carry all frames of a network."""
        if (known := self._networks.get(network.name)) is not None:
            known.switch(False)
            known.use_tunnel(None)
            self.pen.remove_tunnel(segment.vni)

    def remove_network(self, network: Network, segment: Segment | None) -> None:
        """Remove the network's interfaces from the pen, and the pen with the last ones."""
        if (known := self._networks.pop(network.name, None)) is not None:
            known.remove()
            self._tell_members()
        if segment is not None:
            self.layout.ports.release_network(segment)
        if network.vni is not None:
            self.pen.remove_tunnel(network.vni)
        if self.pen.is_empty():
            self._remove_pen()

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """Remove the endpoint's interfaces from the pen, if there are some."""
        if (known := self._networks.get(network.name)) is not None:
            known.remove_port(endpoint.id)
        self.layout.remove_endpoint(network, endpoint)

    def remove_strays(self, host: str, wanted: Iterable[Endpoint]) -> list[str]:
        """Remove from the pen what an earlier process left and nothing needs; return what was done."""
        wanted = list(wanted)
        self.layout.ports.release_others({endpoint.id for endpoint in wanted})
        said = cleanup.remove_veths(host, naming.pen_name(host), wanted)
        if self.pen.is_empty() and self._remove_pen():
            said.append(f"removed the network namespace {naming.pen_name(host)}: nothing needs it")
        return said

    def sync(self) -> int:
        """Compare everything with what the networks want, and repair it. Return how many repairs were needed. Whatever
        no network wants is removed, so all networks have to be there."""
        if self._path is None:
            return 0
        from fastpath.kernelpath.sync import Wanted, sync  # noqa: PLC0415

        networks = self._networks.values()
        wanted = Wanted(
            {port: at for known in networks for port, at in known.ports.items()},
            {tunnel: vni for known in networks for tunnel, vni in known.tunnels.items()},
            {sender: at for known in networks for sender, at in known.senders.items()},
            {mac: to for known in networks for mac, to in known.destinations.items()},
        )
        if self._assumed:
            self._assumed = frozenset()
            self._tell_members()
        differing = sync(self._path, wanted)
        differing += sum(self.pen.ensure_tunnel_entries(known.vni, known.tunnel_entries) for known in networks)
        return differing + self._probes.sync()

    def carried(self) -> "list[tuple[int, dict[str, Traffic], dict[IPAddress, Traffic]]]":
        """Return what was carried of each network: its VNI, by the names of ports, and by VTEP. For any thread."""
        found = []
        for known in list(self._networks.values()):
            ports, remotes = known.traffic
            named = {port.name: ports[i] for i, port in list(self.layout.ports.items()) if i in ports}
            found.append((known.vni, named, remotes))
        return found

    def verdicts(self) -> dict[str, int]:
        """Return how often the programs decided what; {} without programs. For any thread."""
        path = self._path
        return path.verdicts() if path is not None else {}

    def close(self) -> None:
        """Give up programs and maps. What is attached goes on."""
        if self._path is not None:
            self._path.close()
            self._path = None

    def _network(self, network: Network, vni: int) -> KernelNetwork:
        known = self._networks.get(network.name)
        if known is None:
            known = KernelNetwork(self.path(), vni, self.pen, self.layout.places, self._tell_members)
            self._networks[network.name] = known
        return known

    def _remove_pen(self) -> bool:
        self._probes.close()
        return self.pen.remove()

    def _tell_members(self) -> None:
        vteps = {vtep for known in self._networks.values() for vtep in known.vteps}
        members = {(vtep, known.vni) for known in self._networks.values() for vtep in known.vteps}
        self._members(frozenset(self._assumed | members | {(vtep, naming.PROBE_VNI) for vtep in vteps}))
        self._probes.set_vteps(vteps)


def is_plain(segment: Segment) -> bool:
    """Return whether the engine's own forwarder decides about the segment's frames."""
    return isinstance(segment.forwarder, LearningBridge)
