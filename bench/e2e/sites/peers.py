# SPDX-License-Identifier: Apache-2.0
"""Overlays that are programs of their own: Open vSwitch, openvpn, fastd, and the `null` loop.

Each makes a TAP in the host's namespace, which is then moved into the container.
"""

import subprocess
import sys
from pathlib import Path

from fastpath.bench.common.namespaces import Namespace, wait_for
from fastpath.bench.e2e.names import Contestant
from fastpath.bench.e2e.sites.site import DEVICE, OVERLAY_MTU, Site
from fastpath.errors import RefusedError

OVS_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
VNI = 42


def _move_device(host: Namespace, container: Namespace, process: subprocess.Popen[str], device: str = DEVICE) -> None:
    """Wait until the program has made its device, then move the device into the container."""

    def made() -> bool:
        if process.poll() is not None:
            said = [text.strip() for text in process.communicate() if text.strip()]
            raise RefusedError(f"it ended: {said[-1].splitlines()[-1] if said else 'without a word'}")
        return device in host.links()

    wait_for(made, f"{device} is made")
    host.ip(f"link set {device} netns {container.name} name {DEVICE}")


def null(site: Site, _: Contestant) -> None:
    """Lay our I/O loop without VXLAN work. Super-frames must fit one UDP datagram."""
    for number, host, container in site.sides:
        words = [DEVICE, f"192.0.2.{number}", f"192.0.2.{3 - number}"]
        process = host.spawn(sys.executable, "-m", "fastpath.bench.e2e.sites.null_overlay", *words)
        _move_device(host, container, process)
        container.ip(f"link set {DEVICE} gso_max_size 65000")


def fastpath_local(site: Site, contestant: Contestant) -> None:
    """Lay one engine with two TAPs on one segment (local_engine.py); `fastpath vxlan add` makes one TAP per device."""
    if contestant.commit is not None:
        raise RefusedError("another commit is not measured with both containers on one host")
    command = [sys.executable, "-m", "fastpath.bench.e2e.sites.local_engine", *contestant.options]
    process = site.h1.spawn(*command)
    for number, host, container in site.sides:
        _move_device(host, container, process, f"local{number}")


def openvpn(site: Site, _: Contestant) -> None:
    """Lay openvpn: point to point over UDP, TAP, without cipher and authentication."""
    common = f"--dev {DEVICE} --dev-type tap --proto udp --port 1194 --fast-io --tun-mtu {OVERLAY_MTU} --verb 1"
    for number, host, container in site.sides:
        ends = f"--local 192.0.2.{number} --remote 192.0.2.{3 - number}"
        process = host.spawn("openvpn", *common.split(), *ends.split(), stdin=subprocess.DEVNULL)
        _move_device(host, container, process)


def fastd(site: Site, _: Contestant) -> None:
    """Lay fastd: method null, TAP mode."""
    keys = [_fastd_key() for _ in site.sides]
    for number, host, container in site.sides:
        configuration = site.scratch / f"fastd{number}.conf"
        configuration.write_text(
            f'mode tap; method "null"; interface "{DEVICE}"; mtu {OVERLAY_MTU}; log level warn;\n'
            f'bind 192.0.2.{number}:10000; secret "{keys[number - 1][0]}";\n'
            f'peer "other" {{ key "{keys[2 - number][1]}"; remote 192.0.2.{3 - number}:10000; }}\n'
        )
        process = host.spawn("fastd", "--config", str(configuration), stdin=subprocess.DEVNULL)
        _move_device(host, container, process)


def _fastd_key() -> tuple[str, str]:
    """Return (secret, public key)."""
    secret = subprocess.run(
        ["fastd", "--generate-key", "--machine-readable"], capture_output=True, text=True, check=True
    ).stdout.strip()
    shown = subprocess.run(
        ["fastd", "--config", "-", "--show-key", "--machine-readable"],
        input=f'secret "{secret}";',
        capture_output=True,
        text=True,
        check=True,
    )
    return secret, shown.stdout.strip()


def ovs(site: Site, _: Contestant) -> None:
    """Lay the userspace datapath: the underlay by AF_XDP without a polling thread, the container's port a TAP."""
    for number, host, container in site.sides:
        directory = site.scratch / f"ovs{number}"
        directory.mkdir()
        process = _vswitchd(host, directory)
        control = f"ovs-vsctl --timeout=10 --db=unix:{directory}/db.sock"
        netdev = "datapath_type=netdev"
        host.ip("address flush dev u0")
        host.run(
            *f"{control} add-br underlay -- set bridge underlay {netdev}"
            f" -- add-port underlay u0 -- set interface u0 type=afxdp-nonpmd"
            f" -- add-br overlay -- set bridge overlay {netdev}"
            f" -- add-port overlay vxlan0 -- set interface vxlan0 type=vxlan"
            f" options:remote_ip=192.0.2.{3 - number} options:key={VNI}"
            f" -- add-port overlay {DEVICE} -- set interface {DEVICE} type=internal".split()
        )
        host.address(f"192.0.2.{number}/24", device="underlay")
        _move_device(host, container, process)


def _vswitchd(host: Namespace, directory: Path) -> subprocess.Popen[str]:
    """Start an instance of our own: database, server and switch, all in one directory."""
    environment = [f"OVS_{kind}={directory}" for kind in ("RUNDIR", "DBDIR", "LOGDIR", "SYSCONFDIR")]
    database, server = directory / "conf.db", f"unix:{directory}/db.sock"
    host.run("env", *environment, "ovsdb-tool", "create", str(database), OVS_SCHEMA)
    host.spawn("env", *environment, "ovsdb-server", str(database), f"--remote=p{server}", "-vconsole:err")
    wait_for((directory / "db.sock").exists, "ovsdb-server listens")
    host.run("ovs-vsctl", "--timeout=10", f"--db={server}", "--no-wait", "init")
    return host.spawn("env", *environment, "ovs-vswitchd", server, "-vconsole:err")
