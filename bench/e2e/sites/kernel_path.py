# SPDX-License-Identifier: Apache-2.0
"""Whether a network uses the kernel path (docs/kernel-path.md): nothing is measured under a wrong name."""

import json
from collections.abc import Iterable

from fastpath.bench.common.namespaces import ip, namespaces, wait_for
from fastpath.bench.e2e.sites.site import Site
from fastpath.control.drivers.naming import pen_name
from fastpath.errors import RefusedError

CONNECTIONS = 20  # each is two frames, and idle containers send less than that meanwhile
PATIENCE_S = 60.0


def check(site: Site, *, wanted: bool, patience: float = PATIENCE_S) -> None:
    """Wait until TCP goes by the kernel path if that is wanted, and by the engine otherwise. Raise RefusedError if it
    does not within `patience` seconds."""
    pens = [pen_name(daemon.name) for daemon in site.daemons]
    site.check_reachable()
    try:
        wait_for(lambda: is_used(site, pens) == wanted, "TCP takes the way that is measured", patience)
    except RefusedError:
        said = [problem for daemon in site.daemons for problem in daemon.problems()]
        way = "the engine, not by the kernel path" if wanted else "the kernel path, not by the engine"
        raise RefusedError(": ".join([f"TCP goes by {way}", *said[:1]])) from None


def is_used(site: Site, pens: Iterable[str]) -> bool:
    """Connect CONNECTIONS times. Return whether all were answered while the TAPs in the pens, by which frames go to the
    engines and come from them, had fewer frames than that."""
    if not namespaces().issuperset(pens):
        return False
    before = _frames_of_taps(pens)
    if not site.c1.inside(lambda: all(site.is_answered() for _ in range(CONNECTIONS))):
        return False
    return _frames_of_taps(pens) - before < CONNECTIONS


def _frames_of_taps(pens: Iterable[str]) -> int:
    links = [link for pen in pens for link in json.loads(ip("-n", pen, "-json", "-details", "-statistics", "link"))]
    counters = [link["stats64"] for link in links if link.get("linkinfo", {}).get("info_kind") == "tun"]
    return sum(counter[way]["packets"] for counter in counters for way in ("rx", "tx"))
