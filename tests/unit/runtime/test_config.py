# SPDX-License-Identifier: Apache-2.0
"""fastpath.toml: accepted settings, and the one-line errors for invalid ones."""

import re
import socket
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fastpath.control.model.store_url import parse_store_url
from fastpath.control.runtime.config import DaemonConfig, OffloadSettings, StoreSettings, load_config
from fastpath.engine.offloads import DEFAULT_OFFLOADS, Offloads
from fastpath.errors import UsageError

EXAMPLE = Path(__file__).parents[3] / "examples" / "fastpath.toml"


def read(folder: Path, text: str, **options: Any) -> DaemonConfig:
    file = folder / "f.toml"
    file.write_text(text)
    return load_config(file, options)


def test_the_example_says_what_holds_without_it() -> None:
    assert load_config(EXAMPLE) == DaemonConfig()


def test_the_example_with_all_its_keys_is_accepted(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=\w+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    config = read(tmp_path, text)
    assert (config.host, config.vtep, config.metrics) == ("node1", "eth0", ("127.0.0.1", 9789))
    assert config.store.credentials().keys() == {"ca", "cert", "key", "user", "password_file"}
    written = tomllib.loads(text)
    assert list(written) == [*(key for key in written if key not in ("store", "offloads")), "store", "offloads"]
    assert written.keys() == DaemonConfig.model_fields.keys()
    assert written["store"].keys() == StoreSettings.model_fields.keys()
    assert written["offloads"].keys() == OffloadSettings.model_fields.keys()


def test_the_switches_are_the_engine_s() -> None:
    assert [field.name for field in fields(Offloads)] == list(OffloadSettings.model_fields)
    assert DaemonConfig().engine_offloads == DEFAULT_OFFLOADS


def test_defaults_follow_the_host_and_the_state_directory(tmp_path: Path) -> None:
    config = load_config(None, {"state_dir": tmp_path})
    assert config.host == socket.gethostname()
    assert config.store_url == f"sqlite://{tmp_path}/store.db"


def test_options_have_precedence_and_none_is_no_option(tmp_path: Path) -> None:
    config = read(tmp_path, 'host = "a"\nvtep = "192.0.2.1"', host="b", vtep=None)
    assert (config.host, config.vtep) == ("b", "192.0.2.1")


def test_a_store_s_certificates_stay_with_a_url_from_the_command_line(tmp_path: Path) -> None:
    config = read(tmp_path, '[store]\nurl = "etcd://a:1"\nca = "/ca"', store="etcd://b:2,[2001:db8::1]:3")
    assert (config.store_url, config.store.ca) == ("etcd://b:2,[2001:db8::1]:3", Path("/ca"))


def test_a_store_s_port_is_etcd_s_where_none_is_given(tmp_path: Path) -> None:
    config = read(tmp_path, 'store = "etcd://a,b:1,[2001:0db8::1]"')
    assert config.store_url == "etcd://a:2379,b:1,[2001:db8::1]:2379"


def test_the_store_of_a_state_directory_is_in_it_whatever_its_name(tmp_path: Path) -> None:
    url = parse_store_url(load_config(None, {"state_dir": tmp_path / "a%2Fb c"}).store_url)
    assert url.path == tmp_path / "a%2Fb c/store.db"


def test_a_store_may_be_only_its_url(tmp_path: Path) -> None:
    assert read(tmp_path, 'store = "etcd://a:1"').store == StoreSettings(url="etcd://a:1")


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("localhost:80", ("localhost", 80)),
        ("[::1]:9100", ("::1", 9100)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),  # noqa: S104
        ("/run/m.sock", Path("/run/m.sock")),
    ],
)
def test_where_metrics_are_served(tmp_path: Path, text: str, listen: object) -> None:
    assert read(tmp_path, f'metrics = "{text}"').metrics == listen


@pytest.mark.parametrize("vtep", ["192.0.2.1", "2001:db8::1", "eth0", "eth0.10", "bond0", "fade"])
def test_a_vtep_is_an_address_or_an_interface(tmp_path: Path, vtep: str) -> None:
    assert read(tmp_path, f'vtep = "{vtep}"').vtep == vtep


WRONG = [
    ("udp_prt = 1", "there is no key udp_prt: did you mean udp_port?"),
    ("[store]\nuri = 'x'", "there is no key store.uri: did you mean url?"),
    ("[offloads]\nzzz = true", "there is no key offloads.zzz: the keys are tso uso gso gro merge"),
    ('udp_port = "4789"', 'invalid udp_port "4789": a UDP port, 1 to 65535'),
    ("udp_port = 0", 'invalid udp_port "0": a UDP port, 1 to 65535'),
    ("pin = 1", 'invalid pin "1": true or false'),
    ("[offloads]\ntso = 'yes'", 'invalid offloads.tso "yes": true or false'),
    ("offloads = true", "offloads: it is a table, as in the example"),
    ("store = 3", "store: it is a table, as in the example"),
    ("host = 'a b'", 'invalid host "a b": a name has 1 to 63 letters'),
    ("vtep = 'eth 0'", 'vtep: "eth 0" cannot be an interface name'),
    ("vtep = '192.0.2.256'", 'vtep: "192.0.2.256" is not an IP address'),
    ("vtep = 'fe80::1'", "vtep: fe80::1 is link-local"),
    ("vtep = 1", 'invalid vtep "1": text in quotes'),
    ("pool = '10.0.0.1/8'", 'invalid pool "10.0.0.1/8": a subnet such as 10.0.0.0/8'),
    ("pool = 10", 'invalid pool "10": a subnet such as 10.0.0.0/8'),
    ("pool_prefix = 31", "pool_prefix 31 does not cut 10.0.0.0/8: give 8 to 30"),
    ("pool_prefix = 7", "pool_prefix 7 does not cut 10.0.0.0/8: give 8 to 30"),
    ("gateway_address = 'fd00::1/64'", 'invalid gateway_address "fd00::1/64": an IPv4 address with its prefix'),
    ("gateway_address6 = 'on'", 'invalid gateway_address6 "on": an IPv6 address with its prefix'),
    ("gateway_address6 = '2001:db8::1/112'", "gateway_address6 2001:db8::1/112 has too long a prefix"),
    ("gateway_masquerade6 = false", "gateway_masquerade6 is false: give gateway_address6"),
    ("gateway_connections = 0", 'invalid gateway_connections "0": a number of connections'),
    ("gateway_address = '10.1.0.1/24'", "gateway_address 10.1.0.1/24 lies in the pool 10.0.0.0/8: choose another"),
    ("socket = 'a'", 'invalid socket "a": a path that begins with /'),
    ("state_dir = 1", 'invalid state_dir "1": a path in quotes'),
    ("lease_ttl = 4", 'invalid lease_ttl "4": whole seconds, 5 to 3600'),
    ("grace = '1h'", 'invalid grace "1h": seconds, 0 to 2592000'),
    ("probe_interval = 0", 'invalid probe_interval "0": seconds, more than 0'),
    ("metrics = 'here'", 'invalid metrics "here": "host:port", "[v6 address]:port", or the path of a unix socket'),
    ("metrics = 9100", 'invalid metrics "9100": "host:port"'),
    ("metrics = ':9100'", 'invalid metrics ":9100": "host:port"'),
    ("metrics = 'a:70000'", 'invalid metrics "a:70000": "host:port"'),
    ("log_format = 'xml'", "invalid log_format \"xml\": input should be 'text' or 'json'"),
    ("store = 'etcd:a:1'", 'invalid store.url "etcd:a:1": sqlite:///PATH or etcd://HOST:PORT[,HOST:PORT…]'),
    ("store = 'etcd://a:x'", 'invalid store.url "etcd://a:x": "x" is not a port, 1 to 65535'),
    ("store = 'etcd://a:1/'", 'invalid store.url "etcd://a:1/": etcd://HOST:PORT ends after the port'),
    ("store = 'etcd://::1'", 'invalid store.url "etcd://::1": an IPv6 address stands in brackets'),
    ("store = 'etcd://a,'", 'invalid store.url "etcd://a,": a host is missing'),
    ("store = 'sqlite:///a/'", 'invalid store.url "sqlite:///a/": sqlite:///PATH names a file'),
    ("store = 'sqlite://a'", 'invalid store.url "sqlite://a": sqlite:///PATH'),
    ("store = 'redis://a:1'", 'invalid store.url "redis://a:1": sqlite:///PATH'),
    ("[store]\nurl = 'etcd://a:1'\ncert = '/c'", "store: cert and key go together: give both or none"),
    ("[store]\nurl = 'etcd://a:1'\nuser = 'u'", "store: user and password_file go together: give both or none"),
    ("[store]\nca = '/ca'", "store: ca: only a store at etcd://… takes them"),
]


@pytest.mark.parametrize(("text", "line"), WRONG, ids=[text for text, _ in WRONG])
def test_what_cannot_be_is_one_line_with_file_and_key(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/f.toml: {line}")
    assert "\n" not in str(caught.value)


def test_an_option_that_cannot_be_is_named_and_not_the_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'^invalid --host "a b": '):
        read(tmp_path, "", host="a b")
    with pytest.raises(UsageError, match=r"^--vtep: 224\.0\.0\.1 is a multicast address"):
        read(tmp_path, "", vtep="224.0.0.1")
    with pytest.raises(UsageError, match=r'^invalid --state-dir "a": a path that begins with /'):
        read(tmp_path, "", state_dir=Path("a"))
    with pytest.raises(UsageError, match=r'^invalid --store "x": sqlite'):
        read(tmp_path, "", store="x")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^cannot read .*/none: No such file or directory$"):
        load_config(tmp_path / "none")
    with pytest.raises(UsageError, match=r"^cannot read .*: Is a directory$"):
        load_config(tmp_path)
    with pytest.raises(UsageError, match=r"f\.toml is not TOML: .*line 1"):
        read(tmp_path, "a = = 1")
    (tmp_path / "b.toml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"b\.toml is not TOML: "):
        load_config(tmp_path / "b.toml")
