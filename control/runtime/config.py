# SPDX-License-Identifier: Apache-2.0
"""fastpath.toml and the options of `fastpath daemon` -> one frozen DaemonConfig. examples/fastpath.toml
explains every key."""

import difflib
import ipaddress
import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationError, model_validator

from fastpath.addresses import IPAddress, parse_ip
from fastpath.control.model.objects import IPNetwork, Model, Name
from fastpath.control.model.store_url import StoreUrl, parse_store_url
from fastpath.control.runtime.engine_options import (
    DEFAULT_SOURCE_PORTS,
    MAX_SOURCE_PORTS,
    MAX_WORKERS,
    SourcePorts,
    Spin,
    UdpPort,
    Workers,
    default_workers,
)
from fastpath.control.runtime.paths import SOCKET, STATE_DIR
from fastpath.engine.limits import DEFAULT_SPIN_US, MAX_SPIN_US, check_name
from fastpath.engine.offloads import Offloads
from fastpath.errors import UsageError

MOST_PREFIX6 = 96  # a container's address ends with its IPv4 address
LEAST_LEASE_S = 5  # a lease must outlive a restart of the daemon, and a few lost messages


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("a path that begins with /")
    return path


def _listen(text: object) -> object:
    """Convert "host:port" or "[v6]:port" to (host, port), and "/path" to a Path."""
    if not isinstance(text, str):
        return text
    if text.startswith("/"):
        return Path(text)
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError('"host:port", "[v6 address]:port", or the path of a unix socket')
    return host.removeprefix("[").removesuffix("]"), int(port)


def _vtep(text: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F.:]+", text) and re.search(r"[.:]", text):
        return str(parse_ip(text))
    check_name(text)
    return text


def _no_number(value: object) -> object:
    """Refuse numbers, which ipaddress accepts as addresses."""
    if isinstance(value, int):
        raise ValueError("text in quotes")
    return value


def _store_url(url: str) -> str:
    return str(parse_store_url(url))


def _dns_server(value: object) -> object:
    """Return the address that a text means, as in resolv.conf."""
    if not isinstance(value, str):
        raise ValueError("text in quotes")
    return parse_ip(value)


DnsServer = Annotated[IPAddress, BeforeValidator(_dns_server)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Listen = Annotated[Path | tuple[str, int], BeforeValidator(_listen)]
Switch = Annotated[bool, Strict()]
Count = Annotated[int, Strict()]
Seconds = Annotated[float, Strict(), Field(gt=0, le=86400)]


class StoreSettings(Model):
    """The URL of the store, and the credentials for it. Without `url`, it is an SQLite file in the state directory."""

    url: Annotated[str, AfterValidator(_store_url)] | None = None
    ca: AbsolutePath | None = None
    cert: AbsolutePath | None = None
    key: AbsolutePath | None = None
    user: str | None = None
    password_file: AbsolutePath | None = None

    @model_validator(mode="before")
    @classmethod
    def _url_alone(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together: give both or none")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together: give both or none")
        if self.credentials() and not (self.url or "").startswith("etcd:"):
            raise ValueError(f"{', '.join(self.credentials())}: only a store at etcd://… takes them")
        return self

    def credentials(self) -> dict[str, Any]:
        """Return the settings beside the URL: the arguments of StoreOptions."""
        return self.model_dump(exclude={"url"}, exclude_none=True)


class OffloadSettings(Model):
    """fastpath.engine.offloads.Offloads, from a file."""

    tso: Switch = True
    uso: Switch = True
    gso: Switch = True
    gro: Switch = True
    merge: Switch = True


class DaemonConfig(Model):
    """The settings of the daemon. Times are in seconds."""

    host: Name = Field(default_factory=socket.gethostname, validate_default=True)
    vtep: Annotated[str, AfterValidator(_vtep)] | None = None
    """An address or the name of an interface; None: the address of the default route's interface."""
    store: StoreSettings = StoreSettings()
    socket: AbsolutePath = SOCKET
    state_dir: AbsolutePath = STATE_DIR
    udp_port: UdpPort = 4789
    kernel_port: Annotated[Count, Field(ge=0, le=65535)] = 14789
    """The UDP port of the kernel path; 0: this host has none."""
    pool: Annotated[IPNetwork, BeforeValidator(_no_number)] = ipaddress.IPv4Network("10.0.0.0/8")
    pool_prefix: Annotated[Count, Field(ge=1, le=126)] = 24
    gateway_bridge: Switch = True
    gateway_address: Annotated[ipaddress.IPv4Interface, BeforeValidator(_no_number)] = ipaddress.IPv4Interface(
        "172.30.0.1/16"
    )
    gateway_address6: Annotated[ipaddress.IPv6Interface | Literal["auto", "off"], BeforeValidator(_no_number)] = "auto"
    """"auto": an address in a unique local subnet that is derived from the host's id."""
    gateway_masquerade6: Switch = True
    gateway_connections: Annotated[Count, Field(ge=1, le=1 << 24)] | None = None
    """The most connections of one container; None: an eighth of what the kernel tracks."""
    workers: Workers = Field(default_factory=default_workers)
    spin: Spin = DEFAULT_SPIN_US
    pin: Switch = False
    source_ports: SourcePorts = DEFAULT_SOURCE_PORTS
    offloads: OffloadSettings = OffloadSettings()
    known_peers_only: Switch = True
    guard: Switch | Literal["loose"] = True
    guard_owned: Switch = True
    lease_ttl: Annotated[Count, Field(ge=LEAST_LEASE_S, le=3600)] = 30
    grace: Annotated[float, Strict(), Field(ge=0, le=30 * 86400)] = 300
    probe_interval: Seconds = 5
    reconcile_interval: Seconds = 30
    metrics: Listen | None = None
    docker_plugin_dir: AbsolutePath | None = None
    docker_socket: AbsolutePath = Path("/var/run/docker.sock")
    dns: Switch = True
    dns_servers: tuple[DnsServer, ...] | None = None
    """Servers for queries about names outside the overlay; None: those of /etc/resolv.conf."""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not self.pool.prefixlen <= self.pool_prefix <= self.pool.max_prefixlen - 2:
            least, most = self.pool.prefixlen, self.pool.max_prefixlen - 2
            raise ValueError(f"pool_prefix {self.pool_prefix} does not cut {self.pool}: give {least} to {most}")
        self._check_gateway()
        return self

    def _check_gateway(self) -> None:
        addresses = {"gateway_address": self.gateway_address, "gateway_address6": self.gateway_address6}
        for key, address in addresses.items():
            if isinstance(address, str):
                continue
            network = address.network
            if self.gateway_bridge and network.version == self.pool.version and network.overlaps(self.pool):
                raise ValueError(f"{key} {address} lies in the pool {self.pool}: choose another")
            if network.version == 6 and network.prefixlen > MOST_PREFIX6:
                raise ValueError(f"{key} {address} has too long a prefix: give one of {MOST_PREFIX6} or less")
        if not self.gateway_masquerade6 and self.gateway_address6 == "auto":
            raise ValueError("gateway_masquerade6 is false: give gateway_address6, which others have a route to")

    @property
    def store_url(self) -> str:
        """Return the URL of the store."""
        return self.store.url or str(StoreUrl(path=self.state_dir / "store.db"))

    @property
    def engine_offloads(self) -> Offloads:
        """Return the switches in the engine's form."""
        return Offloads(**self.offloads.model_dump())


_HINTS = {
    "metrics": '"host:port", "[v6 address]:port", or the path of a unix socket',
    "udp_port": "a UDP port, 1 to 65535",
    "pool": "a subnet such as 10.0.0.0/8",
    "gateway_address": "an IPv4 address with its prefix, such as 172.30.0.1/16",
    "gateway_address6": 'an IPv6 address with its prefix, such as fd00:1::1/64, or "auto" or "off"',
    "gateway_connections": "a number of connections, 1 to 16777216",
    "workers": f"1 to {MAX_WORKERS}",
    "spin": f"microseconds, 0 to {MAX_SPIN_US}",
    "source_ports": f"1 to {MAX_SOURCE_PORTS}",
    "guard": 'true, false, or "loose"',
    "lease_ttl": f"whole seconds, {LEAST_LEASE_S} to 3600",
    "grace": "seconds, 0 to 2592000",
    "dns_servers": 'addresses, such as ["192.0.2.53"]',
    "probe_interval": "seconds, more than 0",
    "reconcile_interval": "seconds, more than 0",
}
_TYPES = {"bool_type": "true or false", "string_type": "text in quotes", "path_type": "a path in quotes"}


def load_config(file: Path | None = None, options: Mapping[str, Any] | None = None) -> DaemonConfig:
    """Return the settings of `file` and of the typed options, which have precedence; None means not typed. Raise
    UsageError: one line that names the file and the key, or the option."""
    typed = {key: value for key, value in (options or {}).items() if value is not None}
    values = _read(file) if file is not None else {}
    store = values.get("store")
    if "store" in typed and isinstance(store, dict):
        typed["store"] = store | {"url": typed["store"]}  # the URL from the command line, certificates from the file
    try:
        return DaemonConfig.model_validate(values | typed)
    except ValidationError as error:
        raise UsageError(_one_line(error, file, typed)) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from None


def _one_line(error: ValidationError, file: Path | None, typed: Mapping[str, Any]) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    tables: dict[str, type[Model]] = {"store": StoreSettings, "offloads": OffloadSettings}
    table = tables.get(path[0]) if path else None
    path = path[:2] if table else path[:1]  # what follows are pydantic's names for the parts of a union
    key = ".".join(path)
    where = f"{file}: " if file is not None else ""
    if path and path[0] in typed:
        where, key = "", "--" + path[0].replace("_", "-")
    if first["type"] == "extra_forbidden":
        known = list((table or DaemonConfig).model_fields)
        close = difflib.get_close_matches(path[-1], known, n=1)
        return f"{where}there is no key {key}: " + (
            f"did you mean {close[0]}?" if close else f"the keys are {' '.join(known)}"
        )
    why = first["msg"].removeprefix("Value error, ")
    cause = first.get("ctx", {}).get("error")
    if not path or first["type"] == "model_type" or isinstance(first["input"], dict | Model):
        why = "it is a table, as in the example" if first["type"] == "model_type" else why
    elif not isinstance(cause, UsageError):
        why = _HINTS.get(path[0]) or _TYPES.get(first["type"]) or why[0].lower() + why[1:]
        return f'{where}invalid {key} "{first["input"]}": {why}'
    return f"{where}{f'{key}: ' if key else ''}{why}"
