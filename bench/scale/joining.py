# SPDX-License-Identifier: Apache-2.0
"""A host that joins: how long it takes until it answers and is in sync, and what it uses from then on."""

import select
import statistics
import threading
import time
from queue import SimpleQueue

from fastpath.bench.common.daemon import PATIENCE_S
from fastpath.bench.common.process import cpu_seconds, memory_kib
from fastpath.bench.scale import arp, bed
from fastpath.bench.scale.arp import Asker
from fastpath.bench.scale.bed import Bed
from fastpath.bench.scale.daemon_load import Window, reconciled
from fastpath.errors import RefusedError

RATE, CHANGES_S = 20, 10  # changes a second, and for how long
LOST_S = 10.0  # after the last change, until an unseen change counts as lost
SETTLED_S = 45.0  # after the start: two full passes are over
Figures = dict[str, float]


def joined(found: Bed) -> Figures:
    """Start the daemon, and wait until it has all endpoints of the networks in which it takes part."""
    askers = _askers(found)
    try:
        times: dict[str, float] = {}

        def note() -> None:
            times["ready_s"] = found.h1.ready()
            times["answers_s"] = found.h1.answering()

        started = found.h1.launch()
        noting = threading.Thread(target=note)
        noting.start()
        synced = arp.sweep(askers, started + PATIENCE_S)
        noting.join()
        if synced is None:
            raise RefusedError(f"the host does not come into sync:\n{found.h1.log.read_text()[-2000:]}")
        figures = {name: when - started for name, when in times.items()}
        pid = found.h1.pid
        used = {
            "cpu_s": cpu_seconds(pid),
            "rss_mib": memory_kib(pid) / 1024,
            "rss_peak_mib": memory_kib(pid, "VmHWM") / 1024,
        }
        return {**figures, "in_sync_s": synced - started, **used}
    finally:
        for asker in askers:
            asker.close()


def _askers(found: Bed) -> list[Asker]:
    """Return one asker per local network, which asks for all other endpoints of it."""
    shape = found.variant
    askers = []
    for network in range(shape.networks):
        own = next((number for number in range(shape.endpoints) if shape.is_local(network, number)), None)
        if own is None:
            break
        askers.append(_asker(found, network, own))
        numbers = (number for number in range(shape.endpoints) if number != own)
        askers[-1].expect(arp.as_number(shape.address(network, number)) for number in numbers)
    return askers


def _asker(found: Bed, network: int, number: int) -> Asker:
    shape = found.variant
    where = found.sandboxes[shape.sandbox_of(network, number)]
    address = shape.address(network, number)
    return Asker(where, f"02:42:{address.ip.packed.hex(':')}", address)


def steady(found: Bed, seconds: float) -> Figures:
    """Measure a daemon with nothing to do but keep-alives, probes and full passes."""
    before, window = reconciled(found.h1.metrics), Window(found.h1.pid)
    time.sleep(seconds)
    percent = window.percent()
    each = reconciled(found.h1.metrics).each_ms(before)
    figures = {"steady_cpu_percent": percent, "steady_rss_mib": memory_kib(found.h1.pid) / 1024}
    return figures | ({"pass_ms": each} if each is not None else {})


def changing(found: Bed) -> Figures:
    """Measure when endpoints that another host makes and removes are known here."""
    askers = [_asker(found, network, 0) for network in range(min(found.variant.networks, found.variant.local))]
    lines: SimpleQueue[list[str]] = SimpleQueue()
    reader = threading.Thread(target=_read, args=(found, lines))
    made: dict[tuple[int, int], float] = {}
    seen: dict[tuple[int, int], float] = {}
    window, percent = Window(found.h1.pid), None
    found.others.tell(f"change {RATE * CHANGES_S} {RATE}\n")
    reader.start()
    end = time.monotonic() + CHANGES_S + LOST_S
    while time.monotonic() < end and (percent is None or made.keys() - seen.keys()):
        while not lines.empty():
            word, *rest = lines.get()
            if word == "made":
                network = int(rest[0])
                address = arp.as_number(found.variant.address(network, int(rest[1])))
                made[network, address] = float(rest[2])
                askers[network].expect([address])
            elif word == "changed":
                percent = window.percent()
        for asker in [asker for asker in askers if asker.waiting]:
            asker.ask()
        for asker in select.select(askers, [], [], arp.AGAIN_S / 2)[0]:
            now = time.monotonic()
            seen |= {(askers.index(asker), address): now for address in asker.receive()}
    reader.join()
    for asker in askers:
        asker.close()
    took = sorted(seen[key] - when for key, when in made.items() if key in seen)
    if not took or percent is None:
        raise RefusedError("no change was seen")
    return {
        "changes_cpu_percent": percent,
        "change_ms_median": statistics.median(took) * 1000,
        "change_ms_max": took[-1] * 1000,
        "changes_missed": len(made) - len(took),
    }


def _read(found: Bed, lines: "SimpleQueue[list[str]]") -> None:
    for line in found.others.lines("changed"):
        lines.put(line)


def measure(found: Bed, seconds: float) -> Figures:
    """Measure all of it."""
    began = time.monotonic()
    figures = joined(found)
    bed.settled(found, 1)
    figures |= changing(found)
    time.sleep(max(0.0, began + SETTLED_S - time.monotonic()))
    return figures | steady(found, seconds)
