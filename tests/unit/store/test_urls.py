# SPDX-License-Identifier: Apache-2.0
"""URLs of stores: their meaning, and the errors for mistyped ones."""

import re
from pathlib import Path

import pytest

from fastpath.control.model.store_url import StoreUrl, parse_store_url, same_store


@pytest.mark.parametrize(
    ("url", "members"),
    [
        ("etcd://h", ["h:2379"]),
        ("etcd://h:1", ["h:1"]),
        ("etcd://192.0.2.1,b:2379", ["192.0.2.1:2379", "b:2379"]),
        ("etcd://[2001:db8::1]", ["[2001:db8::1]:2379"]),
        ("etcd://[2001:DB8:0::1]:02", ["[2001:db8::1]:2"]),
        ("etcd://my_etcd.example.org", ["my_etcd.example.org:2379"]),
    ],
)
def test_members_have_etcd_s_port_where_none_is_given(url: str, members: list[str]) -> None:
    parsed = parse_store_url(url)
    assert parsed == StoreUrl(members=tuple(members))
    assert parse_store_url(str(parsed)) == parsed


@pytest.mark.parametrize("path", ["/a", "/a/b.db", "/a b", "/a%41", "/ü"])
def test_a_path_survives_its_url(path: str) -> None:
    assert parse_store_url(str(StoreUrl(path=Path(path)))) == StoreUrl(path=Path(path))


def test_a_store_in_memory_has_a_url() -> None:
    assert parse_store_url("sqlite:///:memory:") == StoreUrl()
    assert str(StoreUrl()) == "sqlite:///:memory:"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("h:2379", "sqlite:///PATH or etcd://HOST:PORT"),
        ("http://h:2379", "sqlite:///PATH or etcd://HOST:PORT"),
        ("etcd:h", "sqlite:///PATH or etcd://HOST:PORT"),
        ("etcd://", "a host is missing"),
        ("etcd://a,,b", "a host is missing"),
        ("etcd://:2379", "a host is missing"),
        ("etcd://a, b", '" b" is not a host'),
        ("etcd://a:", '"" is not a port'),
        ("etcd://a:0", '"0" is not a port'),
        ("etcd://a:٣", '"٣" is not a port'),
        ("etcd://a:b:c", "in brackets: etcd://[2001:db8::1]:2379"),
        ("etcd://2001:db8::1", "in brackets: etcd://[2001:db8::1]:2379"),
        ("etcd://[::1", "sqlite:///PATH or etcd://HOST:PORT"),
        ("etcd://[::1::]", "[::1::] is not an IPv6 address"),
        ("etcd://[h]", '"[h]" is not a host'),
        ("etcd://h/", "without a path"),
        ("etcd://u:p@h", "no user and password"),
        ("sqlite://store.db", "with three slashes"),
        ("sqlite:///folder/", "names a file"),
    ],
)
def test_a_mistake_is_answered_with_what_to_write(url: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)) as caught:
        parse_store_url(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("etcd://h", "etcd://h:2379", True),
        ("etcd://h,b", "etcd://b:2379,H", True),
        ("etcd://[::1]", "etcd://[0::1]:2379", True),
        ("etcd://h", "etcd://h:2380", False),
        ("etcd://h", "etcd://h,b", False),
        ("sqlite:///a", "sqlite:////a", True),
        ("sqlite:///a", "sqlite:///A", False),
        ("sqlite:///:memory:", "etcd://h", False),
        ("nonsense", "nonsense", True),
        ("nonsense", "etcd://h", False),
    ],
)
def test_one_store_may_be_written_in_several_ways(one: str, other: str, same: bool) -> None:
    assert same_store(one, other) is same
