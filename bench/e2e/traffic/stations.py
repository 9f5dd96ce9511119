# SPDX-License-Identifier: Apache-2.0
"""Large tables: frames to very many stations behind c2, which the overlays learned before."""

from pathlib import Path

from fastpath.bench.common.namespaces import Namespace
from fastpath.bench.e2e.sites.site import DEVICE, Site
from fastpath.bench.e2e.traffic import measure
from fastpath.bench.e2e.traffic.measure import RECEIVER_CPU, SENDER_CPU, Figures
from fastpath.errors import RefusedError

LEARNING_RATE = 60_000  # frames a second; every overlay takes these without loss, so that it learns all
LEARN_PASSES = 2


def _mac(container: Namespace) -> str:
    return container.run("cat", f"/sys/class/net/{DEVICE}/address").stdout.strip()


def learn(site: Site, entries: int) -> None:
    """Let both hosts learn `entries` stations behind c2: it sends a frame from each of them to c1, twice."""
    seconds = entries / LEARNING_RATE + 0.1
    for _ in range(LEARN_PASSES):
        sender = measure.load(site.c2, "learn", cpu=SENDER_CPU, mac=_mac(site.c1), entries=entries, rate=LEARNING_RATE)
        _, _, (sent,) = measure.together(sender, seconds=seconds)
        if sent["total"] < entries:
            raise RefusedError(f"only {sent['total']:.0f} of {entries} frames could be sent for learning")


def spread(site: Site, seconds: float, *, entries: int) -> Figures:
    """Frames with 64 bytes of UDP payload from c1 to all the stations in turn, as fast as they are taken."""
    receiver = measure.load(site.c2, "watch", cpu=RECEIVER_CPU)
    sender = measure.load(site.c1, "spread", cpu=SENDER_CPU, mac=_mac(site.c1), entries=entries)
    window, cpu, (received, sent) = measure.together(receiver, sender, seconds=seconds)
    return {
        "offered_kpps": sent["datagrams"] / window.seconds / 1e3,
        "received_kpps": received["datagrams"] / window.seconds / 1e3,
        "cpu_us_per_datagram": measure.per(cpu.busy * 1e6, received["datagrams"]),
        "cpu_cores": cpu.busy / window.seconds,
        "stolen_s": cpu.stolen,
        "rss_mib": resident_mib(site.h1),
    }


def resident_mib(host: Namespace) -> float:
    """Resident memory of the host's processes (VmRSS, proc_pid_status(5)); tables in the kernel are not in it."""
    return sum(resident_kib(pid) for pid in host.pids()) / 1024


def resident_kib(pid: int) -> int:
    """VmRSS of one process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
