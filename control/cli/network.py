# SPDX-License-Identifier: Apache-2.0
"""`fastpath network`"""

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from fastpath.control.api.json_client import JsonClient
from fastpath.control.cli.common.each import for_each, remove_each
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.control.cli.common.options import json_option, socket_option
from fastpath.control.cli.common.render import print_json, print_list, say, understood
from fastpath.control.model.choices import Carried, Driver, Layout
from fastpath.errors import UsageError

if TYPE_CHECKING:
    from fastpath.control.model.requests import NetworkInfo

WORDS = {
    "name": "name",
    "driver": "--driver",
    "subnets": "--subnet",
    "gateways": "--gateway",
    "vni": "--vni",
    "mtu": "--mtu",
    "layout": "--layout",
    "internal": "--internal",
    "options": "--opt",
    "port_security": "--port-security",
    "kernel_path": "--kernel-path",
}
F = TypeVar("F", bound=Callable[..., object])
SWITCH = click.Choice(["on", "off"])


def _is_on(_: click.Context, __: click.Parameter, value: str | None) -> bool | None:
    return value == "on" if value is not None else None


def _kernel_path(default: str) -> Callable[[F], F]:
    about = f"What the kernel's own vxlan carries, past the engine: TCP, or nothing{default}."
    return click.option("--kernel-path", type=click.Choice(get_args(Carried)), help=about)


@click.group()
def network() -> None:
    """Manage networks, which all hosts share.

    \b
    Example:
      fastpath network create blue --subnet 10.1.0.0/24
    """


@network.command("create")
@click.option(
    "--driver", type=click.Choice(get_args(Driver)), default="overlay", show_default=True, help="Kind of network."
)
@click.option(
    "--subnet",
    "subnets",
    multiple=True,
    metavar="SUBNET",
    help="IPv4 or IPv6 subnet; one of each.  [default: from the pool]",
)
@click.option(
    "--gateway", "gateways", multiple=True, metavar="ADDRESS", help="Gateway of a subnet.  [default: its first address]"
)
@click.option("--vni", type=int, metavar="VNI", help="VXLAN network identifier.  [default: a free one]")
@click.option(
    "--mtu", type=int, metavar="BYTES", help="MTU of the interfaces.  [default: from the underlay or the parent]"
)
@click.option(
    "--layout",
    type=click.Choice(get_args(Layout)),
    default="direct",
    show_default=True,
    help="What switches frames: the engine (direct), or a Linux bridge, as in Docker's overlay.",
)
@click.option("--internal", is_flag=True, help="Isolate from other networks.")
@click.option(
    "--port-security",
    type=SWITCH,
    callback=_is_on,
    default="on",
    show_default=True,
    help="Whether endpoints may send only from their own addresses.",
)
@_kernel_path(" (by default TCP, if all hosts can)")
@click.option("-o", "--opt", "options", multiple=True, metavar="KEY=VALUE", help="Driver option.")
@json_option
@socket_option
@click.argument("name")
@one_line_errors
def create(
    name: str, subnets: tuple[str, ...], options: tuple[str, ...], as_json: bool, socket: Path, **more: Any
) -> None:
    """Create a network on all hosts, and print its name.

    A macvlan network uses the subnet and the gateway of its parent's LAN.

    \b
    Options of macvlan, each as -o KEY=VALUE:
      parent        interface, on every host; a VLAN such as eth0.10 is created; without: a dummy, isolated
      macvlan_mode  bridge (the default), private, vepa or passthru
      shim          yes: hosts can reach their own containers
      ip_range      part of the subnet from which addresses are assigned

    \b
    Examples:
      fastpath network create blue
      fastpath network create blue --subnet 10.1.0.0/24 --subnet fd00:1::/64
      fastpath network create lan --driver macvlan --subnet 192.0.2.0/24 --gateway 192.0.2.254 -o parent=eth0
    """
    from fastpath.control.api.client import DaemonClient  # noqa: PLC0415  # pydantic, which the others do without
    from fastpath.control.cli.common.requests import build  # noqa: PLC0415
    from fastpath.control.model.requests import NetworkCreate  # noqa: PLC0415

    for subnet in subnets:
        _check_subnet(subnet)
    message = build(NetworkCreate, WORDS, name=name, subnets=subnets, options=_key_values(options), **more)
    _print(DaemonClient(socket).create_network(message), as_json)


@network.command("set")
@click.option(
    "--mtu", metavar="BYTES", help="MTU of the interfaces, also of those that exist; auto: from the underlay."
)
@click.option(
    "--port-security", type=SWITCH, callback=_is_on, help="Whether endpoints may send only from their own addresses."
)
@_kernel_path("")
@json_option
@socket_option
@click.argument("name")
@one_line_errors
def set_(name: str, as_json: bool, socket: Path, **changes: Any) -> None:
    """Change settings of a network on all hosts, and print its name.

    Its endpoints stay. Switch port security off for nested bridges and virtual routers, whose frames
    have other source addresses; for single addresses, see `fastpath endpoint allow`. Endpoints that
    were created without a kernel path stay with the engine.

    \b
    Examples:
      fastpath network set blue --mtu 1400
      fastpath network set blue --port-security off
      fastpath network set blue --kernel-path tcp
    """
    from fastpath.control.api.client import DaemonClient  # noqa: PLC0415  # pydantic, which the others do without
    from fastpath.control.cli.common.requests import build  # noqa: PLC0415
    from fastpath.control.model.requests import NetworkSet  # noqa: PLC0415

    if all(value is None for value in changes.values()):
        raise UsageError("nothing to change: give --mtu, --port-security or --kernel-path")
    message = build(NetworkSet, WORDS, **changes)
    _print(DaemonClient(socket).set_network(name, message), as_json)


def _print(info: "NetworkInfo", as_json: bool) -> None:
    if as_json:
        print_json(info.model_dump(mode="json"))
    else:
        say(info.network.name)


def _check_subnet(text: str) -> None:
    """Raise UsageError for the most common mistakes."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return  # `build` reports it
    if "/" not in text:
        raise UsageError(
            f'invalid --subnet "{text}": missing prefix length, e.g. {text}/{24 if interface.version == 4 else 64}'
        )
    if interface.ip != interface.network.network_address:
        raise UsageError(f'invalid --subnet "{text}": it is an address in {interface.network}')


def _key_values(texts: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f'invalid -o "{text}": expected KEY=VALUE, e.g. -o parent=eth0')
        if key in found:
            raise UsageError(f"-o {key} is given twice")
        found[key] = value
    return found


@network.command("ls")
@json_option
@socket_option
@one_line_errors
def ls(as_json: bool, socket: Path) -> None:
    """List networks.

    \b
    Example:
      fastpath network ls --json
    """
    found = JsonClient(socket).networks()
    if as_json:
        print_json(found)
        return
    with understood():
        rows = [_row(info) for info in found]
    print_list(("name", "driver", "vni", "subnets", "mtu", "layout", "endpoints", "here"), rows)


def _row(info: dict[str, Any]) -> tuple[str, ...]:
    network = info["network"]
    return (
        network["name"],
        network["driver"],
        str(network["vni"]) if network["vni"] is not None else "–",
        " ".join(subnet["pool"] for subnet in network["subnets"]),
        str(info["mtu"]) if info["mtu"] is not None else "–",
        _layout(network),
        str(info["endpoints"]),
        str(info["local_endpoints"]),
    )


def _layout(network: dict[str, Any]) -> str:
    """Return the layout of an overlay, or mode and parent of a macvlan network."""
    if network["driver"] == "overlay":
        return str(network["layout"])
    options = network["options"]
    return f"{options.get('macvlan_mode', 'bridge')} on {options.get('parent', 'a dummy')}"


@network.command("inspect")
@json_option
@socket_option
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@one_line_errors
def inspect(names: tuple[str, ...], as_json: bool, socket: Path) -> None:
    """Show networks and their endpoints.

    \b
    Example:
      fastpath network inspect blue --json
    """
    client = JsonClient(socket)
    found: list[dict[str, Any]] = []
    try:
        for_each(names, lambda name: found.append(client.network(name)))
    finally:
        if as_json:
            print_json(found)
        else:
            with understood():
                say("\n\n".join(_describe(detail) for detail in found), nl=bool(found))


def _describe(detail: dict[str, Any]) -> str:
    network = detail["network"]
    overlay = network["driver"] == "overlay"
    kind = f"VNI {network['vni']}, layout {_layout(network)}" if overlay else _layout(network)
    kind += ", internal" if network["internal"] else ""
    kind += "" if network["port_security"] else ", port security off"
    kind += "" if network["kernel_path"] == "off" else f", kernel path {network['kernel_path']}"
    lines = [
        f"{network['name']}: {network['driver']}, {kind}",
        *(f"  subnet    {subnet['pool']}, gateway {subnet['gateway']}" for subnet in network["subnets"]),
        f"  mtu       {_mtu(detail)}",
        *(f"  option    {key}={value}" for key, value in network["options"].items()),
        f"  endpoints {detail['endpoints']}, {detail['local_endpoints']} on this host",
        *(f"    {_describe_member(member)}" for member in detail["members"]),
    ]
    return "\n".join(lines)


def _mtu(info: dict[str, Any]) -> str:
    if info["mtu"] is None:
        return "of the parent, on each host"
    return f"{info['mtu']}{'' if info['network']['mtu'] is not None else ', from the underlay'}"


def _describe_member(member: dict[str, Any]) -> str:
    addresses, names = " ".join(member["addresses"]), " ".join(member["names"])
    state = f", {member['state']}" if member["state"] != "ready" else ""
    place = f"{member['ifname']} on {member['host']}"
    allowed = " ".join(member["allowed"])
    more = f"{f', {names}' if names else ''}{f', allowed {allowed}' if allowed else ''}{state}"
    return f"{member['id']}  {addresses}  {member['mac']}  {place}{more}"


@network.command("rm")
@json_option
@socket_option
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@one_line_errors
def rm(names: tuple[str, ...], as_json: bool, socket: Path) -> None:
    """Remove networks without endpoints, from all hosts.

    \b
    Example:
      fastpath network rm blue green
    """
    remove_each(names, JsonClient(socket).remove_network, as_json=as_json)
