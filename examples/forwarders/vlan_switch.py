# SPDX-License-Identifier: Apache-2.0
"""A switch with VLANs (IEEE 802.1Q) in one segment: access ports have one VLAN, trunks and remotes all, with tags.

fastpath forwarder set blue examples/forwarders/vlan_switch.py access=tap1=10,tap2=20 trunks=tap3
"""

import numpy as np

from fastpath import FLOOD, Burst, Forwarder, Table, UsageError

GROUP = 1 << 40  # set in addresses of many


class VlanSwitch(Forwarder):
    """`access` are PORT=VLAN. The switch learns `capacity` addresses, each until it was silent for `ageing` seconds."""

    rewrites, tick_interval = True, 10.0

    def __init__(self, access: list[str], trunks: list[str], capacity: int = 65536, ageing: float = 300.0) -> None:
        self.access = {port: int(vlan) for port, _, vlan in (pair.partition("=") for pair in access)}
        if not all(1 <= vlan <= 4094 for vlan in self.access.values()):
            raise UsageError(f"{', '.join(access)}: a VLAN is a number from 1 to 4094")
        self.trunks, self.ageing = trunks, ageing
        self.hosts = Table(capacity)
        self.place = self.hosts.column(np.uint32, FLOOD)
        self.seen = self.hosts.column(np.float64)
        self.refused, self.nowhere = self.reason("refused"), self.reason("nowhere")

    def start(self) -> None:
        self.vlan_of = {self.port(name): vlan for name, vlan in self.access.items()}
        self.trunk_ports = [self.port(name) for name in self.trunks]

    def forward(self, burst: Burst) -> None:
        vlan = np.where(burst.from_remote | np.isin(burst.port, self.trunk_ports), burst.vlan, 0)
        for port, own in self.vlan_of.items():
            here = burst.port == port
            vlan[here] = np.where(burst.vlan[here] == 0, own, 0)  # a tag does not belong there
        bare = (burst.vlan == 0) & (vlan != 0)
        good = (vlan != 0) & (burst.src_mac & GROUP == 0) & (~bare | burst.push_vlan(bare, vlan[bare]))

        prefix = vlan.astype(np.uint64) << np.uint64(48)
        rows = self.hosts.add((prefix | burst.src_mac)[good])
        self.place[rows], self.seen[rows] = burst.port[good], burst.now
        burst.out = self.place[self.hosts.find(prefix | burst.dst_mac)]
        burst.out[(burst.out == burst.port) | (burst.from_remote & burst.to_remote)] = self.nowhere
        burst.out[~good] = self.refused
        flooded = burst.out == FLOOD
        burst.pop_vlan(np.isin(burst.out, list(self.vlan_of)))

        burst.out[flooded] = self.nowhere  # unless somebody is there: first those who want tags
        for remote in self.flood_list:
            burst.send(flooded & burst.from_port, remote)
        for port in self.trunk_ports:
            burst.send(flooded & (burst.port != port), port)
        burst.pop_vlan(flooded)
        for port, own in self.vlan_of.items():
            burst.send(flooded & (burst.port != port) & (vlan == own), port)

    def tick(self) -> None:
        rows = self.hosts.rows
        self.hosts.remove(rows[self.seen[rows] < self.now - self.ageing])
