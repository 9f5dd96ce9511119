# SPDX-License-Identifier: Apache-2.0
"""What a container with NET_ADMIN does to its own namespace costs only itself.

place: v0 ── v1
"""

import ipaddress
import json
from collections.abc import Iterator
from unittest import mock

import pytest

from fastpath import Engine
from fastpath.control.kernel import visit as visits
from fastpath.control.kernel.netlink import SANDBOX_LIMITS, Rtnetlink, fingerprint
from fastpath.control.kernel.netlink.links import MARKED
from fastpath.control.kernel.visit import Visit
from fastpath.errors import RefusedError
from fastpath.text import from_kernel, printable
from tests.attacks.crowd import crowd
from tests.attacks.odd_names import ALIAS, NAME, spoil
from tests.support.hosts.hosts import Namespace
from tests.support.ports import free_port

small_limits = mock.patch.object(visits, "SANDBOX_LIMITS", dict.fromkeys(SANDBOX_LIMITS, 4096))
GATEWAY = ipaddress.ip_address("192.0.2.9")


@pytest.fixture
def place() -> Iterator[Namespace]:
    made = Namespace.named("fpt-", "evil")
    try:
        made.add()
        made.ip("link add v0 type veth peer name v1")
        made.ip("address add 192.0.2.1/24 dev v0")
        for name in ("v0", "v1"):
            made.ip(f"link set {name} up")
        yield made
    finally:
        made.remove()


@pytest.fixture
def parsed() -> Iterator[mock.Mock]:
    """Counts the messages that are parsed; that is what takes time."""
    with mock.patch.object(Rtnetlink, "_parsed", autospec=True, side_effect=Rtnetlink._parsed) as counted:
        yield counted


def words(place: Namespace) -> tuple[str, ...]:
    return ("ip", "-n", place.name)


def test_names_that_are_not_utf_8(place: Namespace) -> None:
    spoil("v1", before=words(place))
    with Visit(f"/run/netns/{place.name}") as visit:
        there = {link.name: link for link in visit.links.all()}
        odd = there[from_kernel(NAME)]
        assert odd.alias == from_kernel(ALIAS)
        assert printable(odd.name) == r"\xff\x1b[2J\xfe"
        assert visit.links.find(odd.name) == odd
        assert visit.links.marked(odd.alias) == [odd]
        assert visit.links.marked("fastpath:") == []
        visit.links.change(odd, alias="fastpath:x", name="v1")
        assert [link.name for link in visit.links.marked("fastpath:")] == ["v1"]


def test_many_routes(place: Namespace, parsed: mock.Mock) -> None:
    crowd("routes", "v0", 1000, before=words(place))
    with small_limits, Visit(f"/run/netns/{place.name}") as visit:
        link = visit.links.get("v0")
        before = fingerprint(visit.netlink)
        parsed.reset_mock()
        visit.links.ensure_default_route(GATEWAY, link)
        assert visit.netlink.cut
        assert parsed.call_count == 0
        assert visit.links.get("v0") == link  # the new socket is in this namespace, too
        assert fingerprint(visit.netlink) != before  # the default route is the first one
        visit.links.ensure_default_route(ipaddress.ip_address("192.0.2.8"), link)
        assert parsed.call_count < 5
    assert place.ip("route show default").split()[2] == str(GATEWAY)


def test_many_addresses(place: Namespace, parsed: mock.Mock) -> None:
    crowd("addresses", "v1", 500, before=words(place))
    with Visit(f"/run/netns/{place.name}") as visit:
        link = visit.links.get("v0")
        parsed.reset_mock()
        visit.links.ensure_addresses(link, [ipaddress.ip_interface("192.0.2.1/24")])
        assert parsed.call_count == 1
        assert visit.links.find("v0") == link
        assert len(list(visit.links.addresses(link))) <= 2  # and the link-local one


def test_many_interfaces(place: Namespace, parsed: mock.Mock) -> None:
    crowd("links", "", MARKED + 2, before=words(place))
    with Visit(f"/run/netns/{place.name}") as visit:
        parsed.reset_mock()
        assert visit.links.marked("fastpath:") == []
        assert parsed.call_count == 0
        place.ip("link set v1 alias fastpath:h:1")
        assert [link.name for link in visit.links.marked("fastpath:")] == ["v1"]
        there = [link for link in visit.links.all() if link.name.startswith("x")]
        for link in there:
            visit.links.change(link, alias="fastpath:h:2")
        with pytest.raises(RefusedError, match="more than 64 interfaces"):
            visit.links.marked("fastpath:h:2")
    with small_limits, Visit(f"/run/netns/{place.name}") as visit, pytest.raises(RefusedError, match="too many inter"):
        visit.links.marked("fastpath:")


def test_statistics_and_metrics_of_a_tap_with_an_odd_name(place: Namespace) -> None:
    def look() -> None:
        with Engine("127.0.0.1", udp_port=free_port()) as engine:
            port = engine.add_segment(7).add_tap("t0", mtu=1400)
            spoil("t0")
            assert port.name == from_kernel(NAME)
            (shown,) = engine.stats().ports
            assert shown.name == printable(port.name)
            assert json.dumps(engine.stats().as_dict(), ensure_ascii=False).encode()

    place.inside(look)
