# SPDX-License-Identifier: Apache-2.0
"""The overlays that are compared: what each needs, and how it is laid over a site."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from fastpath.bench.common.command import missing
from fastpath.bench.e2e.names import FORMS, UNDERLAYS, Contestant
from fastpath.bench.e2e.sites import networks, peers, script
from fastpath.bench.e2e.sites.commits import commit_tree
from fastpath.bench.e2e.sites.peers import VNI
from fastpath.bench.e2e.sites.site import DEVICE, OVERLAY_MTU, Site
from fastpath.errors import RefusedError


@dataclass(frozen=True)
class Overlay:
    """One kind of overlay. `lay` leaves a device vx0 in both containers; addresses are given afterwards."""

    what: str
    programs: tuple[str, ...]
    lay: Callable[[Site, Contestant], None]
    forms: tuple[str, ...] = UNDERLAYS
    addressed: bool = False  # it gives its devices addresses and MTU by itself
    setup_s: float = 1.0  # how long it takes to lay, about

    def missing(self, form: str) -> str | None:
        """Return why it cannot run here or in this form, or None."""
        if (reason := missing(self.programs)) is not None:
            return reason
        return None if form in self.forms else f"this overlay is not set up in the form {form}"


def lay(overlay: Overlay, site: Site, contestant: Contestant) -> None:
    """Set the overlay up, and wait until frames pass. Raise FastpathError if they do not."""
    overlay.lay(site, contestant)
    site.overlay = contestant.name
    for number, _, container in site.sides if not overlay.addressed else ():
        container.ip(f"link set {DEVICE} mtu {OVERLAY_MTU}")
        if contestant.txqueuelen is not None:  # before the device is up, so before any traffic
            container.ip(f"link set {DEVICE} txqueuelen {contestant.txqueuelen}")
        container.address(f"10.9.0.{number}/24", device=DEVICE)
    site.check_reachable()


AGEING_S = 3600  # of large tables: nothing ages while they are measured
LARGE_TABLE = 1_200_000


def _vxlan(number: int) -> str:
    return f"type vxlan id {VNI} local 192.0.2.{number} remote 192.0.2.{3 - number} dstport 4789"


def kernel_bridge(site: Site, _: Contestant) -> None:
    """Lay vxlan + bridge + veth, as Docker's overlay does."""
    for number, host, container in site.sides:
        if "br0" not in host.links():
            host.ip(f"link add br0 up type bridge{f' ageing_time {AGEING_S}00' if site.underlay == 'fdb' else ''}")
            host.ip(f"link add vxlan0 {_vxlan(number)}{f' ageing {AGEING_S}' if site.underlay == 'fdb' else ''}")
            host.ip(f"link set vxlan0 mtu {OVERLAY_MTU} master br0 up")
        host.ip(f"link add port{number} mtu {OVERLAY_MTU} type veth peer name {DEVICE} netns {container.name}")
        host.ip(f"link set port{number} master br0 up")


def kernel_direct(site: Site, _: Contestant) -> None:
    """Lay the vxlan device in the container's own namespace."""
    for number, host, container in site.sides:
        host.ip(f"link add {DEVICE} mtu {OVERLAY_MTU} {_vxlan(number)}")
        host.ip(f"link set {DEVICE} netns {container.name}")


def device(site: Site, contestant: Contestant) -> None:
    """Lay one detached device of ours on each host."""
    if site.underlay == "local":
        peers.fastpath_local(site, contestant)
        return
    large = f"ageing {AGEING_S} maxaddress {LARGE_TABLE}".split() if site.underlay == "fdb" else []
    environment = {"FASTPATH_RUN_DIR": str(site.scratch / "run")}
    if contestant.commit is not None:
        environment["PYTHONPATH"] = str(commit_tree(contestant.commit))
    assignments = [f"{key}={value}" for key, value in environment.items()]
    for number, host, container in site.sides:
        words = f"id {VNI} local 192.0.2.{number} remote 192.0.2.{3 - number} netns {container.name}".split()
        commands = [["vxlan", "add", *contestant.options, DEVICE, *words, *large, "-d"]]
        if contestant.words is not None:
            commands.append(["forwarder", "set", DEVICE, contestant.words])
        for command in commands:
            done = host.run("env", *assignments, sys.executable, "-m", "fastpath", *command, check=False)
            if done.returncode != 0:
                said = (done.stdout + done.stderr).strip().splitlines()
                raise RefusedError(f"{contestant} does not start: {said[-1] if said else f'status {done.returncode}'}")


OVERLAYS: dict[str, Overlay] = {
    "kernel-bridge": Overlay("vxlan + bridge + veth in the kernel, as Docker lays it out", (), kernel_bridge, FORMS),
    "kernel-direct": Overlay("the kernel's vxlan device in the container itself", (), kernel_direct),
    "ovs": Overlay(
        "Open vSwitch, userspace datapath, afxdp-nonpmd underlay, internal port",
        ("ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl"),
        peers.ovs,
    ),
    "openvpn": Overlay("openvpn, TAP, no cipher, --fast-io", ("openvpn",), peers.openvpn),
    "fastd": Overlay("fastd, TAP, method null", ("fastd",), peers.fastd),
    "null": Overlay("our own I/O loop without VXLAN: TAP to UDP as it is", (), peers.null),
    "script": Overlay("what a script of yours lays: script:FILE", (), script.lay),
    "fastpath": Overlay(
        "a network of daemons, made with --kernel-path tcp unless named otherwise",
        ("nft",),
        networks.network,
        (*UNDERLAYS, "local"),
        addressed=True,
        setup_s=3.5,
    ),
    "fastpath-device": Overlay("fastpath vxlan add, one process a host, no daemon", (), device, FORMS),
    "forwarder": Overlay("fastpath vxlan add, then fastpath forwarder set", (), device),
}
