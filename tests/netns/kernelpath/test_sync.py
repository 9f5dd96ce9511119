# SPDX-License-Identifier: Apache-2.0
"""The maps of the kernel path become what is wanted, from any state, and no step of the way sends a frame astray."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.kernelpath.path import Destination, KernelPath
from fastpath.kernelpath.sync import Wanted, sync
from tests.support.engine.frames import mac

PORTS, TUNNELS, VNIS, TAPS = (11, 12, 13), (21, 22), (1, 2), (31, 32, 33)
MACS = [mac(number) for number in range(1, 5)]
ADDRESSES = [ip_address(text) for text in ("10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2")]


@st.composite
def states(draw: st.DrawFn) -> Wanted:
    """Destinations are those of ports and tunnels that exist, and belong to the same network."""
    taps = draw(st.permutations(TAPS))
    numbers = draw(st.lists(st.sampled_from(PORTS), unique=True))
    ports = {n: (draw(st.sampled_from(VNIS)), tap, draw(st.booleans())) for n, tap in zip(numbers, taps, strict=False)}
    tunnels = dict(zip(TUNNELS, draw(st.permutations(VNIS)), strict=True))
    scopes = [*ports, *tunnels]
    addresses = st.none() | st.frozensets(st.sampled_from(ADDRESSES))
    senders = draw(st.dictionaries(st.tuples(st.sampled_from(scopes), st.sampled_from(MACS)), addresses, max_size=4))
    destinations = {}
    for address in draw(st.lists(st.sampled_from(MACS), unique=True)):
        index = draw(st.sampled_from(scopes))
        vni = ports[index][0] if index in ports else tunnels[index]
        destinations[vni, address] = Destination(index, None if index in ports else draw(st.sampled_from([1400, 1450])))
    return Wanted(ports, tunnels, senders, destinations)


def state(path: KernelPath) -> Wanted:
    return Wanted(path.ports, path.tunnels, path.senders, path.destinations)


class Watched:
    """A kernel path with a look at all maps after each change."""

    def __init__(self, path: KernelPath, look: Any) -> None:
        self._path, self._look = path, look

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._path, name)
        if not name.startswith(("set_", "delete_")):
            return value

        def change(*args: Any, **more: Any) -> None:
            value(*args, **more)
            self._look()

        return change


@pytest.fixture(scope="module")
def path() -> Iterator[KernelPath]:
    with KernelPath() as made:
        yield made


@settings(max_examples=60, deadline=None, database=None)
@given(before=states(), after=states())
def test_no_step_sends_a_frame_astray(path: KernelPath, before: Wanted, after: Wanted) -> None:
    sync(path, before)
    assert state(path) == before

    def look() -> None:
        """Where a frame goes is where it went or will go, and who receives it is who it was or will be."""
        now = state(path)
        for key, destination in now.destinations.items():
            was, will = before.destinations.get(key) == destination, after.destinations.get(key) == destination
            assert was or will
            index = destination.ifindex
            here = now.ports.get(index, (None,))[:2] if destination.mtu is None else now.tunnels.get(index)
            of = [of for of, holds in ((before, was), (after, will)) if holds]
            if destination.mtu is None:
                assert here in [state.ports[index][:2] for state in of]
            else:
                assert here in [state.tunnels[index] for state in of]
        for index, (vni, tap, _) in now.ports.items():
            assert (vni, tap) in [state.ports[index][:2] for state in (before, after) if index in state.ports]
        for key, addresses in now.senders.items():
            assert key in before.senders or key in after.senders
            known = [of.senders[key] for of in (before, after) if key in of.senders]
            assert None in known or (addresses or frozenset()) <= frozenset().union(*(each or () for each in known))

    sync(Watched(path, look), after)  # type: ignore[arg-type]
    assert state(path) == after
    assert sync(path, after) == 0


def test_a_port_that_goes_to_another_network_is_withdrawn_first(path: KernelPath) -> None:
    here = Destination(11)
    sync(path, Wanted({11: (1, 31, True)}, {}, {(11, mac(1)): None}, {(1, mac(1)): here}))
    steps: list[str] = []

    def look() -> None:
        steps.append(f"{sorted(path.ports.items())} {sorted(path.destinations)}")

    sync(Watched(path, look), Wanted({11: (2, 31, True)}, {}, {}, {(2, mac(1)): here}))  # type: ignore[arg-type]
    assert steps[0] == "[(11, (1, 31, True))] []"
    assert steps[-1] == f"[(11, (2, 31, True))] [(2, '{mac(1)}')]"
    sync(path, Wanted())
    assert state(path) == Wanted()


def test_the_next_process_repairs_what_differs(path: KernelPath) -> None:
    wanted = Wanted({11: (1, 31, True)}, {21: 1}, {(11, mac(1)): frozenset(ADDRESSES)}, {(1, mac(1)): Destination(11)})
    sync(path, wanted)
    with KernelPath([path.from_port.id]) as following:
        assert state(following) == Wanted(wanted.ports, {}, wanted.senders, wanted.destinations)
        assert sync(following, wanted) == 1  # the tunnels: the map belongs to another program
    sync(path, Wanted())
