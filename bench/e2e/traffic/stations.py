# SPDX-License-Identifier: Apache-2.0
"""Large tables: frames to very many stations behind c2, which the overlays have learned before."""

from fastpath.bench.common.namespaces import Namespace
from fastpath.bench.common.process import memory_kib
from fastpath.bench.e2e.sites.site import DEVICE, Site
from fastpath.bench.e2e.traffic.window import RECEIVER_CPU, SENDER_CPU, Figures, flow, load, together
from fastpath.errors import RefusedError

LEARNING_RATE = 60_000  # frames a second; every overlay takes these without loss, so that it learns all
LEARN_PASSES = 2


def _mac(container: Namespace) -> str:
    return container.run("cat", f"/sys/class/net/{DEVICE}/address").stdout.strip()


def learn(site: Site, entries: int) -> None:
    """Make both hosts learn `entries` stations behind c2: it sends a frame from each of them to c1, twice."""
    seconds = _pass_s(entries)
    for _ in range(LEARN_PASSES):
        sender = load(site.c2, "learn", cpu=SENDER_CPU, mac=_mac(site.c1), entries=entries, rate=LEARNING_RATE)
        _, _, (sent,) = together(sender, seconds=seconds)
        if sent["total"] < entries:
            raise RefusedError(f"only {sent['total']:.0f} of {entries} frames could be sent for learning")


def _pass_s(entries: int) -> float:
    return entries / LEARNING_RATE + 0.1


def learning_s(entries: int) -> float:
    """Return about how many seconds learning takes."""
    return LEARN_PASSES * (_pass_s(entries) + 0.9)


def spread(site: Site, seconds: float, *, entries: int) -> Figures:
    """Send frames with 64 bytes of UDP payload from c1 to all stations in turn, as fast as the socket takes them."""
    receiver = load(site.c2, "watch", cpu=RECEIVER_CPU)
    sender = load(site.c1, "spread", cpu=SENDER_CPU, mac=_mac(site.c1), entries=entries)
    window, cpu, (received, sent) = together(receiver, sender, seconds=seconds)
    return {**flow(window, cpu, received, sent), "rss_mib": resident_mib(site.h1)}


def resident_mib(host: Namespace) -> float:
    """Return the resident memory of the host's processes (VmRSS); tables in the kernel are not in it."""
    return sum(memory_kib(pid) for pid in host.pids()) / 1024
